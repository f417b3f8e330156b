"""The zones of this process, in memory: what decisions read."""

from caracal.authority.identifiers import ApplicationId, ZoneId
from caracal.authority.policy.engine import PolicyEngine
from caracal.authority.policy.schema import PolicyVocabulary
from caracal.authority.zones import Zone
from caracal_server.ports.zones import RetiringSecret, ZoneRecord


def vocabulary(record: ZoneRecord) -> PolicyVocabulary:
    """The names that the zone's policy may use."""
    return PolicyVocabulary(
        applications=frozenset(entry.name for entry in record.applications),
        resources={entry.identifier: entry.scopes for entry in record.resources},
    )


class MemoryZones:
    """Implements `NamedZones`, `ClientSecrets` and `ZoneInstaller`.

    A reader sees a zone before a change or after it, never in between: every reference is replaced
    whole, by one event loop.
    """

    __slots__ = ("_homes", "_named", "_retiring", "_secret_hashes", "_zones")

    def __init__(self) -> None:
        self._zones: dict[ZoneId, Zone] = {}
        self._named: dict[str, ZoneId] = {}
        self._homes: dict[ApplicationId, ZoneId] = {}
        self._secret_hashes: dict[ApplicationId, str] = {}
        self._retiring: dict[ApplicationId, RetiringSecret] = {}

    def zone(self, zone_id: ZoneId) -> Zone | None:
        return self._zones.get(zone_id)

    def zones(self) -> tuple[Zone, ...]:
        return tuple(self._zones.values())

    def named(self, name: str) -> Zone | None:
        found = self._named.get(name)
        return None if found is None else self._zones.get(found)

    def application_zone(self, application_id: ApplicationId) -> ZoneId | None:
        return self._homes.get(application_id)

    def secret_hash(self, application_id: ApplicationId) -> str | None:
        return self._secret_hashes.get(application_id)

    def retiring_secret(self, application_id: ApplicationId) -> RetiringSecret | None:
        return self._retiring.get(application_id)

    def install(self, record: ZoneRecord) -> None:
        """Put a saved zone into effect.

        Raises:
            PolicyInvalid: the stored policy can not be read; the zone stays as it was.
        """
        policy = self._policy(record)
        for application_id in [key for key, home in self._homes.items() if home == record.id]:
            del self._homes[application_id]
            self._secret_hashes.pop(application_id, None)
            self._retiring.pop(application_id, None)
        self._homes.update((entry.id, record.id) for entry in record.applications)
        self._secret_hashes.update(record.secret_hashes)
        self._retiring.update(record.retiring_secrets)
        self._named[record.name] = record.id
        self._zones[record.id] = Zone(
            id=record.id,
            name=record.name,
            revision=record.revision,
            applications={entry.id: entry for entry in record.applications},
            providers={entry.id: entry for entry in record.providers},
            resources={entry.identifier: entry for entry in record.resources},
            policy=policy,
            subject_issuers={entry.issuer: entry for entry in record.subject_issuers},
            tool_pins={(pin.resource, pin.tool): pin for pin in record.tool_pins},
        )

    def _policy(self, record: ZoneRecord) -> PolicyEngine | None:
        if record.policy is None:
            return None
        names = vocabulary(record)
        present = self._zones.get(record.id)
        if (
            present is not None
            and present.policy is not None
            and present.policy.digest == record.policy.digest
        ):
            return present.policy.with_vocabulary(names)
        if record.policy.engine is not None:
            return record.policy.engine.with_vocabulary(names)
        return PolicyEngine.load(record.policy.text, names)
