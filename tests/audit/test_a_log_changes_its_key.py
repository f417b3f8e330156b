"""The key of the logs changes in two acts, and no auditor is left without a signature that they know."""

from contextlib import asynccontextmanager

import httpx
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from caracal.authority.events import Entry, Kind
from caracal.authority.identifiers import ZoneId
from caracal.authority.outcomes import Reason, Refused, Unavailable
from caracal.evidence.bundle import verify_bundle
from caracal.evidence.checkpoints import verify_checkpoint
from caracal.evidence.errors import EvidenceError
from caracal.evidence.notes import VerifierKey, parse_note, parse_verifier_key
from caracal_server.adapters.entropy import SystemEntropy
from caracal_server.audit.key_api import LogKeyApi
from caracal_server.audit.logs import LogKey, LogKeys
from caracal_server.audit.service import build_audit_service
from caracal_server.audit.succession import LogKeyChange
from caracal_server.ports.evidence import EvidenceQuery
from caracal_server.ports.operators import OperatorScope
from caracal_server.web.operators import OperatorIdentity
from caracal_server.web.problems import render_problem_details
from caracal_server.web.routes import Edge
from tests.audit.logbook import OTHER, ZONE, TestClock, TwoZones, entry, log_key, settings
from tests.support.evidence_store import Fault, FaultyEvidenceStore

WHO = ("first (1)", "request-1")


class Files:
    """Keys that are kept nowhere."""

    def __init__(self) -> None:
        self.made: list[LogKey] = []
        self.finished = 0

    def begin(self) -> LogKey:
        key = Ed25519PrivateKey.generate()
        self.made.append(
            LogKey(key.public_key().public_bytes_raw(), key.sign, key.private_bytes_raw())
        )
        return self.made[-1]

    def finish(self) -> None:
        self.finished += 1


@asynccontextmanager
async def audit(store, keys=None, files=None, **more):
    service = build_audit_service(
        store,
        TwoZones(),
        keys or LogKeys(log_key()),
        TestClock(),
        settings(**more),
        entropy=SystemEntropy(),
    )
    await service.start()
    try:
        yield service, service.key_change(files or Files())
    finally:
        await service.close()


async def exported(service, zone: ZoneId = ZONE) -> list[bytes]:
    pieces = [piece async for piece in await service.reader.export(zone)]
    return b"".join(pieces).splitlines(keepends=True)


async def announced(store, zone: ZoneId = ZONE) -> list[str]:
    found = await store.search(zone, EvidenceQuery(kind=Kind.KEY_ROTATE, ascending=True))
    return [one.data.decode() for one in found]


def signers(note: str) -> list[bytes]:
    return [line.key_id for line in parse_note(note).signatures]


async def test_both_keys_verify_every_log_until_the_one_before_is_retired():
    store, files = FaultyEvidenceStore(), Files()
    async with audit(store, files=files) as (service, change):
        await service.sequencer.append(entry())
        before = service.logs.verifier(ZONE)
        assert await change.rotate(*WHO) is None
        after = service.logs.verifier(ZONE)
        assert after != before
        await service.sequencer.append(entry("r-2"))
        for key in (before, after):
            assert verify_bundle(await exported(service), key).key == key
        for zone in (ZONE, OTHER):
            [said] = await announced(store, zone)
            assert service.logs.verifier(zone).render() in said

        assert await change.retire(*WHO) is None
        assert files.finished == 1
        last = await store.latest_checkpoint(ZONE)
        assert signers(last.note) == [after.key_id, before.key_id]
        await service.sequencer.append(entry("r-3"))
        assert verify_bundle(await exported(service), after).key == after
        assert signers((await store.latest_checkpoint(ZONE)).note) == [after.key_id]


async def test_the_next_key_is_learnt_from_an_entry_that_the_key_before_signed_for():
    store = FaultyEvidenceStore()
    async with audit(store) as (service, change):
        known = service.logs.verifier(ZONE)
        await change.rotate(*WHO)
        lines = await exported(service)
        verify_bundle(lines, known)
        said = next(line for line in lines if b"key.rotate" in line).decode()
        learnt = parse_verifier_key(said.partition("is signed by ")[2].partition(", and by")[0])
        await change.retire(*WHO)
        await service.sequencer.append(entry())
        assert verify_bundle(await exported(service), learnt).key == learnt
        with pytest.raises(EvidenceError):
            verify_checkpoint((await store.latest_checkpoint(ZONE)).note, known)


