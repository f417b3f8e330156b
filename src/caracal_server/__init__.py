"""Caracal, as operators run it."""
