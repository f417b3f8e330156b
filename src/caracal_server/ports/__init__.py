"""What the services need of the world, as Protocols. No code.

Every method states its durability, atomicity and ordering; `tests/contracts/` holds every adapter to
them. Whatever can not be reached raises `caracal.authority.outcomes.Unavailable`, and the answer is no.
"""
