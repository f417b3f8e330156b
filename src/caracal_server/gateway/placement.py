"""Where an upstream credential goes: headers and query of the outgoing call."""

import base64
from dataclasses import dataclass
from urllib.parse import quote, unquote_plus

from caracal.authority.outcomes import Reason, Refused
from caracal.authority.zones import CredentialKind, Provider
from caracal.tokens.secret import Secret

Header = tuple[bytes, bytes]


@dataclass(frozen=True, slots=True, repr=False)
class Placement:
    """What is added to a call. It holds secrets, so it has no repr.

    Attributes:
        replaces: header names of the caller's that must not go upstream beside it.
        query: the query as it goes upstream.
    """

    headers: tuple[Header, ...]
    replaces: frozenset[bytes]
    query: bytes


def place(
    provider: Provider | None,
    credential: Secret | None,
    *,
    mandate: str | None,
    query: bytes,
) -> Placement | Refused:
    """Put a provider's credential where it belongs.

    Args:
        credential: the opened secret, for the kinds that have one.
        mandate: the resource mandate, for `caracal_mandate` and for forwarded identities.
        query: the caller's, already checked.

    Returns:
        `Refused` when the credential is missing: a call never goes out without the one it needs.
    """
    if provider is None:
        return Placement((), frozenset(), query)
    headers: list[Header] = []
    if provider.forward_identity and mandate is not None:
        headers.append((b"x-caracal-identity", mandate.encode()))
    if provider.kind is CredentialKind.NONE:
        return Placement(tuple(headers), frozenset(), query)
    value = _value(provider, credential, mandate)
    if value is None:
        return Refused(
            Reason.CREDENTIAL_UNAVAILABLE, f"the provider {provider.name} has no credential here"
        )
    if provider.query_parameter is not None:
        return Placement(
            tuple(headers), frozenset(), _with_parameter(query, provider.query_parameter, value)
        )
    name = (provider.header or "authorization").lower().encode()
    text = f"{provider.scheme} {value}" if provider.scheme else value
    headers.append((name, text.encode()))
    return Placement(tuple(headers), frozenset({name}), query)


def _value(provider: Provider, credential: Secret | None, mandate: str | None) -> str | None:
    match provider.kind:
        case CredentialKind.CARACAL_MANDATE:
            return mandate
        case CredentialKind.HTTP_BASIC:
            if credential is None:
                return None
            pair = f"{provider.username}:{credential.reveal()}"
            return base64.b64encode(pair.encode()).decode()
        case CredentialKind.BEARER_TOKEN | CredentialKind.API_KEY:
            return None if credential is None else credential.reveal()
        case CredentialKind.NONE:
            return None


def _with_parameter(query: bytes, name: str, value: str) -> bytes:
    """The caller's query without any parameter of that name, and the credential's at its end."""
    kept = [
        part
        for part in query.split(b"&")
        if part and unquote_plus(part.partition(b"=")[0].decode("latin-1")) != name
    ]
    kept.append(f"{quote(name, safe='')}={quote(value, safe='')}".encode())
    return b"&".join(kept)
