"""Zones: the snapshot that decisions read, and where configuration is kept."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from caracal.authority.identifiers import ApplicationId, ProviderId, ZoneId
from caracal.authority.policy.engine import PolicyEngine
from caracal.authority.resources import Resource
from caracal.authority.subjects import SubjectIssuer
from caracal.authority.tool_pins import ToolPin
from caracal.authority.zones import Application, Provider, Zone


class ZoneDirectory(Protocol):
    """The zones, in memory. Reads never wait; a zone is replaced whole."""

    def zone(self, zone_id: ZoneId) -> Zone | None: ...

    def zones(self) -> tuple[Zone, ...]: ...

    def application_zone(self, application_id: ApplicationId) -> ZoneId | None:
        """Which zone an application lives in, whatever the caller claims."""
        ...


class NamedZones(ZoneDirectory, Protocol):
    """The same, and by the name that a zone has on this server."""

    def named(self, name: str) -> Zone | None: ...


class ClientSecrets(Protocol):
    """Hashes of application secrets, in memory; only the STS reads them."""

    def secret_hash(self, application_id: ApplicationId) -> str | None:
        """The tagged hash, such as `hmac-sha256$...` or `argon2id$...`."""
        ...

    def retiring_secret(self, application_id: ApplicationId) -> "RetiringSecret | None":
        """The secret before, if it was renewed with an overlap."""
        ...


@dataclass(frozen=True, slots=True)
class RetiringSecret:
    """A secret that was renewed and proves its application all the same, until an instant."""

    stored: str
    until: datetime


@dataclass(frozen=True, slots=True)
class PolicyVersion:
    """A policy text that was accepted.

    Attributes:
        engine: the text, compiled, when it was accepted just now; it is not stored.
    """

    digest: str
    text: str
    created_at: datetime
    engine: PolicyEngine | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class ZoneRecord:
    """A zone as it is kept. Secrets are only here as hashes and sealed bytes.

    Attributes:
        secret_hashes: tagged hash per application.
        sealed_credentials: what only the Gateway can open, per provider.
        credential_fingerprints: keyed digest of each credential, to tell whether a new one differs.
        retiring_secrets: per application, the secret before the present one, while they overlap.
        tool_pins: what is known of the definitions of its MCP servers' tools, by resource and name.
        title: what people call it, where that is not its name.
        archived_at: since when it is put away: nothing is in it, and only its evidence is read.
    """

    id: ZoneId
    name: str
    revision: int
    created_at: datetime
    applications: tuple[Application, ...]
    providers: tuple[Provider, ...]
    resources: tuple[Resource, ...]
    policy: PolicyVersion | None
    secret_hashes: dict[ApplicationId, str]
    sealed_credentials: dict[ProviderId, bytes]
    credential_fingerprints: dict[ProviderId, str]
    retiring_secrets: dict[ApplicationId, RetiringSecret] = field(default_factory=dict)
    subject_issuers: tuple[SubjectIssuer, ...] = ()
    tool_pins: tuple[ToolPin, ...] = ()
    title: str = ""
    archived_at: datetime | None = None


class ZoneStore(Protocol):
    """Where zones are kept."""

    async def load_all(self) -> tuple[ZoneRecord, ...]: ...

    async def save(self, record: ZoneRecord, *, expected_revision: int) -> None:
        """Replace a zone whole and durably; its policy versions are kept for ever.

        Raises:
            Unavailable: the zone's revision is not `expected_revision` (0 for a new one), or the store
                can not be reached; nothing changed.
        """
        ...

    async def policy_versions(self, zone_id: ZoneId) -> tuple[PolicyVersion, ...]: ...


class ZoneInstaller(Protocol):
    """Puts a saved zone into effect in this process: snapshot, secret hashes, credentials."""

    def install(self, record: ZoneRecord) -> None: ...
