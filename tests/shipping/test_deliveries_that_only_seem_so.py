"""What a sink is not to take for a delivery, and what a lane does not claim to have stored."""

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from ipaddress import ip_address
from socket import SHUT_WR, create_server, socket

import msgspec
import pytest

from caracal.authority.events import Kind
from caracal_server.adapters.clock import SystemClock
from caracal_server.adapters.http.egress import EgressGuard, PrivateEgress
from caracal_server.cli.entries import EntryPage
from caracal_server.cli.shipping_parts import GuardedNetwork, ServerSource
from caracal_server.ports.upstream import UpstreamUrl
from caracal_server.shipping.archives import jsonl_archive
from caracal_server.shipping.batches import Batch, Placed, read_line
from caracal_server.shipping.config import ShippingConfig
from caracal_server.shipping.cursors import CursorFile
from caracal_server.shipping.files import DirectoryPlace
from caracal_server.shipping.lanes import Lane, Pace, Recording
from caracal_server.shipping.parts import SourceFailed, Undelivered
from caracal_server.shipping.posting import _wait, post
from caracal_server.shipping.shipper import Shipper
from caracal_server.shipping.syslog import SyslogSink
from tests.adapters_http.certificates import serving_context, write_ca_file
from tests.shipping.test_events_are_ocsf import LOG, Held, entry

ENTRIES = [msgspec.json.encode(entry(Kind.CALL)) for _ in range(6)]


class Loopback:
    async def addresses(self, host, port):
        return [ip_address("127.0.0.1")]


@contextmanager
def receiver(behave: Callable[[socket], None]) -> Iterator[int]:
    listening = create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError):
            connection, _ = listening.accept()
            with connection:
                behave(connection)

    threading.Thread(target=serve, daemon=True).start()  # ends when the sender is gone
    try:
        yield listening.getsockname()[1]
    finally:
        listening.close()


def ends_without_a_close(connection: socket, context: ssl.SSLContext) -> None:
    secure = context.wrap_socket(connection, server_side=True)
    with socket(fileno=secure.detach()) as bare:
        bare.shutdown(SHUT_WR)
        while bare.recv(65536):
            pass


def wants_a_certificate(connection: socket, context: ssl.SSLContext) -> None:
    """With TLS 1.3 the sender learns of it only after its own handshake is done."""
    context.verify_mode = ssl.CERT_REQUIRED
    with context.wrap_socket(connection, server_side=True):
        pass


@pytest.mark.parametrize("count", [1, 900])
@pytest.mark.parametrize("behave", [ends_without_a_close, wants_a_certificate])
async def test_a_syslog_receiver_that_does_not_close_tls_has_taken_nothing(tmp_path, behave, count):
    ca = write_ca_file(tmp_path)
    trusted = ssl.create_default_context(cafile=str(ca))
    lines = tuple(read_line(Placed(index, "00" * 32, ENTRIES[0])) for index in range(count))
    with receiver(lambda connection: behave(connection, serving_context(ca))) as port:
        sink = SyslogSink(
            Loopback(),
            ("127.0.0.1", port),
            trusted,
            server_name="api.example",
            form="entry",
            facility=13,
        )
        with pytest.raises(Undelivered):
            await sink.deliver(Batch(LOG, 0, count, lines))


class Refusing:
    """Takes one entry at a time, and the third only as it is."""

    def __init__(self) -> None:
        self.taken: list[int] = []

    async def deliver(self, batch):
        if batch.end - batch.first > 1 or (batch.first == 2 and not batch.raw):
            raise Undelivered("too much", refused=True)
        self.taken += [line.placed.index for line in batch.lines]

    async def aclose(self):
        pass


async def test_a_single_run_takes_apart_what_is_refused(tmp_path):
    """A run that ended at the first refusal would begin with the whole batch the next time, for ever."""
    source, sink = Held(ENTRIES), Refusing()
    file = CursorFile(tmp_path, "hook", LOG.zone)
    lane = Lane(LOG, "hook", sink, Pace(500, 0, 0), source, file, SystemClock())
    outcome = await Shipper(source, lambda log: [lane], 1).once()
    assert outcome.behind == ()
    assert sink.taken == list(range(len(ENTRIES)))


