"""T13: somebody with the database, but not with the log's key, changes what is on record."""

import contextlib
import hashlib
import sqlite3

import pytest

from caracal.evidence.errors import BundleError
from tests.support.deployment import deployed, eventually, reason
from tests.support.running import running_caracal

VICTIM = 3
FLIPPED, REWRITTEN, SHORTENED, UNTOUCHED = "flipped", "rewritten", "shortened", "untouched"


@pytest.fixture(scope="module")
def tampered(tmp_path_factory, upstream):
    """Four logs, three of which were changed while the server was down; the server is up again."""
    environment = {
        "CARACAL_PRIVATE_EGRESS_HOSTS": upstream.authority,
        "CARACAL_ISSUER": "https://caracal.test",
    }
    data = tmp_path_factory.mktemp("tampering") / "data"
    zones = {}
    with (
        running_caracal(data, environment=environment) as running,
        deployed(running, upstream) as it,
    ):
        for name in (FLIPPED, REWRITTEN, SHORTENED, UNTOUCHED):
            zone = zones[name] = it.zone(name)
            authority = zone.agent().authority()
            assert authority.call("/json").status_code == 200
            assert zone.verify_evidence().entries > VICTIM
    with contextlib.closing(sqlite3.connect(data / "caracal.db")) as store, store:
        for name, act in ((FLIPPED, flip), (REWRITTEN, rewrite), (SHORTENED, shorten)):
            act(store, places(store, zones[name].id))
    with (
        running_caracal(data, environment=environment) as running,
        deployed(running, upstream) as it,
    ):
        for zone in zones.values():
            zone.deployment = it
        yield it, zones


def places(store, zone_id: str) -> list[int]:
    """The keys of a log's entries, in their order."""
    rows = store.execute("SELECT place, data FROM evidence_entry ORDER BY place")
    return [place for place, data in rows if f'"zone":"{zone_id}"'.encode() in data]


def flip(store, entries: list[int]) -> None:
    """One bit of one byte."""
    place = entries[VICTIM]
    [data] = store.execute("SELECT data FROM evidence_entry WHERE place = ?", (place,)).fetchone()
    changed = bytearray(data)
    changed[len(changed) // 2] ^= 1
    store.execute("UPDATE evidence_entry SET data = ? WHERE place = ?", (bytes(changed), place))


def rewrite(store, entries: list[int]) -> None:
    """Another story, with the leaf hash that goes with it."""
    place = entries[VICTIM]
    data, hashes = store.execute(
        "SELECT data, hashes FROM evidence_entry WHERE place = ?", (place,)
    ).fetchone()
    changed = data.replace(b'"allow"', b'"refuse"').replace(b'"kind":"', b'"kind":"x')
    assert changed != data
    leaf = hashlib.sha256(b"\0" + changed).digest()
    store.execute(
        "UPDATE evidence_entry SET data = ?, hashes = ? WHERE place = ?",
        (changed, leaf + hashes[32:], place),
    )


def shorten(store, entries: list[int]) -> None:
    """As if the last acts had not been."""
    store.execute("DELETE FROM evidence_entry WHERE place = ?", (entries[-1],))


def test_readiness_names_every_zone_and_the_entry(tampered):
    deployment, zones = tampered

    def findings():
        failing = {it["check"]: it["detail"] for it in deployment.ready()["failing"]}
        text = failing.get("evidence_integrity", "")
        return text if all(zones[it].id in text for it in (FLIPPED, REWRITTEN, SHORTENED)) else None

    found = eventually(findings)
    told = dict(part.split(": ", 1) for part in found.removeprefix("zone ").split("; zone "))
    assert f"entry {VICTIM} " in told[zones[FLIPPED].id]
    assert zones[UNTOUCHED].id not in found
    status = deployment.http.get(f"{deployment.running.control}/ready").status_code
    assert status == 503


def test_the_export_does_not_verify_and_says_where(tampered):
    _, zones = tampered
    with pytest.raises(BundleError) as fault:
        zones[FLIPPED].verify_evidence()
    assert fault.value.index == VICTIM
    with pytest.raises(BundleError):
        zones[REWRITTEN].verify_evidence()
    zones[UNTOUCHED].verify_evidence()


def test_a_log_that_was_shortened_is_not_written_on(tampered, upstream):
    """What would be signed next is not known, so nothing may happen that would have to be."""
    _, zones = tampered
    answer = zones[SHORTENED].agent().token(scope="agent:lifecycle", resource="resource://api")
    assert (answer.status_code, reason(answer)) == (503, "evidence_unavailable")
