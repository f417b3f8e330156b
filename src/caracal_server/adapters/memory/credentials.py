"""The upstream credentials that the Gateway has opened; they stay in its memory."""

from caracal.authority.identifiers import ProviderId, ZoneId
from caracal.tokens.secret import Secret
from caracal_server.ports.keys import CredentialOpener
from caracal_server.ports.zones import ZoneRecord


class OpenedCredentials:
    """Implements `Credentials` and `ZoneInstaller`."""

    __slots__ = ("_opened", "_opener")

    def __init__(self, opener: CredentialOpener) -> None:
        self._opener = opener
        self._opened: dict[ZoneId, dict[ProviderId, Secret]] = {}

    def credential(self, zone_id: ZoneId, provider_id: ProviderId) -> Secret | None:
        return self._opened.get(zone_id, {}).get(provider_id)

    def install(self, record: ZoneRecord) -> None:
        """Open every credential of a saved zone.

        Raises:
            Unavailable: one of them can not be opened; the zone's credentials stay as they were.
        """
        self._opened[record.id] = {
            provider_id: self._opener.open(record.id, provider_id, sealed)
            for provider_id, sealed in record.sealed_credentials.items()
        }
