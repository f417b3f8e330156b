"""docs/admin-api.md lists what the admin API serves and refuses: all of it, and nothing else."""

import re
from pathlib import Path

from caracal_server.audit.admin_reads import AdminAuditApi
from caracal_server.control.admin.absent import ABSENT
from caracal_server.control.admin.api import AdminApi
from caracal_server.coordinator.admin_reads import AdminReads

PAGE = Path(__file__).parents[2] / "docs" / "admin-api.md"
ROW = re.compile(r"^\| `([A-Z]+) (\S+)` \| `(read|write)` \|(.*)\|$", re.MULTILINE)
SHARED = {("GET", "/v1/zones"), ("GET", "/v1/zones/{zone}")}


class Anything:
    """Routes are a table of handlers: listing them asks nothing of what the handlers need."""

    def __getattr__(self, _name):
        return self

    def __call__(self, *_arguments, **_named):
        return self


def _listed():
    rows = {}
    for method, path, needs, note in ROW.findall(PAGE.read_text()):
        key = method, _plain(re.sub(r"^Z(?=/|$)", "/v1/zones/{zone}", path))
        assert key not in rows, key
        rows[key] = needs, note.strip()
    return rows


def _plain(path):
    """A path whose parameters have no names but the zone."""
    return re.sub(r"\{(?!zone\})\w+\}", "{}", path)


def _served():
    any_ports = [Anything() for _ in AdminApi.__dataclass_fields__]
    routes = (
        *AdminApi(*any_ports).routes(),
        *AdminReads(*[Anything() for _ in AdminReads.__dataclass_fields__]).routes(),
        *AdminAuditApi(Anything(), Anything(), Anything()).routes(),
    )
    return {(route.method, _plain(route.path)) for route in routes} | SHARED


def test_every_route_that_is_served_is_listed_and_the_other_way_round():
    assert _listed().keys() == _served()


def test_what_is_refused_is_said_to_be():
    listed = _listed()
    for method, path in ABSENT:
        assert listed[method, _plain(path)][1].startswith("refused"), (method, path)
