"""`caracal zone`: zones as they are on the server."""

from typing import Annotated

import msgspec
import typer

from caracal_server.cli.options import DataOption, JsonOption, ServerOption, TokenFileOption
from caracal_server.cli.output import print_fields, print_json, print_table, say
from caracal_server.cli.server import Server, path_of
from caracal_server.cli.zone_choice import ZoneRow, choose_zone, list_zones

app = typer.Typer(help="Zones, as they are on the server.")


class Application(msgspec.Struct, frozen=True):
    id: str
    name: str
    enabled: bool
    expires_at: str | None
    secret: str
    traits: tuple[str, ...] = ()


class Provider(msgspec.Struct, frozen=True):
    id: str
    name: str
    kind: str
    header: str | None
    scheme: str
    query_parameter: str | None
    username: str
    allowed_hosts: tuple[str, ...]
    forward_identity: bool
    credential: bool


class Operation(msgspec.Struct, frozen=True):
    method: str
    path: str
    scope: str


class Named(msgspec.Struct, frozen=True):
    name: str
    scope: str


class Resource(msgspec.Struct, frozen=True):
    id: str
    identifier: str
    name: str
    upstream: str
    provider: str | None
    scopes: tuple[str, ...]
    operations: tuple[Operation, ...]
    enforcement: str
    kind: str = "http"
    tools: tuple[Named, ...] = ()
    prompts: tuple[Named, ...] = ()
    resources: tuple[Named, ...] = ()


class SubjectIssuer(msgspec.Struct, frozen=True):
    issuer: str
    jwks_url: str
    audience: str


class Policy(msgspec.Struct, frozen=True):
    digest: str
    text: str
    created_at: str


class Zone(msgspec.Struct, frozen=True):
    """A zone as Control shows it: nothing in it is secret."""

    id: str
    name: str
    revision: int
    created_at: str
    applications: tuple[Application, ...]
    providers: tuple[Provider, ...]
    resources: tuple[Resource, ...]
    policy: Policy | None
    subject_issuers: tuple[SubjectIssuer, ...] = ()


class _ZoneList(msgspec.Struct, frozen=True):
    zones: tuple[ZoneRow, ...]


def load_zone(server: Server, zone_id: str) -> Zone:
    return server.get(path_of("v1", "zones", zone_id), Zone)


@app.command("list")
def list_command(
    server: ServerOption = None,
    token_file: TokenFileOption = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """List the zones."""
    with Server.connect(server, token_file, data, "list the zones") as connected:
        zones = list_zones(connected)
    if json:
        print_json(_ZoneList(zones))
        return
    rows = [(zone.id, zone.name, str(zone.revision)) for zone in zones]
    print_table(("ID", "NAME", "REVISION"), rows, empty="no zones; make one with `caracal apply`")


@app.command()
def show(
    name: Annotated[
        str | None, typer.Argument(help="Its name or id; may be left out when there is one zone.")
    ] = None,
    server: ServerOption = None,
    token_file: TokenFileOption = None,
    data: DataOption = None,
    json: JsonOption = False,
) -> None:
    """Show what a zone says: who may act, on what, with whose credential, under which policy."""
    with Server.connect(server, token_file, data, "show the zone") as connected:
        zone = load_zone(connected, choose_zone(connected, name).id)
    if json:
        print_json(zone)
    else:
        _show(zone)


def _show(zone: Zone) -> None:
    print_fields(
        (
            ("zone", zone.name),
            ("id", zone.id),
            ("revision", str(zone.revision)),
            ("created", zone.created_at),
        )
    )
    say()
    print_table(
        ("APPLICATION", "ID", "SECRET", "STATE"),
        [(row.name, row.id, row.secret, _state(row)) for row in zone.applications],
        empty="no applications",
    )
    say()
    print_table(
        ("PROVIDER", "KIND", "CREDENTIAL"),
        [(row.name, row.kind, "sealed" if row.credential else "-") for row in zone.providers],
        empty="no providers",
    )
    if zone.subject_issuers:
        say()
        print_table(
            ("SUBJECT ISSUER", "AUDIENCE"),
            [(row.issuer, row.audience) for row in zone.subject_issuers],
            empty="",
        )
    for resource in zone.resources:
        say()
        _show_resource(resource)
    say()
    if zone.policy is None:
        say("no policy: everything is refused")
        return
    say(f"policy version {zone.policy.digest}, since {zone.policy.created_at}")
    for line in zone.policy.text.splitlines():
        say(f"  {line}")


def _state(application: Application) -> str:
    if not application.enabled:
        return "disabled"
    return f"until {application.expires_at}" if application.expires_at else "enabled"


def _show_resource(resource: Resource) -> None:
    say(f"resource {resource.identifier}  {resource.name}")
    with_credential = f" with the credential of {resource.provider}" if resource.provider else ""
    say(f"  upstream {resource.upstream}{with_credential}; {resource.enforcement}")
    if resource.kind == "mcp":
        rows = [(f"  {what} {row.name}", row.scope) for what, row in _offered(resource)]
        print_table(("  OF THE MCP SERVER", "SCOPE"), rows, empty="  no tools")
    else:
        rows = [(f"  {row.method} {row.path}", row.scope) for row in resource.operations]
        print_table(("  OPERATION", "SCOPE"), rows, empty="  no operations")
    extra = _unused(resource)
    if extra:
        say(f"  further scopes: {' '.join(extra)}")


def _offered(resource: Resource) -> list[tuple[str, Named]]:
    groups = (
        ("tool", resource.tools),
        ("prompt", resource.prompts),
        ("resource", resource.resources),
    )
    return [(what, row) for what, rows in groups for row in rows]


def _unused(resource: Resource) -> tuple[str, ...]:
    used = {operation.scope for operation in resource.operations}
    used |= {row.scope for _, row in _offered(resource)}
    return tuple(scope for scope in resource.scopes if scope not in used)
