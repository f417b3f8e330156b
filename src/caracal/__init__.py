"""Caracal, as agents, resource servers and auditors import it."""
