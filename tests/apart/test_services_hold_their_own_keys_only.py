"""Who holds what, when services run apart: each its own, and what it needs is an error when it is gone."""

import subprocess
import sys
from dataclasses import fields, replace

import pytest

from caracal.authority.identifiers import ProviderId
from caracal.authority.mcp import NameRule, NameTable, ResourceKind
from caracal.authority.scopes import Scope
from caracal_server.adapters.entropy import SystemEntropy
from caracal_server.adapters.sealing.key_files import KeyFileError
from caracal_server.assembly.provisioning import held_by
from caracal_server.assembly.provisioning import provision as provision_in_process
from caracal_server.assembly.service_process import ServiceOptions, serving
from caracal_server.assembly.settings import PEER_SETTINGS, SETTINGS, read_settings
from caracal_server.ports.zones import ZoneRecord
from caracal_server.web.peers.messages import (
    KEPT_FIELDS,
    PUBLIC_FIELDS,
    SECRET_FIELDS,
    decode,
    encode,
    zone_for,
)
from caracal_server.web.peers.services import Service
from tests.support.apart import caracal, provision
from tests.support.zone import record as zone_record

SIGNING = {"sts-seal.key"}
OPENING = {"gateway-opening.key"}


@pytest.fixture(scope="module")
def provisioned(tmp_path_factory):
    root = tmp_path_factory.mktemp("keys") / "services"
    provision(root)
    return root


@pytest.mark.parametrize("service", list(Service))
def test_a_directory_holds_exactly_what_its_service_may(provisioned, service):
    keys = provisioned / service / "keys"
    assert {file.name for file in keys.iterdir()} == set(held_by(service))
    assert all(file.stat().st_mode & 0o777 == 0o600 for file in keys.iterdir())
    assert (provisioned / service).stat().st_mode & 0o777 == 0o700


def test_the_gateway_has_no_signing_key_and_the_sts_none_that_opens_a_credential():
    assert not SIGNING & set(held_by(Service.GATEWAY))
    assert not OPENING & set(held_by(Service.STS))
    holders = [service for service in Service if OPENING & set(held_by(service))]
    assert holders == [Service.GATEWAY]
    assert [service for service in Service if SIGNING & set(held_by(service))] == [Service.STS]


def test_no_two_services_have_the_same_peer_key(provisioned):
    keys = {(provisioned / one / "keys" / "peer.key").read_bytes() for one in Service}
    lists = {(provisioned / one / "peers").read_bytes() for one in Service}
    assert (len(keys), len(lists)) == (len(Service), 1)


def test_what_exists_is_never_overwritten(provisioned):
    before = (provisioned / "sts" / "keys" / "peer.key").read_bytes()
    again = caracal("provision", str(provisioned))
    assert again.returncode == 2
    assert "exists already" in again.stderr
    assert (provisioned / "sts" / "keys" / "peer.key").read_bytes() == before


WITHOUT = {
    "gateway": ("sqlalchemy", "alembic", "caracal_server.adapters.sql", "caracal_server.adapters.signing",
                "caracal_server.sts", "caracal_server.coordinator", "caracal_server.audit",
                "caracal_server.control"),
    "sts": ("sqlalchemy", "alembic", "caracal_server.adapters.sql", "caracal_server.gateway",
            "caracal_server.adapters.memory.credentials", "caracal_server.coordinator",
            "caracal_server.audit", "caracal_server.control"),
    "coordinator": ("caracal_server.sts", "caracal_server.gateway", "caracal_server.audit",
                    "caracal_server.control"),
    "audit": ("caracal_server.sts", "caracal_server.gateway", "caracal_server.coordinator",
              "caracal_server.control"),
    "control": ("caracal_server.sts", "caracal_server.gateway", "caracal_server.coordinator",
                "caracal_server.audit"),
}  # fmt: skip


