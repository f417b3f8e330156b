"""What one process kept goes on in five, and on PostgreSQL as well."""

import shutil

from tests.support.apart import ISSUER, STORED, apart, deployed_apart, provision, running_apart
from tests.support.deployment import Zone, deployed, eventually, reason
from tests.support.postgres import postgres as postgres  # noqa: PLC0414 (a fixture, for this file)
from tests.support.running import running_caracal


def test_what_one_process_kept_goes_on_in_five(tmp_path, upstream):
    data, root = tmp_path / "data", tmp_path / "services"
    egress = {"CARACAL_PRIVATE_EGRESS_HOSTS": upstream.authority, "CARACAL_ISSUER": ISSUER}
    providers = [{"name": "token", "kind": "bearer_token", "secret": "kept-credential"}]
    with running_caracal(data, environment=egress) as running, deployed(running, upstream) as one:
        zone = one.zone(providers=providers)
        zone.document["resources"][0]["provider"] = "token"
        zone.apply()
        agent = zone.agent()
        alive, dead = agent.authority(), agent.authority()
        zone.kill(dead.root)
        keys, token = zone.keys(), (data / "operator.token").read_text()
    provision(root, "--from", str(data))
    for service in STORED:
        shutil.copy(data / "caracal.db", root / service / "caracal.db")
    (root / "control" / "operator.token").write_text(token)
    services = apart(root, upstream)
    with running_apart(services), deployed_apart(services, upstream) as five:
        there = Zone(five, zone.document, zone.id, zone.applications)
        assert there.keys() == keys
        for authority, status in ((alive, 200), (dead, 403)):
            moved = type(authority)(
                there.agent(), authority.root, authority.session, authority.delegation
            )
            answer = moved.ask()
            assert answer.status_code == status, answer.text
            if status == 200:
                called = moved.call("/json")
                assert called.status_code == 200, called.text
                [seen] = upstream.by_request(called.headers["x-request-id"])
                assert seen.header("authorization") == "Bearer kept-credential"
        kinds = {entry["kind"] for entry in there.evidence()}
        assert kinds >= {"session.end", "call"}
        there.verify_evidence()


def test_three_databases_on_postgresql_do_as_well(tmp_path, upstream, postgres):
    root = tmp_path / "services"
    provision(root)
    databases = {one: postgres.create_database(f"apart-{one}") for one in STORED}
    services = apart(root, upstream, databases=databases)
    with running_apart(services), deployed_apart(services, upstream) as five:
        zone = five.zone()
        authority = zone.agent().authority()
        assert authority.call("/json").status_code == 200
        late = authority.mint()
        zone.kill(authority.root)
        assert reason(authority.use(late, "/json")) == "mandate_revoked"
        zone.verify_evidence()
    for table, owner in (
        ("session", "coordinator"),
        ("evidence_entry", "audit"),
        ("zone", "control"),
    ):
        for one in STORED:
            rows = int(postgres.execute(f"apart-{one}", f'SELECT count(*) FROM "{table}"'))
            assert bool(rows) == (one == owner), (table, one)


def test_the_order_of_starting_does_not_matter(tmp_path, upstream):
    missing = "control"
    root = tmp_path / "services"
    provision(root)
    services = apart(root, upstream)
    try:
        for one in ("gateway", "sts", "coordinator", "audit", "control"):
            if one != missing:
                services[one].launch()
        for one, process in services.services.items():
            if one != missing:
                process.announced()
                assert process.failing(), f"{one} is ready without {missing}"
        services[missing].launch()
        services[missing].announced()
        with deployed_apart(services, upstream) as five:
            for process in services.services.values():
                eventually(process.ready, seconds=40)
            assert five.zone().agent().authority().call("/json").status_code == 200
    finally:
        services.stop()
