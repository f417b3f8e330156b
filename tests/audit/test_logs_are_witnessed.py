"""Every log's newest checkpoint is cosigned, and whoever contradicts a log is heard."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from caracal.authority.events import Kind, Verdict
from caracal.authority.outcomes import Reason, Unavailable
from caracal.evidence.cosignatures import cosign
from caracal.evidence.notes import parse_note
from caracal.evidence.witness_policy import parse_policy
from caracal.evidence.witness_protocol import Answer, Declined, Holds, parse_answer
from caracal_server.audit.checkpoints import Checkpointer
from caracal_server.audit.integrity import Integrity
from caracal_server.audit.sequencer import Sequencer
from caracal_server.audit.submission import Submission
from caracal_server.audit.witness_api import WitnessMetrics
from caracal_server.audit.witness_standing import WitnessSettings
from caracal_server.audit.witnessed_log import WitnessedLog
from caracal_server.audit.witnessing import Witnessing
from caracal_server.ports.evidence import StoredCheckpoint
from caracal_server.ports.witnesses import WitnessUnreachable
from caracal_server.witness.state import WitnessState
from caracal_server.witness.witness import Witness, known_logs
from tests.audit.logbook import OTHER, ZONE, TestClock, entry, logs, until
from tests.evidence.witnesses import witness
from tests.support.evidence_store import MemoryEvidenceStore

LOGS = logs()
POLICY = parse_policy(
    "".join(
        f"witness w{number} {witness(number)[0].render()} https://w{number}.example\n"
        for number in (1, 2, 3)
    ).encode()
    + b"group two 2 w1 w2 w3\nquorum two\n"
)


@dataclass
class Network:
    """Real witnesses behind a `WitnessClient`; `instead` answers for one of them."""

    witnesses: dict[str, Witness]
    instead: dict[str, Callable[[], Answer]] = field(default_factory=dict)
    asked: int = 0

    async def add_checkpoint(self, prefix: str, body: str) -> Answer:
        self.asked += 1
        name = prefix.removeprefix("https://").partition(".")[0]
        if name in self.instead:
            return self.instead[name]()
        said = await self.witnesses[name].add_checkpoint(body)
        return parse_answer(said.status, said.content_type, said.text.encode())


def unreachable() -> Answer:
    raise WitnessUnreachable("connect_failed")


@dataclass
class Scene:
    store: MemoryEvidenceStore
    clock: TestClock
    network: Network
    sequencer: Sequencer
    checkpointer: Checkpointer
    witnessing: Witnessing

    async def grow(self, zone=ZONE) -> StoredCheckpoint:
        await self.sequencer.append(entry(zone=zone))
        return await self.checkpointer.sign(zone)

    def stored(self) -> StoredCheckpoint:
        signed = self.store.log(ZONE).checkpoints
        return signed[max(signed)]

    def of(self, name: str):
        return self.witnessing.standings[ZONE].of(name)


@pytest.fixture
async def begin(tmp_path):
    closing = []

    async def begin(store=None, **wanted) -> Scene:
        store, clock = store or MemoryEvidenceStore(), TestClock()
        made = {}
        for number in (1, 2, 3):
            directory = tmp_path / f"w{number}"
            state = WitnessState(directory)
            if not state.exists:
                state.begin()
            state.open()
            closing.append(state)
            known = known_logs(LOGS.verifier(zone).render() for zone in (ZONE, OTHER))
            made[f"w{number}"] = Witness(
                known, *witness(number), state, lambda: int(clock.now().timestamp())
            )
        network, integrity = Network(made), Integrity()
        sequencer = Sequencer(store, LOGS.settings, integrity, clock)
        await sequencer.start([ZONE])
        checkpointer = Checkpointer(store, sequencer, LOGS, clock, integrity)
        witnessing = Witnessing(
            Submission(store, network, clock),
            LOGS,
            WitnessSettings(POLICY, **{"interval": timedelta(milliseconds=2)} | wanted),
        )
        checkpointer.watch(witnessing.signed)
        return Scene(store, clock, network, sequencer, checkpointer, witnessing)

    yield begin
    for state in closing:
        state.close()


async def test_a_checkpoint_is_cosigned_by_all_and_the_note_holds_it(begin):
    it = await begin()
    await it.grow()
    await it.witnessing.round(ZONE)
    quorum = POLICY.require(parse_note(it.stored().note))
    assert len(quorum.cosigned) == 3
    assert await it.witnessing.witnessed(ZONE) == it.stored()
    assert LOGS.read(ZONE, it.stored().note).size == 1
    await it.grow()
    assert it.stored().size == 2, "the checkpointer goes on from a note with cosignatures"


async def test_what_was_signed_in_between_is_skipped(begin):
    it = await begin()
    await it.grow()
    await it.witnessing.round(ZONE)
    for _ in range(5):
        await it.grow()
    asked = it.network.asked
    await it.witnessing.round(ZONE)
    assert it.network.asked == asked + 3
    assert (await it.witnessing.witnessed(ZONE)).size == 6


async def test_one_witness_that_is_down_is_no_loss_and_two_are(begin):
    it = await begin(required=True)
    it.network.instead = {"w3": unreachable}
    await it.grow()
    await it.witnessing.round(ZONE)
    assert (await it.witnessing.witnessed(ZONE)).size == 1
    it.network.instead |= {"w2": unreachable}
    await it.grow()
    await it.witnessing.round(ZONE)
    assert (await it.witnessing.witnessed(ZONE)).size == 1
    assert it.of("w2").problem == "connect_failed"
    it.clock.at += timedelta(seconds=59)
    assert not it.witnessing.stale(ZONE)
    it.clock.at += timedelta(seconds=2)
    assert it.witnessing.stale(ZONE)
    it.network.instead.clear()
    await it.witnessing.round(ZONE)
    assert not it.witnessing.stale(ZONE)


async def test_a_witness_that_fails_is_asked_less_and_less_often(begin):
    it = await begin()
    it.network.instead = dict.fromkeys(("w1", "w2", "w3"), unreachable)
    await it.grow()
    waits = []
    for _ in range(8):
        await it.witnessing.round(ZONE)
        waits.append(it.of("w1").not_before - it.clock.monotonic())
        asked = it.network.asked
        await it.witnessing.round(ZONE)
        assert it.network.asked == asked
        it.clock.at += timedelta(seconds=waits[-1])
    assert waits == [1, 2, 4, 8, 16, 30, 30, 30]
    assert it.witnessing.failures == {"w1": 8, "w2": 8, "w3": 8}


async def test_an_idle_log_is_cosigned_anew_before_its_quorum_is_old(begin):
    it = await begin(required=True, refusing=True)
    await it.grow()
    await it.witnessing.round(ZONE)
    for _ in range(10):
        it.clock.at += timedelta(seconds=21)
        await it.witnessing.round(ZONE)
        assert it.witnessing.standings[ZONE].age(it.witnessing.now()) == 0
    note = parse_note(it.stored().note)
    assert len(note.signatures) == 4, "each witness has one line, its newest"


async def test_a_database_that_was_rolled_back_is_named_by_a_witness(begin):
    it = await begin()
    for _ in range(4):
        await it.grow()
    await it.witnessing.round(ZONE)
    again = MemoryEvidenceStore()
    older = Sequencer(again, LOGS.settings, Integrity(), it.clock)
    await older.start([ZONE])
    await older.append(entry())
    restored = Checkpointer(again, older, LOGS, it.clock, Integrity())
    insider = Witnessing(Submission(again, it.network, it.clock), LOGS, WitnessSettings(POLICY))
    restored.watch(insider.signed)
    await restored.sign(ZONE)
    await insider.round(ZONE)
    finding = insider.standings[ZONE].of("w1").finding
    assert "saw 4 entries of this log, which has signed for 1" in finding
    for _ in range(3):
        await older.append(entry(request="another"))
    await restored.sign(ZONE)
    it.clock.at += timedelta(seconds=60)
    await insider.round(ZONE)
    assert "saw another tree of 4 entries" in insider.standings[ZONE].of("w1").finding
    await older.append(entry(request="another"))
    await restored.sign(ZONE)
    it.clock.at += timedelta(seconds=60)
    await insider.round(ZONE)
    assert "no continuation" in insider.standings[ZONE].of("w1").finding
    assert await insider.witnessed(ZONE) is None
    await older.close()


async def test_a_finding_turns_readiness_red_whatever_the_mode(begin):
    it = await begin()
    await it.grow()
    it.network.instead = {"w2": lambda: Holds(99)}
    await it.witnessing.start()
    await until(lambda: it.of("w2").finding != "", "the finding")
    assert "zone zone-a: the witness w2 saw 99 entries" in it.witnessing.check()
    await it.witnessing.close()


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (lambda: Declined(404), "does not know this log"),
        (lambda: Declined(403), "does not know the key"),
        (lambda: Declined(503), "declines (503)"),
        (lambda: (cosign("another\n", *witness(1), 9),), "does not verify"),
        (lambda: (cosign("another\n", *witness(2), 9),), "no cosignature by"),
    ],
)
async def test_answers_that_are_no_cosignature_are_problems_and_no_cosignatures(
    begin, answer, problem
):
    it = await begin()
    await it.grow()
    it.network.instead = {"w1": answer}
    await it.witnessing.round(ZONE)
    assert problem in it.of("w1").problem
    assert len(parse_note(it.stored().note).signatures) == 3


async def test_a_witness_from_the_future_does_not_count(begin):
    it = await begin()
    await it.grow()
    text = parse_note(it.stored().note).text
    ahead = int(it.clock.now().timestamp()) + 3600
    it.network.instead = {"w1": lambda: (cosign(text, *witness(1), ahead),)}
    await it.witnessing.round(ZONE)
    assert it.of("w1").problem == "its clock is ahead of ours"


async def test_a_witness_that_names_a_new_size_each_time_is_given_up(begin):
    it = await begin()
    for _ in range(9):
        await it.grow()
    named = iter(range(1, 9))
    it.network.instead = {"w1": lambda: Holds(next(named))}
    await it.witnessing.round(ZONE)
    assert it.of("w1").problem == "it names another size each time"


async def test_after_a_restart_the_age_of_the_quorum_is_known_and_no_size_asked_for(begin):
    it = await begin(required=True)
    await it.grow()
    await it.witnessing.round(ZONE)
    signed_at = it.witnessing.standings[ZONE].at
    it.network.instead = dict.fromkeys(("w1", "w2", "w3"), unreachable)
    for _ in range(3):
        await it.grow()
    again = Witnessing(
        Submission(it.store, it.network, it.clock), LOGS, WitnessSettings(POLICY, required=True)
    )
    it.clock.at += timedelta(seconds=120)
    await again.start()
    standing = again.standings[ZONE]
    assert (standing.at, standing.witnessed.size, standing.newest.size) == (signed_at, 1, 4)
    assert standing.of("w1").held == 1
    assert "no quorum of witnesses for 120 seconds" in again.check()
    await again.close()
    assert again.check() == "not running"


async def test_a_stored_cosignature_that_was_altered_counts_for_nothing(begin):
    it = await begin()
    await it.grow()
    await it.witnessing.round(ZONE)
    whole = it.stored()
    line = parse_note(whole.note).signatures[-1]
    forged = line.render().replace(line.render()[-12:-4], "AAAAAAAA")
    note = whole.note.replace(line.render(), forged)
    it.store.log(ZONE).checkpoints[1] = StoredCheckpoint(1, note, whole.at)
    again = Witnessing(Submission(it.store, it.network, it.clock), LOGS, WitnessSettings(POLICY))
    it.network.instead = dict.fromkeys(("w1", "w2", "w3"), unreachable)
    await again.start()
    await again.close()
    assert again.standings[ZONE].at is None
    it.network.instead.clear()
    it.clock.at += timedelta(seconds=5)
    await again.round(ZONE)
    assert len(POLICY.require(parse_note(it.stored().note)).cosigned) == 3


async def test_where_so_set_nothing_new_is_decided_without_a_quorum(begin):
    it = await begin(required=True, refusing=True)
    log = WitnessedLog(it.sequencer, it.witnessing)
    it.network.instead = dict.fromkeys(("w1", "w2"), unreachable)
    await log.append(entry())
    await it.checkpointer.sign(ZONE)
    await it.witnessing.round(ZONE)
    it.clock.at += timedelta(seconds=61)
    with pytest.raises(Unavailable) as fault:
        await log.append(entry())
    assert fault.value.reason is Reason.EVIDENCE_UNWITNESSED
    await log.append(entry(verdict=Verdict.REFUSE))
    await log.append(entry(kind=Kind.SESSION_END))
    log.enqueue(entry(kind=Kind.CALL_RESULT))
    await log.append(entry(zone=OTHER))
    it.network.instead.clear()
    await it.witnessing.round(ZONE)
    await log.append(entry())


async def test_without_refusal_set_decisions_go_on_and_readiness_says_it(begin):
    it = await begin(required=True)
    log = WitnessedLog(it.sequencer, it.witnessing)
    it.network.instead = dict.fromkeys(("w1", "w2"), unreachable)
    await it.grow()
    await it.witnessing.start()
    it.clock.at += timedelta(seconds=61)
    assert "no quorum of witnesses for 61 seconds" in it.witnessing.check()
    await log.append(entry())
    await it.witnessing.close()


async def test_the_task_brings_every_log_to_the_witnesses_by_itself(begin):
    it = await begin()
    await it.witnessing.start()
    for zone in (ZONE, OTHER, ZONE):
        await it.grow(zone)
    await until(
        lambda: all(
            (one := it.witnessing.standings[zone].witnessed) is not None and one.size == size
            for zone, size in ((ZONE, 2), (OTHER, 1))
        ),
        "both logs are witnessed",
    )
    assert it.witnessing.check() is None
    age, failures = WitnessMetrics(it.witnessing).collect()
    assert {sample.labels["zone"] for sample in age.samples} == {ZONE, OTHER}
    assert {sample.value for sample in failures.samples} == {0}
    await it.witnessing.close()


async def test_cosignatures_that_could_not_be_stored_count_for_nothing_yet(begin):
    it = await begin()
    await it.grow()
    save = it.store.save_checkpoint

    async def fail(_zone, _checkpoint):
        raise Unavailable(Reason.EVIDENCE_UNAVAILABLE, "full")

    it.store.save_checkpoint = fail
    await it.witnessing.round(ZONE)
    assert await it.witnessing.witnessed(ZONE) is None
    it.store.save_checkpoint = save
    await it.witnessing.round(ZONE)
    assert (await it.witnessing.witnessed(ZONE)).size == 1


async def test_no_witness_needed_is_never_stale(begin):
    it = await begin(required=True, refusing=True)
    it.witnessing.settings = WitnessSettings(parse_policy(b"quorum none\n"), True, True)
    await it.grow()
    it.clock.at += timedelta(days=9)
    assert not it.witnessing.stale(ZONE)
    assert await it.witnessing.witnessed(OTHER) is None
    await asyncio.sleep(0)
