"""Control put together as assembly does it, over ports that a test chooses."""

from dataclasses import dataclass
from pathlib import Path

from caracal_server.control.acts import ActLog
from caracal_server.control.apply import ApplyZone, OnApplicationRemoved, ZoneKeys
from caracal_server.control.authentication import OperatorAuthentication
from caracal_server.control.custody import ApplicationSecrets, BroughtSecrets, CredentialCustody
from caracal_server.control.gate import Gate
from caracal_server.control.http import Counts, ZoneApi
from caracal_server.control.keys import RotateKey
from caracal_server.control.operators import Operators
from caracal_server.control.operators_http import OperatorApi
from caracal_server.control.publication import Publication
from caracal_server.control.renewal import RenewSecret
from caracal_server.control.settings import ControlSettings
from caracal_server.control.views import InstallationView
from caracal_server.ports.clock import Clock
from caracal_server.ports.entropy import Entropy
from caracal_server.ports.evidence import EvidenceLog
from caracal_server.ports.keys import CredentialSealer
from caracal_server.ports.operators import OperatorStore
from caracal_server.ports.zones import ZoneDirectory, ZoneInstaller, ZoneStore
from caracal_server.web.health import Readiness
from caracal_server.web.routes import Route


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlPorts:
    """What Control needs of the world.

    Attributes:
        installers: put a saved zone into effect; the one behind `directory` comes last.
        on_application_removed: revokes all that an application holds.
        counts: what is going on in a zone, for the status.
    """

    clock: Clock
    entropy: Entropy
    zones: ZoneStore
    operators: OperatorStore
    evidence: EvidenceLog
    sealer: CredentialSealer
    brought: BroughtSecrets
    zone_keys: ZoneKeys
    directory: ZoneDirectory
    installers: tuple[ZoneInstaller, ...]
    on_application_removed: OnApplicationRemoved
    readiness: Readiness
    counts: Counts


@dataclass(frozen=True, slots=True)
class ControlService:
    """What assembly holds. `authenticate` proves operators for every edge of the control side."""

    operators: Operators
    authenticate: OperatorAuthentication
    apply: ApplyZone
    zone_api: ZoneApi
    operator_api: OperatorApi

    async def start(self, token_file: Path) -> bool:
        """Load the operators; with nobody left who may write, make a token and write it down.

        The log of evidence must have been started.

        Returns:
            Whether `token_file` was written.

        Raises:
            OSError: the file can not be written.
            Unavailable: the store or the log can not be reached.
        """
        await self.operators.load()
        return await self.operators.ensure_first(token_file)

    def routes(self) -> tuple[Route, ...]:
        """The admin API; refusals are rendered as problem details."""
        return (*self.zone_api.routes(), *self.operator_api.routes())


def build_control_service(
    ports: ControlPorts, settings: ControlSettings, *, version: str
) -> ControlService:
    """Put the service together; nothing runs yet."""
    acts = ActLog(ports.evidence, ports.clock)
    operators = Operators(
        store=ports.operators,
        clock=ports.clock,
        entropy=ports.entropy,
        acts=acts,
        settings=settings,
    )
    authenticate = OperatorAuthentication(operators)
    gate = Gate(settings, authenticate, ports.zones, acts)
    publication = Publication(ports.zones, ports.directory, ports.installers)
    secrets = ApplicationSecrets(settings, ports.entropy, ports.brought)
    apply = ApplyZone(
        clock=ports.clock,
        entropy=ports.entropy,
        publication=publication,
        acts=acts,
        secrets=secrets,
        credentials=CredentialCustody(settings, ports.sealer),
        zone_keys=ports.zone_keys,
        on_application_removed=ports.on_application_removed,
    )
    zone_api = ZoneApi(
        gate=gate,
        apply=apply,
        rotate=RotateKey(acts, ports.zone_keys, publication),
        renew=RenewSecret(ports.clock, publication, acts, secrets),
        operators=operators,
        readiness=ports.readiness,
        counts=ports.counts,
        version=version,
        installation=InstallationView("unknown", "", "nobody looked"),
    )
    return ControlService(operators, authenticate, apply, zone_api, OperatorApi(gate, operators))