class Told:
    """Audit, once it can be reached."""

    def __init__(self) -> None:
        self.there = False
        self.ranges: list[tuple[int, int]] = []

    async def record(self, log, first, end, destination, digest):
        if not self.there:
            raise SourceFailed("not now")
        self.ranges.append((first, end))


async def test_what_begin_passed_over_is_never_put_on_record_as_exported(tmp_path):
    """Retention would drop it, and nobody would have it."""
    audit = Told()
    archive = jsonl_archive(DirectoryPlace(tmp_path / "lake"), "entry")
    file = CursorFile(tmp_path / "state", "lake", LOG.zone)

    def lane(entries, begin) -> Lane:
        pace, recording = Pace(2, 0, begin), Recording(archive, audit)
        source = Held(entries)
        return Lane(LOG, "lake", archive, pace, source, file, SystemClock(), recording=recording)

    await lane(ENTRIES[:2], 0).attempt(now=True)
    assert file.load(LOG.origin).unrecorded
    audit.there = True
    later = lane(ENTRIES, 4)
    for _ in range(3):
        await later.attempt(now=True)
    assert audit.ranges == [(0, 2), (4, 6)]
    assert not file.load(LOG.origin).unrecorded


@pytest.mark.parametrize(
    "value",
    [b"Wed, 21 Oct 99999999999999 07:28:00 GMT", b"Wed, 21 Oct 2099 07:28:00 +" + b"9" * 20],
)
def test_a_time_to_wait_beyond_any_calendar_is_no_time_to_wait(value):
    assert _wait([(b"retry-after", value), (b"date", b"Wed, 21 Oct 2099 07:28:00 GMT")]) == 0.0


def never_done(connection: socket) -> None:
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
    connection.settimeout(0.05)
    while True:
        connection.sendall(b" ")
        with suppress(TimeoutError):
            if not connection.recv(1):
                return


async def test_a_receiver_that_answers_a_byte_at_a_time_is_not_waited_for():
    network = GuardedNetwork(EgressGuard(PrivateEgress.parse("127.0.0.1")))
    client = network.http(None)
    try:
        with receiver(never_done) as port:
            url = UpstreamUrl.parse(f"http://127.0.0.1:{port}/")
            with pytest.raises(Undelivered, match="too slow"):
                await post(client, url, (), b"{}", seconds=0.5)
    finally:
        await client.aclose()
        network.close()


class Lying:
    """A server that says of zones and entries what a test wants."""

    def __init__(self, zone: str, indexes: Callable[[int], list[int]]) -> None:
        self._zone, self._indexes, self._left = zone, indexes, 100

    def get(self, path, shape, **query):
        self._left -= 1
        assert self._left, "it is asked for ever"
        said = {"items": [{"id": self._zone, "name": "z", "revision": 1}]}
        if shape is EntryPage:
            entry = {"leaf_hash": "", "entry": {}}
            indexes = self._indexes(query["cursor"])
            said = {"items": [{"index": index, **entry} for index in indexes]}
        return msgspec.json.decode(msgspec.json.encode(said), type=shape)

    def text(self, path, **query):
        return "origin+1+2"


async def test_no_zone_of_a_server_is_a_way_out_of_the_directories():
    source = ServerSource(Lying("/../../escaped", lambda before: []), 1)
    with pytest.raises(SourceFailed, match="can be none"):
        await source.logs()


@pytest.mark.parametrize(
    "indexes",
    [lambda it: [], lambda it: [it], lambda it: [it - 2], lambda it: [-1, it]],
)
async def test_a_page_that_is_not_what_was_asked_for_is_no_entries(indexes):
    with pytest.raises(SourceFailed, match="does not have entry"):
        await ServerSource(Lying("zone1", indexes), 1).read(LOG, 3, 5)


async def test_entries_that_were_not_asked_for_are_passed_over():
    source = ServerSource(Lying("zone1", lambda it: [it - 1, it - 2, it - 3, it - 4]), 1)
    assert [one.index for one in await source.read(LOG, 3, 5)] == [3, 4]


def test_two_sinks_never_share_the_names_of_their_files():
    sinks = [{"name": name, "kind": "jsonl", "directory": "lake"} for name in ("a", "b")]
    said = {"server": "https://x.example", "token": {"env": "T"}, "sinks": sinks}
    with pytest.raises(msgspec.ValidationError, match="overwrite"):
        msgspec.convert(said, ShippingConfig)
