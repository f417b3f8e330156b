"""What a refused caller is answered: RFC 6750 challenges, and RFC 9728 metadata to find the way."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import msgspec

from caracal.verify.refusals import Code, NotVerified
from caracal.verify.requirements import origin

WELL_KNOWN: Final = "/.well-known/oauth-protected-resource"
MAX_AGE_SECONDS: Final = 3600
# RFC 6750 section 3: what error_description may hold.
_OUTSIDE: Final = re.compile(r"[^\x20\x21\x23-\x5b\x5d-\x7e]")
_ERRORS: Final = {400: "invalid_request", 401: "invalid_token", 403: "insufficient_scope"}

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole response, for whichever protocol sends it."""

    status: int
    headers: Headers
    body: bytes


class _Metadata(msgspec.Struct, frozen=True, omit_defaults=True):
    """RFC 9728 section 2."""

    resource: str
    authorization_servers: tuple[str, ...]
    bearer_methods_supported: tuple[str, ...]
    scopes_supported: tuple[str, ...] = ()


class _Refusal(msgspec.Struct, frozen=True, omit_defaults=True):
    error: str
    error_description: str
    hint: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ProtectedResource:
    """What this server says about itself.

    Attributes:
        url: the address under which clients know it: https, or http to loopback. Never taken from a
            request, whose `Host` anybody can write.
        issuer: where mandates for it come from.
        scopes: that it asks for somewhere.
    """

    url: str
    issuer: str
    scopes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        origin(self.url)

    @property
    def metadata_path(self) -> str:
        """RFC 9728 section 3.1: the path of the resource follows the well-known one."""
        return WELL_KNOWN + origin(self.url).path.rstrip("/")

    @property
    def metadata_url(self) -> str:
        parts = origin(self.url)
        return f"{parts.scheme}://{parts.netloc}{self.metadata_path}"

    def document(self, method: str) -> Answer:
        """The answer to a request for the metadata."""
        if method not in {"GET", "HEAD"}:
            return Answer(405, (("allow", "GET, HEAD"), ("content-length", "0")), b"")
        body = msgspec.json.encode(
            _Metadata(self.url, (self.issuer,), ("header",), tuple(sorted(self.scopes)))
        )
        headers = (*_json(body), ("cache-control", f"public, max-age={MAX_AGE_SECONDS}"))
        return Answer(200, headers, b"" if method == "HEAD" else body)


def described(
    audience: str, issuer: str, url: str | None, scopes: Iterable[str]
) -> ProtectedResource | None:
    """The resource as metadata describes it; an audience that is no URL needs one to be told."""
    if url is None:
        try:
            origin(audience)
        except ValueError:
            return None
    return ProtectedResource(url or audience, issuer, tuple(scopes))


def answer(
    refused: NotVerified, resource: ProtectedResource | None, scopes: Iterable[str] = ()
) -> Answer:
    """Refuse: JSON for programs, a challenge for clients that speak OAuth.

    Args:
        refused: what was found.
        resource: whose metadata the challenge points at.
        scopes: that are needed at the path.
    """
    body = msgspec.json.encode(
        _Refusal(refused.code, refused.description, refused.fix, refused.reason or "")
    )
    headers = [*_json(body), ("cache-control", "no-store")]
    if refused.status in _ERRORS:
        headers.append(("www-authenticate", _challenge(refused, resource, scopes)))
    if refused.retry_after is not None:
        headers.append(("retry-after", str(refused.retry_after)))
    return Answer(refused.status, tuple(headers), body)


def _challenge(
    refused: NotVerified, resource: ProtectedResource | None, scopes: Iterable[str]
) -> str:
    """RFC 6750 section 3; who sent no token is told no error."""
    said: list[tuple[str, str]] = []
    if refused.code is not Code.MISSING_TOKEN:
        said.append(("error", _ERRORS[refused.status]))
        said.append(("error_description", _OUTSIDE.sub("'", refused.description)))
    wanted = " ".join(sorted(scopes))
    if wanted:
        said.append(("scope", wanted))
    if resource is not None:
        said.append(("resource_metadata", resource.metadata_url))
    return " ".join(("Bearer", ", ".join(f'{name}="{value}"' for name, value in said))).rstrip()


def _json(body: bytes) -> Headers:
    return (
        ("content-type", "application/json"),
        ("content-length", str(len(body))),
        ("x-content-type-options", "nosniff"),
    )
