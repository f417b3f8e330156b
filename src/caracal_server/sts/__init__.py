"""The Security Token Service: verifies who asks, decides by policy, issues mandates, publishes keys.

It holds the zones' signing keys and must never hold an upstream credential.
Open first: `exchange.py`.
"""