@pytest.mark.parametrize("service", list(WITHOUT))
def test_a_process_does_not_even_load_what_other_services_do(service):
    script = (
        "import sys\n"
        "import caracal_server.cli.serving_apart\n"
        f"import caracal_server.assembly.{service}_service\n"
        "print(*sys.modules, sep='\\n')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    loaded = done.stdout.split()
    assert f"caracal_server.assembly.{service}_service" in loaded
    for absent in WITHOUT[service]:
        found = [name for name in loaded if name == absent or name.startswith(f"{absent}.")]
        assert not found, f"{service} loads {found[:3]}"


@pytest.mark.parametrize(
    ("service", "file"),
    [("sts", "sts-seal.key"), ("sts", "client-secret-pepper.key"), ("sts", "peer.key"),
     ("gateway", "gateway-opening.key"), ("coordinator", "receipt-digest.key"),
     ("audit", "evidence-signing.key"), ("control", "control-sealing.key")],
)  # fmt: skip
async def test_a_missing_key_keeps_a_service_from_starting_and_is_never_made_anew(
    tmp_path, service, file
):
    provision_in_process(tmp_path / "services", SystemEntropy(), None)
    data = tmp_path / "services" / service
    key = data / "keys" / file
    key.unlink()
    settings = read_settings({"CARACAL_ISSUER": "https://a.example"}, (*SETTINGS, *PEER_SETTINGS))
    peers = None if service == "gateway" else ("127.0.0.1", 0)
    options = ServiceOptions(
        Service(service), data, ("127.0.0.1", 0), peers, None, announce=lambda _ready: None
    )
    with pytest.raises(KeyFileError, match=file):
        async with serving(options, settings):
            pass
    assert not key.exists()


def test_a_peer_listener_without_tls_stays_on_this_machine(provisioned):
    tried = caracal(
        "serve", "sts", "--data", str(provisioned / "sts"), "--listen", "127.0.0.1:0",
        "--peer-listen", "0.0.0.0:0", environment={"CARACAL_ISSUER": "https://caracal.example"},
    )  # fmt: skip
    assert tried.returncode == 2
    assert "CARACAL_PEER_TLS_CERTIFICATE_FILE" in tried.stderr


def test_a_peer_elsewhere_is_asked_over_tls_only(provisioned):
    tried = caracal(
        "serve", "gateway", "--data", str(provisioned / "gateway"), "--listen", "127.0.0.1:0",
        environment={"CARACAL_ISSUER": "https://caracal.example",
                     "CARACAL_PEER_AUDIT": "http://audit.internal:9083"},
    )  # fmt: skip
    assert tried.returncode == 2
    assert "CARACAL_PEER_AUDIT" in tried.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("serve", "mail"), "there is no service 'mail'"),
        (("serve", "gateway", "--peer-listen", "127.0.0.1:0"), "leave --peer-listen out"),
        (("serve", "sts", "--database", "sqlite:////x"), "the sts has no database"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_starts(arguments, told):
    tried = caracal(*arguments)
    assert tried.returncode == 2
    assert told in tried.stderr


def test_every_field_of_a_zone_has_been_given_its_followers():
    """A field that is added is nobody's until it is decided whose."""
    decided = PUBLIC_FIELDS | KEPT_FIELDS | frozenset().union(*SECRET_FIELDS.values())
    assert {one.name for one in fields(ZoneRecord)} - decided == set()


def test_a_follower_gets_what_an_mcp_server_offers():
    names = NameTable((NameRule("search", Scope("a")), NameRule("ticket_*", Scope("b"))))
    [first, *others] = zone_record().resources
    server = replace(first, kind=ResourceKind.MCP, tools=names, contents=names)
    record = replace(zone_record(), resources=(server, *others))
    assert decode(encode(record), ZoneRecord) == record


def test_a_follower_gets_the_secrets_that_are_for_it_and_no_others():
    record = replace(
        zone_record(),
        sealed_credentials={ProviderId("provider"): b"sealed"},
        credential_fingerprints={ProviderId("provider"): "fingerprint"},
    )
    seen = {service: zone_for(service, record) for service in SECRET_FIELDS}
    for service, shown in seen.items():
        assert bool(shown.secret_hashes) == (service is Service.STS)
        assert bool(shown.sealed_credentials) == (service is Service.GATEWAY)
        assert not shown.credential_fingerprints
        assert decode(encode(shown), ZoneRecord) == shown
    assert seen[Service.COORDINATOR].policy is None
    assert seen[Service.STS].resources == record.resources


def test_a_shard_named_twice_is_made_once(tmp_path):
    made = provision_in_process(tmp_path, SystemEntropy(), None, ("west", "west"))
    assert [one.name for one in made].count("audit.west") == 1
