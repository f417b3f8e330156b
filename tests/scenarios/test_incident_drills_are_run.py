"""The drills of the incident response page, run as they stand there, against a server of their own."""

import json
import re
import shlex
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from string import Template

import pytest
from typer.testing import CliRunner

from caracal.tokens import base64url
from caracal.tokens.jws import sign
from caracal.tokens.keys import KeyId, SigningKey
from caracal_server.adapters.entropy import SystemEntropy
from caracal_server.adapters.sealing.key_ring import KeyRing
from caracal_server.cli.program import app
from tests.support.deployment import Deployment, Zone, deployed
from tests.support.running import Running, running_caracal

PAGE = Path(__file__).parents[2] / "docs/security/incident-response.md"
DRILLS = dict(re.findall(r"^### (.+)\n\n```sh drill\n([^`]*)```", PAGE.read_text(), re.MULTILINE))


@pytest.fixture(scope="module")
def server(tmp_path_factory, upstream) -> Iterator[Running]:
    egress = {"CARACAL_PRIVATE_EGRESS_HOSTS": upstream.authority}
    data = tmp_path_factory.mktemp("drills") / "data"
    with running_caracal(data, environment=egress) as running:
        yield running


@pytest.fixture
def deployment(server, upstream) -> Iterator[Deployment]:
    with deployed(server, upstream) as it:
        yield it


@pytest.fixture
def zone(deployment) -> Zone:
    return deployment.zone()


@pytest.fixture
def authority(zone):
    return zone.agent().authority()


@pytest.fixture
def situation(deployment, zone, authority, tmp_path, monkeypatch) -> dict[str, str]:
    """What an operator has found out: the variables of the page. Files go where the test may write."""
    monkeypatch.chdir(tmp_path)
    frozen = tmp_path / "frozen.json"
    without = {name: value for name, value in zone.document.items() if name != "policy"}
    frozen.write_text(json.dumps(without))
    body = {"name": f"{zone.name}-leaked", "scopes": ["read"]}
    url = f"{deployment.running.control}/v1/operators"
    made = deployment.http.post(url, json=body, headers=deployment.operator).json()
    key = f"{deployment.running.control}/v1/zones/{zone.id}/evidence/key"
    return {
        "ZONE": zone.name,
        "SESSION": authority.session,
        "APPLICATION": "agent",
        "OPERATOR": made["id"],
        "REQUEST": authority.call("/json").headers["x-request-id"],
        "FROZEN_ZONE_FILE": str(frozen),
        "LOG_KEY": deployment.http.get(key, headers=deployment.operator).text.strip(),
    }


def run_drill(name: str, server: Running, situation: dict[str, str]) -> None:
    """Run each line with the variables in their places; the first that fails ends the drill."""
    for line in DRILLS[name].splitlines():
        program, *words = (Template(word).substitute(situation) for word in shlex.split(line))
        assert program == "caracal"
        ended = CliRunner().invoke(app, words, env=server.environment, prog_name=program)
        assert ended.exit_code == 0, f"{line}\n{ended.output}"


def test_there_are_drills_for_what_can_go_wrong(situation):
    assert len(DRILLS) >= 8
    assert set(re.findall(r"\$([A-Z_]+)", "".join(DRILLS.values()))) == set(situation)


@pytest.mark.parametrize("name", DRILLS, ids=lambda name: name.replace(" ", "-"))
def test_a_drill_runs_as_it_is_written(name, server, situation):
    run_drill(name, server, situation)


def test_after_its_drill_an_agent_can_do_nothing_more(server, situation, authority):
    assert authority.call("/json").status_code == 200
    run_drill("An agent acts against its purpose", server, situation)
    assert authority.ask().status_code == 403


def test_after_its_drill_nothing_in_the_zone_moves(server, situation, authority):
    early = authority.mint()
    run_drill("Everything in a zone has to stop", server, situation)
    assert authority.use(early, "/json").status_code == 403
    assert authority.ask().status_code == 403


def test_after_its_drill_a_leaked_secret_opens_nothing(server, situation, zone, tmp_path):
    run_drill("An application's secret leaked", server, situation)
    asked = {"scope": "api:read", "resource": "resource://api"}
    assert zone.agent().token(**asked).status_code == 401
    zone.applications["agent"] = (
        zone.applications["agent"][0],
        (tmp_path / "application.secret").read_text().strip(),
    )
    assert zone.agent().token(**asked).status_code != 401


def test_after_its_drill_a_leaked_signing_key_proves_nothing(server, situation, authority):
    keys = leaked_keys(server, authority.agent.zone)
    for number, key in enumerate(keys[-2:]):
        mandate = forged(authority.mint(), key, f"one-{number}")
        assert authority.use(mandate, "/json").status_code == 200
    run_drill("A zone's signing key may have leaked", server, situation)
    for number, key in enumerate(keys):
        mandate = forged(authority.mint(), key, f"two-{number}")
        assert authority.use(mandate, "/json").status_code == 401
    assert authority.call("/json").status_code == 200


def leaked_keys(server: Running, zone: Zone) -> list[SigningKey]:
    """The zone's signing keys, as whoever took the store and the STS's key has them."""
    with closing(sqlite3.connect(server.data / "caracal.db")) as store:
        query = "SELECT kid, sealed_private FROM signing_key WHERE zone_id = ? ORDER BY created_at"
        stored = store.execute(query, (zone.id,)).fetchall()
    seal = KeyRing(server.data / "keys", SystemEntropy()).private_key_seal(needed_by="it")
    return [SigningKey.from_pem(KeyId(kid), seal.open(zone.id, kid, one)) for kid, one in stored]


def forged(mandate: str, key: SigningKey, number: str) -> str:
    """The same authority in a mandate that the STS never signed."""
    claims = json.loads(base64url.decode(mandate.split(".")[1].encode()))
    return sign(json.dumps(claims | {"jti": number}).encode(), key).decode()
