"""A witness signs one history of a log, whatever the log, its key's holder or a crash want of it."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from caracal.evidence.checkpoints import Checkpoint, sign_checkpoint
from caracal.evidence.cosignatures import merge_cosignatures
from caracal.evidence.errors import EvidenceError
from caracal.evidence.notes import parse_note
from caracal.evidence.proofs import consistency_nodes, prove_consistency
from caracal.evidence.tree import TreeState, leaf_hash
from caracal.evidence.witness_protocol import MAX_REQUEST_BYTES, AddCheckpoint, parse_answer
from caracal_server.witness.http import WitnessApp
from caracal_server.witness.state import StateError, WitnessState
from caracal_server.witness.witness import Said, Witness, known_logs
from tests.evidence.signing import key_pair
from tests.evidence.witnesses import witness

ORIGIN = "caracal.example/log"
LOG, SIGN = key_pair(ORIGIN)
KEY, SIGN_AS_WITNESS = witness(1)
HONEST = [b'{"number":%d}' % number for number in range(20)]
REWRITTEN = [*HONEST[:3], b'{"number":"another"}', *HONEST[4:]]


def request(entries: list[bytes], old: int, origin: str = ORIGIN, seed: int = 1) -> str:
    """What the holder of the log's key sends: the best proof that these entries allow."""
    leaves = [leaf_hash(entry) for entry in entries]
    tree, nodes = TreeState().grow(leaves)
    by_place = {(node.level, node.index): node.hash for node in nodes}
    by_place |= {(0, index): leaf for index, leaf in enumerate(leaves)}
    key, sign = key_pair(origin, seed)
    note = sign_checkpoint(Checkpoint(origin, tree.size, tree.root()), sign, key)
    proof = ()
    if old and consistency_nodes(old, tree.size):
        proof = prove_consistency(old, tree.size, lambda level, at: by_place[level, at]).hashes
    return AddCheckpoint(old, proof, note).render()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    WitnessState(tmp_path / "w").begin()
    return tmp_path / "w"


def awake(directory: Path) -> Witness:
    state = WitnessState(directory)
    state.open()
    return Witness(known_logs([LOG.render()]), KEY, SIGN_AS_WITNESS, state, lambda: 1_700_000_000)


@pytest.fixture
def it(directory: Path) -> Iterator[Witness]:
    found = awake(directory)
    yield found
    found.state.close()


def cosigned_at(said: Said, body: str) -> int:
    lines = parse_answer(said.status, said.content_type, said.text.encode())
    note = parse_note(body.partition("\n\n")[2])
    return merge_cosignatures(note, lines, KEY)[1].at


async def test_a_log_that_only_grows_is_cosigned_at_every_size(it):
    seen = 0
    for size in (1, 2, 5, 5, 8, 20):
        body = request(HONEST[:size], seen)
        said = await it.add_checkpoint(body)
        assert cosigned_at(said, body) == 1_700_000_000
        seen = size


async def test_a_rewritten_log_is_refused_and_the_contradiction_kept(it, directory):
    assert (await it.add_checkpoint(request(HONEST[:5], 0))).status == 200
    same_size = await it.add_checkpoint(request(REWRITTEN[:5], 5))
    assert (same_size.status, same_size.text) == (409, "5\n")
    assert (await it.add_checkpoint(request(REWRITTEN, 5))).status == 422
    assert it.state.latest(ORIGIN).size == 5
    [kept] = (directory / "logs").glob("*.refused")
    assert kept.read_text() == request(REWRITTEN[:5], 5)


async def test_who_sends_a_wrong_proof_of_an_honest_log_hides_no_contradiction(it, directory):
    assert (await it.add_checkpoint(request(HONEST[:5], 0))).status == 200
    honest = request(HONEST[:8], 5)
    head, _, note = honest.partition("\n\n")
    wrong = "\n".join((head.split("\n")[0], 43 * "A" + "=")) + "\n\n" + note
    assert (await it.add_checkpoint(wrong)).status == 422
    assert not list((directory / "logs").glob("*.refused"))
    assert (await it.add_checkpoint(request(REWRITTEN[:5], 5))).status == 409
    [kept] = (directory / "logs").glob("*.refused")
    assert kept.read_text() == request(REWRITTEN[:5], 5)
    assert (await it.add_checkpoint(honest)).status == 200


