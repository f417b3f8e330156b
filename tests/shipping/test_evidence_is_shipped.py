"""Evidence reaches real receivers from a real server: each entry, in order, at least once."""

import base64
import contextlib
import hmac
import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import httpx
import obstore
import pyarrow.parquet as pq
import pytest
import yaml
from obstore.store import S3Store

from tests.adapters_http.certificates import serving_context, write_ca_file
from tests.cli.test_a_running_server_is_operated import FILE, POLICY, SECRET
from tests.shipping.judges import JUDGES, OCSF, OTLP, judge
from tests.shipping.receivers import eventually, http_receiver, syslog_receiver
from tests.support.running import COMMAND, Running, running_caracal

KEY = b"a key of the receiver, of thirty-two+"
ENVIRONMENT = {
    "CARACAL_PRIVATE_EGRESS_HOSTS": "127.0.0.1",
    "HOOK": "whsec_" + base64.b64encode(KEY).decode(),
    "AWS_KEY": "testing",
}
ENTRIES = 5


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Running]:
    with running_caracal(tmp_path_factory.mktemp("shipped") / "data") as running:
        yield running


@pytest.fixture(scope="module")
def zone(server, tmp_path_factory) -> str:
    """A zone with some entries in its log."""
    file = tmp_path_factory.mktemp("zone") / "zone.yaml"
    file.write_text(FILE.format(zone="shipped") + POLICY)
    server.ask("apply", str(file), environment={"SHOP_TOKEN": SECRET})
    (zone,) = server.ask("zone", "list")["zones"]
    shipping = Shipping(server, zone["id"], file.parent)
    for _ in range(ENTRIES):
        assert shipping.export().status_code == 200
    return zone["id"]


class Shipping:
    """A shipper of its own, on the one zone."""

    def __init__(self, server: Running, zone: str, folder: Path) -> None:
        self.server, self.zone, self.folder = server, zone, folder

    def call(self, method, path, **more):
        url = f"{self.server.control}/v1/zones/{self.zone}/{path}"
        return httpx.request(method, url, headers=self.server.operator, **more)

    def export(self, **fields) -> httpx.Response:
        said = {"first_index": 0, "end_index": 1, "destination": "file:///x"}
        said |= {"manifest_sha256": "ab" * 32} | fields
        return self.call("POST", "evidence/exports", json=said)

    def entries(self) -> list[dict]:
        """As the server has them, oldest first."""
        return self.call("GET", "evidence?limit=500").json()["items"][::-1]

    def write(self, *sinks: dict, **more) -> Path:
        token = {"file": str(self.server.operator_token_file)}
        whole = {"server": self.server.control, "token": token, "poll_seconds": 0.1}
        sinks = [{"zones": ["shipped"], "batch_entries": 1000, **sink} for sink in sinks]
        file = self.folder / "shipping.yaml"
        file.write_text(yaml.safe_dump({**whole, "sinks": list(sinks), **more}))
        return file

    def arguments(self, *more: str) -> list[str]:
        config, state = str(self.folder / "shipping.yaml"), str(self.folder / "state")
        return ["evidence", "ship", "--config", config, "--state", state, *more]

    def once(self, code: int = 0) -> str:
        ended = self.server.run(*self.arguments("--once"), environment=ENVIRONMENT)
        assert ended.returncode == code, ended.stderr
        return ended.stderr

    @contextlib.contextmanager
    def following(self) -> Iterator[subprocess.Popen]:
        process = subprocess.Popen(
            [*COMMAND, *self.arguments()],
            env={**os.environ, **ENVIRONMENT},
            stderr=subprocess.DEVNULL,
        )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)

    def status(self) -> dict:
        found = self.server.run(*self.arguments("--status", "--json"), environment=ENVIRONMENT)
        assert found.returncode == 0, found.stderr
        return {row["sink"]: row for row in json.loads(found.stdout)["lanes"]}


@pytest.fixture
def shipping(server, zone, tmp_path) -> Shipping:
    return Shipping(server, zone, tmp_path)


def verified(post) -> dict:
    """Check a webhook as its receiver would."""
    identity, at = post.headers["webhook-id"], post.headers["webhook-timestamp"]
    signed = f"{identity}.{at}.".encode() + post.body
    mac = base64.b64encode(hmac.new(KEY, signed, sha256).digest()).decode()
    assert post.headers["webhook-signature"] == f"v1,{mac}"
    return json.loads(post.body)


def indexes(post) -> list[int]:
    return [event["metadata"]["sequence"] for event in json.loads(post.body)["events"]]