async def test_a_second_change_waits_for_the_end_of_the_first():
    async with audit(FaultyEvidenceStore()) as (_, change):
        assert isinstance(await change.retire(*WHO), Refused)
        assert await change.rotate(*WHO) is None
        assert isinstance(await change.rotate(*WHO), Refused)
        assert await change.retire(*WHO) is None
        assert await change.rotate(*WHO) is None


async def test_a_restart_in_between_goes_on_with_both_keys():
    store, files = FaultyEvidenceStore(), Files()
    async with audit(store, files=files) as (service, change):
        await service.sequencer.append(entry())
        await change.rotate(*WHO)
    keys = LogKeys(files.made[-1], log_key())
    async with audit(store, keys, files) as (service, change):
        assert service.checkpointer.check() is None
        assert await change.retire(*WHO) is None
    async with audit(store, LogKeys(files.made[-1])) as (service, _):
        await service.sweep.verify(ZONE)
        assert service.sweep.check() is None


async def test_the_key_before_stays_when_the_next_one_could_not_sign_every_log():
    store, files = FaultyEvidenceStore(), Files()
    async with audit(store, files=files) as (service, change):
        await change.rotate(*WHO)
        store.faults.append(Fault.BEFORE)
        with pytest.raises(Unavailable):
            await change.retire(*WHO)
        assert files.finished == 0
        assert service.logs.keys.before is not None
        assert await change.retire(*WHO) is None


async def test_a_checkpoint_of_neither_key_is_none_of_this_log():
    async with audit(FaultyEvidenceStore()) as (service, change):
        await change.rotate(*WHO)
        stranger = Ed25519PrivateKey.generate()
        name = service.logs.origin(ZONE)
        key = VerifierKey(name, stranger.public_key().public_bytes_raw())
        assert isinstance(change, LogKeyChange)
        note = (await service.checkpointer.sign(ZONE)).note
        assert key.key_id not in signers(note)
        with pytest.raises(EvidenceError):
            verify_checkpoint(note, key)


class Entropy:
    def token_bytes(self, count: int) -> bytes:
        return bytes(count)

    def new_id(self) -> str:
        return "fresh"


SCOPES = {
    "writer": frozenset({OperatorScope.READ, OperatorScope.WRITE}),
    "reader": frozenset({OperatorScope.READ}),
}


async def authenticate(request, scope):
    name = request.headers.get("authorization", "").removeprefix("Bearer ")
    if name not in SCOPES:
        return Refused(Reason.OPERATOR_UNKNOWN, "nobody of that name")
    if scope not in SCOPES[name]:
        return Refused(Reason.OPERATOR_SCOPE_MISSING, f"lacks the scope {scope}")
    return OperatorIdentity(f"id-of-{name}", name, SCOPES[name])


async def test_who_may_write_changes_the_key_and_who_was_refused_is_on_record():
    store, system = FaultyEvidenceStore(), ZoneId("system")
    async with audit(store, own_logs=(system,)) as (service, change):
        routes = LogKeyApi(change, service.acting(authenticate)).routes()
        edge = Edge(routes, refuse=render_problem_details, entropy=Entropy())
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(edge), base_url="http://audit"
        ) as client:

            async def ask(act: str, who: str) -> tuple[int, dict]:
                headers = {"authorization": f"Bearer {who}"}
                answer = await client.post(f"/v1/evidence/key/{act}", headers=headers)
                return answer.status_code, answer.json()

            assert (await ask("rotate", "stranger"))[0] == 401
            assert await announced(store, system) == []
            assert (await ask("rotate", "reader"))[0] == 403
            assert await ask("rotate", "writer") == (200, {"signing": 2})
            assert (await ask("rotate", "writer"))[0] == 400
            assert await ask("retire", "writer") == (200, {"signing": 1})
        found = await store.search(system, EvidenceQuery(ascending=True))
        entries = [msgspec.json.decode(one.data, type=Entry) for one in found]
        assert [(one.kind, one.actor) for one in entries] == [
            (Kind.ADMIN_REFUSED, "reader (id-of-reader)"),
            *[(Kind.KEY_ROTATE, "writer (id-of-writer)")] * 2,
            (Kind.ADMIN_REFUSED, "writer (id-of-writer)"),
            *[(Kind.KEY_ROTATE, "writer (id-of-writer)")] * 2,
        ]
        assert entries[1].detail == "make the next key of the evidence logs"
