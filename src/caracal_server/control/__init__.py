"""Control: the admin API. Declarative zones, operators and their tokens, signing key rotation.

It seals upstream credentials and can never open one; every act of an operator is in the evidence before
it is answered. Open first: `zone_document.py` (what a zone file says), then `apply.py`.
"""