def test_files_hold_every_entry_and_audit_is_told(shipping):
    record = {"record": True, "every_seconds": 0}
    parquet = {"name": "lake", "kind": "parquet", "directory": "lake", **record}
    shipping.write(
        parquet,
        {"name": "lines", "kind": "jsonl", "directory": "lines"},
        record_token={"file": str(shipping.server.operator_token_file)},
    )
    before = shipping.entries()
    shipping.once()
    files = sorted((shipping.folder / "lake").glob("dt=*/zone=*/*.parquet"))
    rows = [row for file in files for row in pq.ParquetFile(file).read().to_pylist()]
    assert [row["index"] for row in rows][: len(before)] == list(range(len(before)))
    for row, entry in zip(rows, before, strict=False):
        assert row["leaf_hash"] == entry["leaf_hash"] == sha256(b"\0" + row["raw"]).hexdigest()
        assert row["kind"] == entry["entry"]["kind"]
    lines = [
        json.loads(line)
        for file in sorted((shipping.folder / "lines").glob("dt=*/zone=*/*.jsonl"))
        for line in file.read_text().splitlines()
    ]
    assert [json.loads(line["raw"]) for line in lines][: len(before)] == [
        entry["entry"] for entry in before
    ]
    recorded = shipping.entries()[-1]["entry"]
    (manifest,) = (shipping.folder / "lake" / "manifests").glob("zone=*/*.jsonl")
    assert recorded["kind"] == "evidence.export"
    assert recorded["digest"] == sha256(manifest.read_bytes()).hexdigest()
    assert (recorded.get("first_index", 0), recorded["end_index"]) == (0, len(before))
    for line in map(json.loads, manifest.read_text().splitlines()):
        file = shipping.folder / "lake" / line["file"]
        assert line["sha256"] == sha256(file.read_bytes()).hexdigest()
    shipping.once()
    grown = len(shipping.entries())
    shipping.once()
    assert len(shipping.entries()) == grown, "a record of an export alone is no reason for another"
    assert shipping.status()["lake"]["lag"] == 0


def test_a_record_of_an_export_claims_no_entry_that_is_not_there(shipping):
    assert shipping.export(end_index=10_000).status_code == 400
    assert shipping.export(first_index=1, end_index=1).status_code == 400
    assert shipping.export(manifest_sha256="no").status_code == 400


def test_a_webhook_that_fails_is_tried_again_and_can_verify(shipping):
    with http_receiver() as receiver:
        receiver.answers = [(503, {"retry-after": "1"}), (500, {})]
        secret = {"env": "HOOK"}
        hook = {"name": "hook", "kind": "webhook", "url": receiver.url + "/in", "secret": secret}
        shipping.write(hook)
        with shipping.following():
            eventually(lambda: len(receiver.posts) >= 3, "the third attempt")
    bodies = [verified(post) for post in receiver.posts[:3]]
    assert bodies[0] == bodies[1] == bodies[2]
    assert len({post.headers["webhook-id"] for post in receiver.posts[:3]}) == 1
    events = b"\n".join(json.dumps(event).encode() for event in bodies[0]["events"])
    assert set(judge(OCSF, events)) == {"ok"}


def test_killed_between_delivery_and_cursor_it_delivers_the_same_again(shipping):
    total = len(shipping.entries())
    with http_receiver() as receiver:
        hook = {"name": "hook", "kind": "webhook", "url": receiver.url, "secret": {"env": "HOOK"}}
        shipping.write({**hook, "batch_entries": 2})
        with shipping.following() as process:
            receiver.before_answer = lambda: len(receiver.posts) == 2 and process.kill()
            process.wait(30)
        receiver.before_answer = lambda: None
        shipping.once()
    first, second, again, *_ = receiver.posts
    assert second.body == again.body
    assert second.headers["webhook-id"] == again.headers["webhook-id"]
    delivered = [index for post in (first, *receiver.posts[2:]) for index in indexes(post)]
    assert delivered == list(range(total))


def test_a_batch_that_is_refused_is_taken_apart_and_nothing_is_left_out(shipping):
    total = len(shipping.entries())
    with http_receiver() as receiver:
        receiver.answers = [(413, {}), (422, {})]
        hook = {"name": "hook", "kind": "webhook", "url": receiver.url, "secret": {"env": "HOOK"}}
        shipping.write({**hook, "batch_entries": 2})
        with shipping.following():
            eventually(
                lambda: (
                    json.loads(receiver.posts[-1].body)["end_index"] == total
                    if len(receiver.posts) > 2
                    else False
                ),
                "the end",
            )
    refused, taken = receiver.posts[1], [json.loads(post.body) for post in receiver.posts[2:]]
    assert len(json.loads(refused.body)["events"]) == 1
    assert "raw" in taken[0]["events"][0], "what was refused by itself goes as it is"
    assert (taken[0]["first_index"], taken[0]["end_index"]) == (0, 1)
    assert sum(len(it["events"]) for it in taken) == total


def test_syslog_takes_messages_over_tls_from_who_checks_its_name(shipping):
    total = len(shipping.entries())
    ca = write_ca_file(shipping.folder)
    with syslog_receiver(serving_context(ca)) as receiver:
        sink = {"name": "log", "kind": "syslog", "host": "127.0.0.1", "port": receiver.port}
        shipping.write({**sink, "ca_file": str(ca), "server_name": "other.example"})
        assert "certificate does not verify" in shipping.once(code=5)
        assert not receiver.messages
        shipping.write({**sink, "ca_file": str(ca), "server_name": "api.example"})
        shipping.once()
    assert len(receiver.messages) == total
    for index, message in enumerate(receiver.messages):
        head, _, event = message.partition(b"\xef\xbb\xbf")
        assert head.startswith((b"<109>1 ", b"<110>1 "))
        assert b'index="%d"' % index in head
        assert json.loads(event)["metadata"]["sequence"] == index


