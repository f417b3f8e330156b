"""Which fields a provider needs and may have, by its kind."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from caracal.authority.zones import CredentialKind
from caracal.tokens.secret import Secret
from caracal.wire.headers import reserved_for_credential
from caracal_server.control.document_faults import Fault, Path
from caracal_server.control.zone_document import ProviderDocument

CREDENTIAL_LENGTH: Final = (1, 8192)


@dataclass(frozen=True, slots=True)
class KindRule:
    """Of the fields in `GOVERNED`, those that a kind needs and those that it may have besides."""

    needs: frozenset[str] = frozenset()
    may_have: frozenset[str] = frozenset()


GOVERNED: Final = ("secret", "header", "scheme", "query_parameter", "username")
KIND_RULES: Final = {
    CredentialKind.NONE: KindRule(),
    CredentialKind.BEARER_TOKEN: KindRule(frozenset({"secret"}), frozenset({"header", "scheme"})),
    CredentialKind.API_KEY: KindRule(
        frozenset({"secret"}), frozenset({"header", "scheme", "query_parameter"})
    ),
    CredentialKind.HTTP_BASIC: KindRule(frozenset({"secret", "username"})),
    CredentialKind.CARACAL_MANDATE: KindRule(may_have=frozenset({"header", "scheme"})),
}


def check_provider(provider: ProviderDocument, path: Path) -> Iterator[Fault]:
    """Yield what is wrong with a provider beyond the shape of its fields."""
    rule = KIND_RULES[provider.kind]
    for field in GOVERNED:
        given = getattr(provider, field) is not None
        if field in rule.needs and not given:
            yield Fault((*path, field), f"is missing; a provider of kind {provider.kind} needs it")
        if given and field not in rule.needs | rule.may_have:
            yield Fault(
                (*path, field), f"has no meaning for the kind {provider.kind}; leave it out"
            )
    yield from _check_place(provider, path)
    if provider.username is not None and ":" in provider.username:
        yield Fault((*path, "username"), "may not hold a colon (RFC 7617 section 2)")
    if provider.secret is not None:
        yield from _check_credential(provider, provider.secret, (*path, "secret"))


def _check_place(provider: ProviderDocument, path: Path) -> Iterator[Fault]:
    if provider.kind is CredentialKind.API_KEY:
        if (provider.header is None) == (provider.query_parameter is None):
            yield Fault(path, "an api_key goes into either header or query_parameter; name one")
        elif provider.query_parameter is not None and provider.scheme is not None:
            yield Fault((*path, "scheme"), "has no meaning in a query parameter; leave it out")
    if provider.header is not None and reserved_for_credential(provider.header):
        yield Fault(
            (*path, "header"),
            f"{provider.header!r} frames, routes or traces requests; use another header",
        )


def _check_credential(provider: ProviderDocument, secret: Secret, path: Path) -> Iterator[Fault]:
    yield from check_secret_text(secret, CREDENTIAL_LENGTH, path)
    text = secret.reveal()
    in_header = provider.kind in {CredentialKind.BEARER_TOKEN, CredentialKind.API_KEY}
    if in_header and not text.isascii():
        yield Fault(path, "holds a character outside ASCII, which no header can carry")
    if provider.kind is CredentialKind.BEARER_TOKEN and text.lower().startswith("bearer "):
        yield Fault(path, "begins with Bearer; leave the word out, it is the scheme")


def check_secret_text(secret: Secret, length: tuple[int, int], path: Path) -> Iterator[Fault]:
    """Yield what keeps a text from being a secret, without showing it."""
    text = secret.reveal()
    least, most = length
    if not least <= len(text) <= most:
        yield Fault(path, f"has {len(text)} characters; {least} to {most} are allowed")
    elif any(character < " " or character == "\x7f" for character in text):
        yield Fault(path, "holds a control character, such as a line break; remove it")
    elif text != text.strip():
        yield Fault(path, "begins or ends with a space; remove it")
    elif any("\ud800" <= character <= "\udfff" for character in text):
        # What an environment holds beyond UTF-8 arrives as lone surrogates.
        yield Fault(path, "is not UTF-8 text")
