"""Where an upstream credential goes: headers and query of the outgoing call."""

import base64
from collections.abc import Iterable
from typing import Final, final
from urllib.parse import quote, unquote, unquote_plus

from caracal.authority.outcomes import Reason, Refused
from caracal.authority.zones import CredentialKind, Provider
from caracal.tokens.secret import Secret

Header = tuple[bytes, bytes]


@final
class Placement:
    """What is added to a call. It holds secrets, so it shows nothing of itself.

    Attributes:
        replaces: header names of the caller's that must not go upstream beside it.
        query: the query as it goes upstream.
        parameter: the one in the query that holds the credential, `name=value` as it goes upstream;
            empty when none does.
    """

    __slots__ = ("headers", "parameter", "query", "replaces")

    def __init__(
        self,
        headers: tuple[Header, ...],
        replaces: frozenset[bytes],
        query: bytes,
        parameter: bytes = b"",
    ) -> None:
        self.headers = headers
        self.replaces = replaces
        self.query = query
        self.parameter = parameter

    def returnable(self, headers: Iterable[Header]) -> Iterable[Header]:
        """An upstream's headers without those that would show the caller a credential of the query.

        A redirect repeats the query that it answers: the credential's parameter is taken out of a
        location, and a location that holds the credential elsewhere is left out.
        """
        if not self.parameter:
            return headers
        return [kept for header in headers if (kept := self._returnable(header)) is not None]

    def _returnable(self, header: Header) -> Header | None:
        name = header[0].lower().replace(b"_", b"-")
        if name in _LINKING:
            return None
        if name not in _LOCATING:
            return header
        rest, hash_mark, fragment = header[1].partition(b"#")
        path, mark, query = rest.partition(b"?")
        if mark:
            query = without_parameters(query, self.parameter)
            rest = path + b"?" + query if query else path
        location = rest + hash_mark + fragment
        return None if self._shown_in(location) else (header[0], location)

    def _shown_in(self, location: bytes) -> bool:
        """Whether the credential stands in it, however often it was encoded."""
        secret = unquote(self.parameter.partition(b"=")[2].decode())
        text = location.decode("latin-1")
        for _ in range(_DECODINGS):
            if secret in text or secret in unquote_plus(text):
                return True
            text = unquote(text)
        return False


_NOTHING: frozenset[bytes] = frozenset()
_LOCATING: Final = frozenset({b"location", b"content-location"})
_LINKING: Final = frozenset({b"link", b"refresh"})
_DECODINGS: Final = 4


def place(
    provider: Provider, credential: Secret | None, *, mandate: str | None, query: bytes
) -> Placement | Refused:
    """Put a provider's credential where it belongs.

    Args:
        provider: says where.
        credential: the opened secret, for the kinds that have one.
        mandate: the resource mandate, for `caracal_mandate` and for forwarded identities.
        query: the caller's, already checked.

    Returns:
        `Refused` when the credential is missing: a call never goes out without the one it needs.
    """
    identity: tuple[Header, ...] = ()
    if provider.forward_identity and mandate is not None:
        identity = ((b"x-caracal-identity", mandate.encode()),)
    if provider.kind is CredentialKind.NONE:
        return Placement(identity, _NOTHING, query)
    value = _value(provider, credential, mandate)
    if not value:
        return Refused(
            Reason.CREDENTIAL_UNAVAILABLE, f"the provider {provider.name} has no credential here"
        )
    if provider.query_parameter is not None:
        own = f"{quote(provider.query_parameter, safe='')}={quote(value, safe='')}".encode()
        kept = without_parameters(query, own)
        return Placement(identity, _NOTHING, kept + b"&" + own if kept else own, own)
    name = (provider.header or "authorization").lower().encode()
    text = f"{provider.scheme} {value}" if provider.scheme else value
    return Placement((*identity, (name, text.encode())), frozenset((name,)), query)


def _value(provider: Provider, credential: Secret | None, mandate: str | None) -> str | None:
    if provider.kind is CredentialKind.CARACAL_MANDATE:
        return mandate
    if credential is None:
        return None
    secret = credential.reveal()
    if provider.kind is CredentialKind.HTTP_BASIC:
        return base64.b64encode(f"{provider.username}:{secret}".encode()).decode()
    return secret


def without_parameters(query: bytes, others: bytes) -> bytes:
    """The parts of `query` whose names do not occur in `others`.

    Names are compared decoded and without case, and `;` is taken for a separator as some servers take
    it, so that no spelling of the caller's slips past.
    """
    taken = _names(others)
    return b"&".join(
        [part for part in query.split(b"&") if part and taken.isdisjoint(_names(part))]
    )


def _names(query: bytes) -> set[str]:
    return {
        unquote_plus(pair.partition(b"=")[0].decode("latin-1")).casefold()
        for pair in query.replace(b";", b"&").split(b"&")
    }
