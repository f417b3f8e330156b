"""What clients publish about themselves."""

from typing import Protocol


class ClientMetadataUnavailable(Exception):
    """The document can not be had; the message says why, for an operator."""


class ClientDocuments(Protocol):
    async def fetch(self, url: str) -> bytes:
        """The document at an https URL, as lately as a few minutes ago, within bounds.

        Raises:
            ClientMetadataUnavailable: there is none.
        """
        ...
