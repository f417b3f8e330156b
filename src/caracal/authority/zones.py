"""A zone as decisions see it: one immutable value, replaced whole when anything in it changes."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from caracal.authority.identifiers import (
    ApplicationId,
    ProviderId,
    ResourceId,
    ZoneId,
)
from caracal.authority.policy.engine import PolicyEngine
from caracal.authority.resources import Resource, ResourceUri
from caracal.authority.subjects import SubjectIssuer
from caracal.authority.tool_pins import Pins


@dataclass(frozen=True, slots=True)
class Application:
    """Registered software. `name` is unique in its zone and is what policies call it.

    Attributes:
        traits: words about it; those that begin with `control:` make it a control key.
        title: what people call it, where that is not its name.
        redirect_uris: where a person's browser is sent back to, of a client that people sign in for.
        metadata_hosts: clients whose id is a URL at one of these hosts act as this application.
        takes_registrations: clients that register themselves act as this application.
        keys: public keys, each a JWK as JSON, that prove it where it signs instead of showing a secret.
    """

    id: ApplicationId
    name: str
    enabled: bool = True
    expires_at: datetime | None = None
    traits: tuple[str, ...] = ()
    title: str = ""
    keys: tuple[str, ...] = ()
    redirect_uris: tuple[str, ...] = ()
    metadata_hosts: tuple[str, ...] = ()
    takes_registrations: bool = False

    def usable(self, now: datetime) -> bool:
        return self.enabled and (self.expires_at is None or now < self.expires_at)


class CredentialKind(StrEnum):
    """How a provider proves itself upstream."""

    NONE = "none"
    BEARER_TOKEN = "bearer_token"  # noqa: S105 (a kind, not a secret)
    API_KEY = "api_key"
    HTTP_BASIC = "http_basic"
    CARACAL_MANDATE = "caracal_mandate"


@dataclass(frozen=True, slots=True)
class Provider:
    """Where an upstream credential goes; the credential itself is never here.

    Attributes:
        header: the header that carries it; `None` when it goes into the query.
        scheme: the word before it in the header, `""` for none.
        query_parameter: the query key that carries it, for `api_key` only.
        username: for `http_basic`.
        allowed_hosts: the only upstream hosts it may be sent to; empty for the resource's own.
        title: what people call it, where that is not its name.
    """

    id: ProviderId
    name: str
    kind: CredentialKind
    header: str | None = None
    scheme: str = ""
    query_parameter: str | None = None
    username: str = ""
    allowed_hosts: frozenset[str] = frozenset()
    forward_identity: bool = False
    title: str = ""


@dataclass(frozen=True, slots=True)
class Zone:
    """Tenant and trust boundary.

    Attributes:
        revision: raised by every change to the zone's configuration.
        policy: the active policy version, compiled; `None` refuses everything.
        subject_issuers: who may vouch for users, by `iss`.
        tool_pins: what is known of the definitions of MCP servers' tools.
    """

    id: ZoneId
    name: str
    revision: int
    applications: dict[ApplicationId, Application] = field(default_factory=dict)
    providers: dict[ProviderId, Provider] = field(default_factory=dict)
    resources: dict[ResourceUri, Resource] = field(default_factory=dict)
    policy: PolicyEngine | None = None
    subject_issuers: dict[str, SubjectIssuer] = field(default_factory=dict)
    tool_pins: Pins = field(default_factory=dict)

    def resource(self, reference: str) -> Resource | None:
        """A resource by identifier, or by row id as stock clients may name it."""
        found = self.resources.get(ResourceUri(reference))
        if found is not None:
            return found
        wanted = ResourceId(reference)
        return next((entry for entry in self.resources.values() if entry.id == wanted), None)

    def at_endpoint(self, endpoint: str) -> Resource | None:
        """The MCP server that clients reach under this name."""
        if not endpoint:
            return None
        found = self.resources.values()
        return next((entry for entry in found if entry.endpoint == endpoint), None)
