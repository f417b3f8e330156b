"""The Coordinator: sessions, leases, delegations and the kill switch.

It holds the graph of who handed what to whom, and must never decide policy.
Open first: `commitment.py` (how a change of the graph comes about), then `sessions.py`.
"""
