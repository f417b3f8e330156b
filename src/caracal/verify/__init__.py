"""For resource servers: is this request allowed to be here, and who is it from?

`decision.py` decides, purely; `key_cache.py` is the state of the issuer's keys, purely; around them are
what fetches keys, what follows revocations, and adapters for ASGI, WSGI and MCP servers. Every failure
is a `NotVerified` with a status; nothing here lets a request pass because something could not be had.

Open first: `verifier.py`, then `decision.py`. The guide is `docs/verify.md`.
"""

from caracal.verify.key_cache import CacheRules
from caracal.verify.principal import Principal
from caracal.verify.published_keys import AsyncPublishedKeys, PublishedKeys
from caracal.verify.refusals import Code, NotVerified
from caracal.verify.requirements import Expected, Requirements, Settings
from caracal.verify.revocations import (
    UNTIL_EXPIRY,
    FollowedRevocations,
    MemoryRevocations,
    Revocations,
    Standing,
)
from caracal.verify.verifier import AsyncVerifier, Verifier

__all__ = [
    "UNTIL_EXPIRY",
    "AsyncPublishedKeys",
    "AsyncVerifier",
    "CacheRules",
    "Code",
    "Expected",
    "FollowedRevocations",
    "MemoryRevocations",
    "NotVerified",
    "Principal",
    "PublishedKeys",
    "Requirements",
    "Revocations",
    "Settings",
    "Standing",
    "Verifier",
]
