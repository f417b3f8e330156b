"""Clients that people sign in for: of the zone file, by a document of their own, or registered.

The latter two act as an application that the zone file lets them act as. A registration is kept by nobody:
the client id is what was registered, sealed, so no number of them fills anything.
"""

import hmac
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import msgspec

from caracal.authority.zones import Application, Zone
from caracal.tokens import base64url
from caracal.tokens.secret import Secret
from caracal.wire.client_metadata import ClientMetadata, parse_metadata
from caracal.wire.errors import WireError
from caracal_server.ports.client_metadata import ClientDocuments, ClientMetadataUnavailable

REGISTRATION_LIFETIME: Final = timedelta(days=7)
REGISTRATIONS_PER_MINUTE: Final = 30
_PREFIX: Final = "registered."
_MAC_BYTES: Final = 32
_MAX_ID: Final = 4_096
_URL: Final = re.compile(r"https://([a-z0-9._-]+)(?::[0-9]{1,5})?/[A-Za-z0-9._~/-]{1,200}")


class PersonsClient(msgspec.Struct, frozen=True):
    """A client as people see it, and the application that it acts as.

    Attributes:
        name: of a client that nobody listed, what it calls itself; may be empty.
        listed: whether an operator wrote its redirects into the zone file.
        host: where the document is that describes it, if one does.
    """

    application: Application
    name: str
    redirect_uris: tuple[str, ...]
    listed: bool = False
    host: str = ""


class _Registered(msgspec.Struct, frozen=True, array_like=True):
    zone: str
    ends: int
    name: str
    redirect_uris: tuple[str, ...]


@dataclass(slots=True)
class PeopleClients:
    """Finds clients by their ids; `key` seals registrations."""

    documents: ClientDocuments
    key: Secret = field(repr=False)
    _minute: dict[str, tuple[int, int]] = field(default_factory=dict, init=False)

    async def find(self, zone: Zone, client_id: str, now: datetime) -> PersonsClient | None:
        """The client, if the zone file knows it or lets it be."""
        found = self._listed(zone, client_id) or self._registered(zone, client_id, now)
        found = found or await self._documented(zone, client_id)
        return found if found is not None and found.application.usable(now) else None

    def register(self, zone: Zone, metadata: ClientMetadata, now: datetime) -> str | None:
        """The id of a client that registers itself; `None` when too many did within a minute."""
        minute = int(now.timestamp()) // 60
        since, count = self._minute.get(zone.id, (minute, 0))
        count = 0 if since != minute else count
        if count >= REGISTRATIONS_PER_MINUTE:
            return None
        self._minute[zone.id] = (minute, count + 1)
        ends = int((now + REGISTRATION_LIFETIME).timestamp())
        body = msgspec.msgpack.encode(
            _Registered(zone.id, ends, metadata.client_name, metadata.redirect_uris)
        )
        return _PREFIX + base64url.encode(self._mac(body) + body).decode()

    def _listed(self, zone: Zone, client_id: str) -> PersonsClient | None:
        for application in zone.applications.values():
            if application.id == client_id and application.redirect_uris:
                return PersonsClient(
                    application, application.name, application.redirect_uris, listed=True
                )
        return None

    def _registered(self, zone: Zone, client_id: str, now: datetime) -> PersonsClient | None:
        application = registrar(zone)
        if application is None or not client_id.startswith(_PREFIX) or len(client_id) > _MAX_ID:
            return None
        try:
            raw = base64url.decode(client_id.removeprefix(_PREFIX).encode())
        except ValueError:
            return None
        mac, body = raw[:_MAC_BYTES], raw[_MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(body)):
            return None
        said = msgspec.msgpack.decode(body, type=_Registered)
        if said.zone != zone.id or now.timestamp() >= said.ends:
            return None
        return PersonsClient(application, said.name, said.redirect_uris)

    async def _documented(self, zone: Zone, client_id: str) -> PersonsClient | None:
        url = _URL.fullmatch(client_id)
        if url is None or not {".", ".."}.isdisjoint(client_id.split("/")):
            return None
        host = url[1]
        hosts = (one for one in zone.applications.values() if host in one.metadata_hosts)
        application = next(hosts, None)
        if application is None:
            return None
        try:
            metadata = parse_metadata(await self.documents.fetch(client_id))
        except (ClientMetadataUnavailable, WireError):
            return None
        if metadata.client_id != client_id:
            return None
        return PersonsClient(application, metadata.client_name, metadata.redirect_uris, host=host)

    def _mac(self, body: bytes) -> bytes:
        key = self.key.reveal().encode()
        return hmac.digest(key, b"caracal/client-registration/1\x00" + body, "sha256")


def registrar(zone: Zone) -> Application | None:
    """The application that clients which register themselves act as; most zones have none."""
    return next((one for one in zone.applications.values() if one.takes_registrations), None)
