"""A log as files: copied, served by anything, recomputed, and judged by implementations that are not ours."""

import asyncio
import json
import shutil
import subprocess
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from caracal.authority.identifiers import ZoneId
from caracal.evidence.checkpoints import parse_checkpoint
from caracal.evidence.notes import parse_note
from caracal.evidence.tile_reading import VerifiedTiles
from caracal_server.adapters.sql.database import open_database
from caracal_server.adapters.sql.evidence import SqlEvidenceStore
from caracal_server.adapters.sql.migrations import migrate
from caracal_server.cli.key_files import parse_log_key
from caracal_server.cli.log_check import LogFault
from caracal_server.cli.log_copy import LogCopy
from caracal_server.cli.tile_sources import Directory
from tests.contracts.logs import Log
from tests.support.running import running_caracal

ROOT = Path(__file__).parents[2]
JUDGES = ROOT / ".venv/tools/judges/bin/python"
JUDGE = ROOT / "tests/support/tile_judge.py"
LOG = "system"
WRITTEN = 1000


async def _write(url: str) -> None:
    database = await open_database(url)
    await migrate(database)
    await SqlEvidenceStore(database).commit([Log(ZoneId(LOG)).grow(WRITTEN)])
    await database.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server whose own log is long, and public."""
    data = tmp_path_factory.mktemp("tiles") / "data"
    data.mkdir(mode=0o700)
    asyncio.run(_write(f"sqlite:///{data}/caracal.db"))
    with running_caracal(data, environment={"CARACAL_PUBLIC_LOG": "true"}) as running:
        yield running


@pytest.fixture(scope="module")
def key(server):
    url = f"{server.control}/v1/zones/{LOG}/evidence/key"
    return httpx.get(url, headers=server.operator).text.strip()


@pytest.fixture(scope="module")
def kept(server, key, tmp_path_factory):
    """A copy that was begun and went on once the log had grown."""
    directory = tmp_path_factory.mktemp("kept") / "log"
    arguments = ("evidence", "tiles", str(directory), "--zone", LOG, "--log-key", key)
    begun = server.ask(*arguments)
    assert begun["before"] == 0
    old = parse_checkpoint(parse_note((directory / "checkpoint").read_text()).text)
    _grow(server, old.size)
    stamps = {file: file.stat().st_mtime_ns for file in directory.rglob("*") if file.is_file()}
    gone_on = server.ask(*arguments)
    assert gone_on["before"] == old.size < gone_on["size"]
    for file, stamp in stamps.items():
        if file.name != "checkpoint" and file.exists():
            assert file.stat().st_mtime_ns == stamp, "a tile was written again"
    return directory, old


def _grow(server, size: int) -> None:
    """Have the server record something, and wait until it has signed for it."""
    for number in range(30):
        made = {"name": f"token-{number}", "scopes": ["read"]}
        httpx.post(f"{server.control}/v1/operators", json=made, headers=server.operator)
    for _ in range(100):
        note = httpx.get(f"{server.control}/evidence/{LOG}/checkpoint").text
        if parse_checkpoint(parse_note(note).text).size >= size + 30:
            return
        threading.Event().wait(0.05)
    raise AssertionError("nothing was signed")


def judged(prefix: str, key: str, index: int, old: int):
    finished = subprocess.run(
        [JUDGES, "-I", JUDGE, prefix, key, str(index), str(old)],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout)


def test_others_verify_a_copy_and_make_the_same_proofs(kept, key):
    directory, old = kept
    said = judged(str(directory), key, 700, old.size)
    note = parse_note((directory / "checkpoint").read_text())
    signed = parse_checkpoint(note.text)
    tiles = VerifiedTiles(
        signed.size, signed.root, lambda tile: (directory / tile.path).read_bytes()
    )
    assert said["size"] == signed.size
    assert said["bundles"] == -(-signed.size // 256)
    assert said["pymerkle_agrees"]
    inclusion = tiles.inclusion(700, signed.size)
    assert said["inclusion"] == [one.hex() for one in inclusion.hashes]
    assert said["consistency"] == [one.hex() for one in tiles.consistency(old.size).hashes]


def test_others_verify_a_running_server_over_http(server, key):
    said = judged(f"{server.control}/evidence/{LOG}", key, 700, 256)
    assert said["size"] > WRITTEN
    proof = httpx.get(
        f"{server.control}/v1/zones/{LOG}/evidence/700/proof?size={said['size']}",
        headers=server.operator,
    ).json()
    assert said["inclusion"] == proof["hashes"]


def test_a_running_server_is_recomputed(server, key):
    found = server.ask("evidence", "fsck", "--zone", LOG)
    assert (found["verified"], found["dropped"], found["key_source"]) == (True, 0, "server")
    url = f"{server.control}/evidence/{LOG}"
    by_url = server.ask(
        "evidence", "fsck", url, "--log-key", key, "--token-file", str(server.operator_token_file)
    )
    assert by_url["key_source"] == "given"
    people = server.run("evidence", "fsck", "--zone", LOG)
    assert people.stdout.splitlines()[-1].startswith("verified: ")


def test_a_copy_is_recomputed_where_any_web_server_serves_it(cli, kept, key):
    directory, _ = kept
    with ThreadingHTTPServer(("127.0.0.1", 0), _Quiet.of(directory)) as web:
        threading.Thread(target=web.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{web.server_address[1]}"
        ended = cli("evidence", "fsck", url, "--log-key", key, "--json")
        web.shutdown()
    assert (ended.code, ended.document["verified"]) == (0, True)


class _Quiet(SimpleHTTPRequestHandler):
    @classmethod
    def of(cls, directory: Path):
        return partial(cls, directory=str(directory))

    def log_message(self, *_):
        """Say nothing."""


def _flip(file: Path, at: int) -> None:
    data = bytearray(file.read_bytes())
    data[at] ^= 1
    file.write_bytes(data)


@pytest.mark.parametrize(
    ("path", "at", "entry", "names"),
    [
        ("tile/entries/001", 900, 259, "tile/entries/001"),
        ("tile/0/001", 5 * 32, 261, "tile/entries/001"),
        ("tile/1/000.p/4", 2 * 32, 512, "tile/1/000.p/4"),
        ("checkpoint", -9, None, "checkpoint"),
        ("tile/entries/001", None, 256, "tile/entries/001"),
        ("tile/0/001", None, 256, "tile/0/001"),
        ("tile/entries/000", None, 0, None),
        ("checkpoint", None, None, "checkpoint"),
    ],
)
def test_what_was_altered_or_taken_from_a_copy_is_named(
    cli, kept, key, tmp_path, path, at, entry, names
):
    spoilt = tmp_path / "log"
    shutil.copytree(kept[0], spoilt)
    if at is None:
        (spoilt / path).unlink()
    else:
        _flip(spoilt / path, at)
    ended = cli("evidence", "fsck", str(spoilt), "--log-key", key, "--json")
    assert ended.code == 1
    assert not ended.document["verified"]
    assert ended.document["file"] == names
    if at != 900:
        assert ended.document["entry"] == entry
    else:
        assert 256 <= ended.document["entry"] < 262


def test_a_copy_takes_nothing_that_does_not_continue_it(server, kept, key, tmp_path):
    spoilt = tmp_path / "log"
    shutil.copytree(kept[0], spoilt)
    _flip(spoilt / "tile/0/000", 3)
    (spoilt / "checkpoint").unlink()
    before = {file: file.read_bytes() for file in spoilt.rglob("*") if file.is_file()}
    ended = server.run("evidence", "tiles", str(spoilt), "--zone", LOG, "--log-key", key)
    assert ended.returncode == 1
    assert "does not" in ended.stderr
    assert not (spoilt / "checkpoint").exists()
    assert {file: file.read_bytes() for file in spoilt.rglob("*") if file.is_file()} == before


def test_a_copy_takes_no_log_that_lacks_entries_and_does_not_say_so(kept, key, tmp_path):
    """Else a source that hides entries would have them missing for good: a copy never looks back."""
    hiding = tmp_path / "hiding"
    shutil.copytree(kept[0], hiding)
    (hiding / "tile/entries/000").unlink()
    copy = LogCopy(Directory(hiding), tmp_path / "copy", [parse_log_key(key)])
    with pytest.raises(LogFault, match="no entry says they were dropped"):
        copy.run(lambda _: None)
    assert not (tmp_path / "copy" / "checkpoint").exists()


def test_a_log_of_another_key_is_none_of_ours(cli, kept, key):
    other = "caracal.example/log+3d200ea7+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c"
    ended = cli("evidence", "fsck", str(kept[0]), "--log-key", other)
    assert (ended.code, "no signature by a known key" in ended.err) == (1, True)
    assert cli("evidence", "fsck", str(kept[0])).code == 2
    assert cli("evidence", "fsck", str(kept[0]), "--log-key", "no key").code == 2


def test_after_a_drop_the_rest_is_recomputed_copied_and_judged(server, cli, key, tmp_path, kept):
    refused = server.run("evidence", "drop", "--zone", LOG, "--before", "600")
    assert refused.returncode == 1
    assert "have not been exported" in refused.stderr
    exported = {
        "first_index": 0, "end_index": 600, "destination": "file:///kept", "manifest_sha256": "0" * 64,
    }  # fmt: skip
    log = f"{server.control}/v1/zones/{LOG}/evidence"
    assert httpx.post(f"{log}/exports", json=exported, headers=server.operator).is_success
    dropped = server.ask("evidence", "drop", "--zone", LOG, "--before", "600")
    assert (dropped["first_index"], dropped["end_index"]) == (0, 512)
    _grow(server, dropped["index"])

    found = server.ask("evidence", "fsck", "--zone", LOG)
    assert (found["verified"], found["dropped"]) == (True, 512)
    gone = httpx.get(f"{log}/5", headers=server.operator)
    assert (gone.status_code, gone.json()["reason"]) == (410, "evidence_dropped")
    rest = tmp_path / "rest.jsonl"
    assert server.ask("evidence", "export", "--zone", LOG, "-o", str(rest))["size"] > 512
    proven = cli("evidence", "verify", str(rest), "--log-key", key, "--json").document
    assert (proven["contents"], proven["first"]) == ("rest", 512)
    assert proven["entries"] == proven["size"] - 512
    judged(f"{server.control}/evidence/{LOG}", key, 5, 256)

    fresh, grown = tmp_path / "fresh", tmp_path / "grown"
    shutil.copytree(kept[0], grown)
    for directory, lost in ((fresh, 512), (grown, 0)):
        copied = server.ask("evidence", "tiles", str(directory), "--zone", LOG, "--log-key", key)
        assert copied["dropped"] == lost
        checked = cli("evidence", "fsck", str(directory), "--log-key", key, "--json").document
        assert (checked["verified"], checked["dropped"]) == (True, lost)
    (fresh / "tile/entries/002").unlink()
    ended = cli("evidence", "fsck", str(fresh), "--log-key", key, "--json")
    assert (ended.code, ended.document["reason"]) == (
        1,
        "entries are missing, and no entry says they were dropped",
    )


def test_what_is_neither_an_index_nor_an_instant_drops_nothing(cli):
    for text in ("-1", "yesterday", "2026-01-01T00:00:00"):
        assert cli("evidence", "drop", f"--before={text}").code == 2
