"""Shipping: evidence to where others keep and read it, by a program beside the server.

It reads entries as an operator who may read, and delivers them to sinks, each at its own pace: at least
once, in order, none left out. Open first: `lanes.py`, which takes one zone's entries to one sink.
"""
