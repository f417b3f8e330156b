"""The keys of those who vouch for users."""

from collections.abc import Mapping
from typing import Protocol

from caracal.tokens.jws import RawToken
from caracal.tokens.subject_keys import IssuerKeys


class IssuerKeysUnavailable(Exception):
    """The keys can not be had now; the message says why, for an operator."""


class PublishedIssuerKeys(Protocol):
    async def keys(self, jwks_url: str, kid: str) -> IssuerKeys:
        """What is published at a URL, as lately as it takes to know `kid`, within bounds.

        Raises:
            IssuerKeysUnavailable: nothing that is recent enough could be had.
        """
        ...


class SignInFailed(Exception):
    """The provider gave no ID token; the message says why, for an operator."""


class IdTokens(Protocol):
    async def redeem(self, token_url: str, fields: Mapping[str, str]) -> RawToken:
        """Trade what a sign-in yielded for an ID token, which proves nothing yet, within bounds.

        Raises:
            SignInFailed: there is none.
        """
        ...
