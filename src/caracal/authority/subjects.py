"""Users for whom work is done, and who vouches for them. `docs/wire.md` has the rules for their names."""

import unicodedata
from dataclasses import dataclass
from datetime import datetime

MAX_NAME_BYTES = 512
RESERVED_PREFIX = "caracal:"

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_BIDI_CONTROLS = frozenset(map(chr, (*range(0x202A, 0x202F), *range(0x2066, 0x206A))))


@dataclass(frozen=True, slots=True)
class SubjectIssuer:
    """An OpenID provider that a zone trusts to say who its users are.

    Attributes:
        issuer: the `iss` of its tokens, to the letter.
        jwks_url: where it publishes its keys; https only.
        audience: what has to be among the `aud` of its tokens.
        authorization_url, token_url: where people sign in for clients of MCP servers; empty where they
            do not.
    """

    issuer: str
    jwks_url: str
    audience: str
    authorization_url: str = ""
    token_url: str = ""

    @property
    def signs_in(self) -> bool:
        return bool(self.authorization_url)


@dataclass(frozen=True, slots=True)
class User:
    """Someone an issuer vouches for. The same name at another issuer is someone else."""

    issuer: str
    name: str

    @property
    def anchor(self) -> str:
        """What revocations of the user name. An issuer is a URL: it holds no space."""
        return f"{self.issuer} {self.name}"


@dataclass(frozen=True, slots=True)
class ProvenUser:
    """A user, and the instant (UTC) until which it is proven that work is done for them."""

    user: User
    until: datetime


def name_fault(name: str) -> str | None:
    """What keeps a text from being a user's name: that it could be taken for another, or steer text."""
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        return "it is not valid Unicode"
    if not 1 <= size <= MAX_NAME_BYTES:
        return f"it has {size} bytes instead of 1 to {MAX_NAME_BYTES}"
    if name.startswith(RESERVED_PREFIX):
        return f"names that begin with {RESERVED_PREFIX} are reserved"
    if name != name.strip():
        return "it begins or ends with white space"
    if any(unicodedata.category(character) == "Cc" for character in name):
        return "it has a control character"
    if _REPLACEMENT in name or not _BIDI_CONTROLS.isdisjoint(name):
        return "it has a replacement character or one that changes the direction of text"
    return None