def test_otlp_is_what_opentelemetry_reads(shipping):
    total = len(shipping.entries())
    with http_receiver() as receiver:
        url = receiver.url + "/v1/logs"
        headers = {"x-api-key": {"env": "HOOK"}}
        shipping.write({"name": "otel", "kind": "otlp", "url": url, "headers": headers})
        shipping.once()
    (post,) = receiver.posts
    assert post.headers["x-api-key"] == ENVIRONMENT["HOOK"]
    told = [line.split() for line in judge(OTLP, post.body)]
    assert [int(index) for index, *_ in told] == list(range(total))
    assert all(int(at) > 10**18 and start == "{" for _, at, start in told)


@pytest.fixture
def s3(tmp_path) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [JUDGES, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
    )
    url = f"http://127.0.0.1:{port}"

    def made() -> bool:
        try:
            return httpx.put(f"{url}/evidence", timeout=5).is_success
        except httpx.TransportError:
            return False

    try:
        eventually(made, "moto")
        yield url
    finally:
        process.terminate()
        process.wait(30)


def test_a_bucket_gets_the_same_objects_however_often(shipping, s3):
    total = len(shipping.entries())
    bucket = {"url": "s3://evidence/caracal", "endpoint": s3}
    bucket |= {name: {"env": "AWS_KEY"} for name in ("access_key_id", "secret_access_key")}
    shipping.write({"name": "lake", "kind": "parquet", "bucket": bucket})
    shipping.once()
    (cursor,) = (shipping.folder / "state" / "lake").glob("*.json")
    cursor.unlink()
    shipping.once()
    store = S3Store(
        "evidence",
        endpoint=s3,
        region="us-east-1",
        virtual_hosted_style_request=False,
        client_options={"allow_http": True},
        access_key_id="testing",
        secret_access_key="testing",
    )
    (name,) = [found["path"] for page in obstore.list(store) for found in page]
    assert name.startswith("caracal/dt=")
    content = bytes(obstore.get(store, name).bytes())
    file = shipping.folder / "got.parquet"
    file.write_bytes(content)
    assert pq.ParquetFile(file).metadata.num_rows == total


def test_a_sink_that_fails_holds_back_no_other_and_shows_its_lag(shipping):
    total = len(shipping.entries())
    dead = {
        "name": "dead",
        "kind": "webhook",
        "url": "http://127.0.0.1:9",
        "secret": {"env": "HOOK"},
    }
    shipping.write(dead, {"name": "lines", "kind": "jsonl", "directory": "lines"})
    assert "connect_failed" in shipping.once(code=5)
    status = shipping.status()
    assert (status["dead"]["lag"], status["lines"]["lag"]) == (total, 0)


def test_what_is_not_listed_as_private_is_not_dialled(shipping):
    hook = {
        "name": "hook",
        "kind": "webhook",
        "url": "http://169.254.169.254",
        "secret": {"env": "HOOK"},
    }
    meta = {"name": "meta", "kind": "syslog", "host": "169.254.169.254"}
    bucket = {"url": "s3://evidence", "endpoint": "http://169.254.169.254"}
    shipping.write(hook, meta, {"name": "lake", "kind": "parquet", "bucket": bucket})
    told = shipping.once(code=5)
    assert told.count("refused_by_egress") == 3


def test_two_shippers_never_share_their_cursors(shipping):
    lines = {"name": "lines", "kind": "jsonl", "directory": "lines"}
    shipping.write({**lines, "every_seconds": 0})
    with shipping.following():
        eventually((shipping.folder / "state" / "lines").is_dir, "the first cursor")
        assert "already" in shipping.once(code=5)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"sinks": []}, "sinks"),
        ({"token": {"value": "secret"}}, "token: Object contains unknown field `value`"),
        ({"token": "secret-itself"}, "token: Expected `object`, got `str`"),
        ({"sinks": [{"name": "x", "kind": "fax"}]}, "sinks[0]"),
        (
            {"sinks": [{"name": "x", "kind": "jsonl", "directory": "d", "batch_entries": "many"}]},
            "batch",
        ),
        ({"sinks": [{"name": "x", "kind": "jsonl"}]}, "directory or bucket"),
    ],
)
def test_a_wrong_configuration_is_told_by_its_field(tmp_path, server, change, told):
    file = tmp_path / "shipping.yaml"
    sinks = [{"name": "x", "kind": "jsonl", "directory": "d"}]
    whole = {"server": server.control, "token": {"env": "NONE"}, "sinks": sinks}
    file.write_text(yaml.safe_dump(whole | change))
    ended = server.run("evidence", "ship", "--config", str(file), "--once")
    assert ended.returncode == 2
    assert told in ended.stderr
    assert "secret-itself" not in ended.stderr