async def test_a_log_that_was_rolled_back_is_told_what_was_seen(it):
    await it.add_checkpoint(request(HONEST[:9], 0))
    for old in (0, 4):
        said = await it.add_checkpoint(request(HONEST[:4], old))
        assert (said.status, said.text, said.content_type) == (409, "9\n", "text/x.tlog.size")
    assert (await it.add_checkpoint(request(HONEST[:4], 0).replace("old 0", "old 9"))).status == 400


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("", 400),
        ("old 0\n\nnot a note", 400),
        ("old 0\n\n" + "no checkpoint\n\n" + "\u2014 a AAAAAAAA\n", 400),
        (request(HONEST[:2], 0, origin="other.example"), 404),
        (request(HONEST[:2], 0, seed=9), 403),
        (request(HONEST[:2], 0).replace("old 0\n", "old 0\n" + 43 * "A" + "=\n"), 422),
        (request(HONEST[:2], 0).replace("\n2\n", "\n3\n"), 403),
        (request([], 0), 422),
    ],
)
async def test_what_is_not_a_checkpoint_of_a_known_log_is_refused(it, body, status):
    assert (await it.add_checkpoint(body)).status == status
    assert it.state.latest(ORIGIN) is None


async def test_of_two_histories_that_arrive_together_one_is_signed(it):
    bodies = [request(HONEST[:7], 0), request(REWRITTEN[:7], 0), request(REWRITTEN[:9], 0)]
    said = await asyncio.gather(*map(it.add_checkpoint, bodies))
    assert sorted(one.status for one in said) == [200, 409, 409]


async def test_a_witness_that_starts_again_remembers(directory):
    first = awake(directory)
    await first.add_checkpoint(request(HONEST[:5], 0))
    with pytest.raises(StateError, match="another witness runs"):
        WitnessState(directory).open()
    first.state.close()
    again = awake(directory)
    assert (await again.add_checkpoint(request(REWRITTEN[:8], 0))).status == 409
    assert (await again.add_checkpoint(request(HONEST[:8], 5))).status == 200
    again.state.close()


async def test_nothing_is_signed_that_could_not_be_stored(it, directory):
    logs = directory / "logs"
    logs.rename(directory / "elsewhere")
    said = await it.add_checkpoint(request(HONEST[:5], 0))
    assert (said.status, it.state.latest(ORIGIN)) == (503, None)
    (directory / "elsewhere").rename(logs)
    assert (await it.add_checkpoint(request(HONEST[:5], 0))).status == 200
    logs.rename(directory / "elsewhere")
    assert (await it.add_checkpoint(request(REWRITTEN[:8], 5))).status == 422


async def test_a_memory_that_can_not_be_read_keeps_the_witness_from_starting(directory):
    first = awake(directory)
    await first.add_checkpoint(request(HONEST[:5], 0))
    first.state.close()
    [file] = (directory / "logs").glob("*.seen")
    whole = file.read_bytes()
    (directory / "logs" / ".draft-left-by-a-crash").write_bytes(b"half")
    told = json.loads(whole)
    for broken in (b"", whole[:-9], json.dumps(told | {"origin": "other"}).encode()):
        file.write_bytes(broken)
        state = WitnessState(directory)
        with pytest.raises(StateError):
            state.open()
        state.close()
    assert not list((directory / "logs").glob(".draft-*"))


def test_lists_of_logs_are_read_strictly():
    next_key = key_pair(ORIGIN, 2)[0]
    found = known_logs(["# ours", "", f" {LOG.render()} ", next_key.render()])
    assert found == {ORIGIN: (LOG, next_key)}
    with pytest.raises(EvidenceError, match="line 2"):
        known_logs(["", "nonsense"])


async def asked(app: WitnessApp, method: str, path: str, *pieces: bytes, broken: bool = False):
    messages = [{"type": "http.request", "body": one, "more_body": True} for one in pieces]
    messages.append({"type": "http.disconnect"} if broken else {"type": "http.request"})
    sent = []

    async def receive():
        return messages.pop(0)

    async def send(message):
        sent.append(message)

    await app({"type": "http", "method": method, "path": path}, receive, send)
    return sent[0]["status"]


async def test_requests_are_bounded_and_only_one_path_takes_them(it):
    app = WitnessApp(it)
    body = request(HONEST[:5], 0).encode()
    assert await asked(app, "GET", "/health") == 200
    assert await asked(app, "GET", "/") == 404
    assert await asked(app, "GET", "/add-checkpoint") == 405
    assert await asked(app, "POST", "/add-checkpoint", b"\xff") == 400
    assert await asked(app, "POST", "/add-checkpoint", body[:50], broken=True) == 400
    assert await asked(app, "POST", "/add-checkpoint", *[bytes(65536)] * 9) == 413
    assert MAX_REQUEST_BYTES < 9 * 65536
    assert await asked(app, "POST", "/add-checkpoint", body[:99], body[99:]) == 200
    assert await asked(WitnessApp(it, at_once=0), "POST", "/add-checkpoint", body) == 503
