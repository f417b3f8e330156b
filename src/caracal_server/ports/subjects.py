"""The keys of those who vouch for users."""

from typing import Protocol

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
