"""The Gateway: verifies mandates, decides on each call, injects the real credential and forwards.

It opens the provider secrets and must never be able to sign a mandate.
Open first: `enforcement.py` (may this call pass?), then `forwarding.py` (the call goes upstream).
"""
