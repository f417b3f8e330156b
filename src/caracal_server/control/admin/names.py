"""Names that people give, and the names that zone documents and policies use for the same things."""

import re
from collections.abc import Collection
from hashlib import sha256
from typing import Final

PROVIDER_SCHEME: Final = "provider://"
MAX_SLUG: Final = 56
_PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_ZONE_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_OTHERS: Final = re.compile(r"[^a-z0-9]+")


def is_name(text: str) -> bool:
    """Whether a zone document can call an application or a provider this."""
    return _PLAIN_NAME.fullmatch(text) is not None


def is_zone_name(text: str) -> bool:
    return _ZONE_NAME.fullmatch(text) is not None


def slug(text: str, otherwise: str) -> str:
    """Lower-case letters, digits and single hyphens of a text; `otherwise` when there are none."""
    return _OTHERS.sub("-", text.lower()).strip("-")[:MAX_SLUG].rstrip("-") or otherwise


def unused(name: str, taken: Collection[str]) -> str:
    """The name, with `-2`, `-3` and so on behind it while it is taken."""
    candidate, number = name, 1
    while candidate in taken:
        number += 1
        candidate = f"{name}-{number}"
    return candidate


def provider_identifier(name: str) -> str:
    """What the admin API calls a provider."""
    return PROVIDER_SCHEME + name


def provider_name(identifier: str) -> str | None:
    """What a zone document calls the provider of that identifier; `None` when it can call none so."""
    name = identifier.removeprefix(PROVIDER_SCHEME)
    return name if name != identifier and is_name(name) else None


def issuer_id(issuer: str) -> str:
    """An id for a subject issuer, which a zone knows by its URL."""
    return sha256(issuer.encode()).hexdigest()[:32]
