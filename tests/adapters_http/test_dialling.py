"""The address that was checked is the address that is dialled, and TLS is verified by name."""

import asyncio
import socket
import ssl

import pytest

from caracal_server.adapters.http.client import verifying_context
from caracal_server.adapters.http.resolver import SystemResolver
from caracal_server.ports.upstream import UpstreamError, UpstreamTimeouts, UpstreamUrl
from tests.adapters_http.certificates import serving_context, write_ca_file
from tests.adapters_http.raw_upstream import (
    ScriptedResolver,
    client,
    forever,
    get,
    ok,
    read,
    upstream,
)


@pytest.fixture(scope="session")
def ca_file(tmp_path_factory):
    return write_ca_file(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="session")
def trusting(ca_file):
    return verifying_context(ca_file)


def named(there, host="api.example"):
    return UpstreamUrl.parse(f"{there.scheme}://{host}:{there.port}/")


async def test_a_name_is_resolved_once_and_its_checked_address_dialled():
    """127.0.0.1 stands for the address that passes; the name would resolve elsewhere later."""
    resolver = ScriptedResolver(["127.0.0.1"], ["169.254.169.254"])
    heads = []

    async def speaks(conversation):
        while True:
            heads.append(await conversation.request())
            await conversation.say(ok(b"x"))

    async with upstream(speaks) as there, client(resolver=resolver) as upstreams:
        for _ in range(3):
            assert await read(await upstreams.send(get(named(there)))) == b"x"
        host = f"Host: api.example:{there.port}\r\n".encode()
        assert all(host in head for head in heads)
        assert resolver.asked == [("api.example", there.port)]


async def test_a_name_that_is_rebound_to_a_private_address_is_refused_at_the_next_dial():
    resolver = ScriptedResolver(["127.0.0.1"], ["10.0.0.1", "169.254.169.254"])
    answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx"
    async with upstream(forever(answer)) as there, client(resolver=resolver) as upstreams:
        assert await read(await upstreams.send(get(named(there)))) == b"x"
        with pytest.raises(UpstreamError) as caught:
            await upstreams.send(get(named(there)))
    assert caught.value.kind == "refused_by_egress"
    assert there.connections == 1


async def test_only_the_permitted_addresses_of_a_name_are_dialled():
    resolver = ScriptedResolver(["127.0.0.2", "127.0.0.1"])
    async with (
        upstream(forever(ok(b"x"))) as there,
        client(f"127.0.0.1:{there.port}", resolver=resolver) as upstreams,
    ):
        assert await read(await upstreams.send(get(named(there)))) == b"x"


async def test_the_next_address_is_tried_when_one_does_not_answer():
    resolver = ScriptedResolver(["127.0.0.9", "127.0.0.1"])
    async with (
        upstream(forever(ok(b"x"))) as there,
        client("127.0.0.0/8", resolver=resolver) as upstreams,
    ):
        assert await read(await upstreams.send(get(named(there)))) == b"x"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_loopback_is_refused_unless_listed_by_address_or_by_system_resolution(host):
    async with upstream(forever(ok(b"x"))) as there, client("") as upstreams:
        with pytest.raises(UpstreamError) as caught:
            await upstreams.send(get(named(there, host)))
        assert caught.value.kind == "refused_by_egress"
        assert there.connections == 0
    async with upstream(forever(ok(b"x"))) as there, client("127.0.0.1") as upstreams:
        assert await read(await upstreams.send(get(named(there, host)))) == b"x"


@pytest.mark.parametrize("spelling", ["2130706433", "0x7f000001", "0177.0.0.1", "127.1"])
async def test_an_address_spelled_as_a_number_is_checked_as_what_it_resolves_to(spelling):
    """`UpstreamUrl.parse` refuses these; here one gets past it."""
    url = UpstreamUrl("http", spelling, 80)
    async with client("") as upstreams:
        with pytest.raises(UpstreamError) as caught:
            await upstreams.send(get(url))
    assert caught.value.kind in ("refused_by_egress", "unresolvable")


@pytest.mark.parametrize(
    "answer", [OSError("no such name"), socket.gaierror(-2, "Name or service not known"), []]
)
async def test_a_name_without_addresses_is_unresolvable(answer):
    async with client(resolver=ScriptedResolver(answer)) as upstreams:
        with pytest.raises(UpstreamError) as caught:
            await upstreams.send(get(UpstreamUrl.parse("http://gone.example")))
    assert caught.value.kind == "unresolvable"


async def test_the_system_resolver_says_oserror_for_what_is_no_name():
    resolver = SystemResolver()
    with pytest.raises(OSError, match="not a host name"):
        await resolver.resolve("a" * 64, 80)
    resolver.close()


async def test_resolution_that_hangs_runs_into_the_connect_timeout():
    class Hanging:
        async def resolve(self, host, port):
            await asyncio.Event().wait()

    async with client(resolver=Hanging(), connect=0.05) as upstreams:
        with pytest.raises(UpstreamError) as caught:
            await upstreams.send(get(UpstreamUrl.parse("http://slow.example")))
    assert caught.value.kind == "connect_timeout"


async def test_a_handshake_that_hangs_runs_into_the_connect_timeout(trusting):
    async def speaks(conversation):
        await conversation.gone()

    async with upstream(speaks) as there, client(tls=trusting, connect=0.1) as upstreams:
        with pytest.raises(UpstreamError) as caught:
            await upstreams.send(get(UpstreamUrl.parse(f"https://127.0.0.1:{there.port}")))
    assert caught.value.kind == "connect_timeout"


@pytest.mark.parametrize("host", ["api.example", "127.0.0.1"])
async def test_tls_is_verified_against_the_name_that_was_asked_for(ca_file, trusting, host):
    resolver = ScriptedResolver(["127.0.0.1"])
    async with (
        upstream(forever(ok(b"secure")), serving_context(ca_file)) as there,
        client(tls=trusting, resolver=resolver) as upstreams,
    ):
        for _ in range(2):
            assert await read(await upstreams.send(get(named(there, host)))) == b"secure"
        assert there.connections == 1


async def test_a_certificate_for_another_name_is_tls_failed(ca_file, trusting):
    resolver = ScriptedResolver(["127.0.0.1"])
    async with (
        upstream(forever(ok(b"x")), serving_context(ca_file)) as there,
        client(tls=trusting, resolver=resolver) as upstreams,
    ):
        with pytest.raises(UpstreamError) as caught:
            await upstreams.send(get(named(there, "other.example")))
    assert caught.value.kind == "tls_failed"
    assert not caught.value.request_sent


async def test_a_certificate_of_an_unknown_authority_is_tls_failed(ca_file):
    async with (
        upstream(forever(ok(b"x")), serving_context(ca_file)) as there,
        client(tls=verifying_context()) as upstreams,
    ):
        with pytest.raises(UpstreamError, match="tls_failed"):
            await upstreams.send(get(there.url))


async def test_an_upstream_that_speaks_no_tls_is_tls_failed(trusting):
    async def speaks(conversation):
        await conversation.reader.read(1)
        await conversation.say(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with upstream(speaks) as there, client(tls=trusting) as upstreams:
        with pytest.raises(UpstreamError) as caught:
            await upstreams.send(get(UpstreamUrl.parse(f"https://127.0.0.1:{there.port}")))
    assert caught.value.kind == "tls_failed"


async def test_over_tls_a_body_without_framing_is_whole_only_after_a_proper_goodbye(
    ca_file, trusting
):
    """Anyone on the path can end a TCP connection; only the upstream can say close_notify."""
    has_read = asyncio.Event()

    async def speaks(conversation):
        head = await conversation.request()
        await conversation.say(b"HTTP/1.1 200 OK\r\n\r\nall of it")
        if b"GET /cut " in head:
            await has_read.wait()
            conversation.writer.transport.abort()

    async with (
        upstream(speaks, serving_context(ca_file)) as there,
        client(tls=trusting) as upstreams,
    ):
        assert await read(await upstreams.send(get(there.url, b"/whole"))) == b"all of it"
        response = await upstreams.send(get(there.url, b"/cut"))
        body = response.body()
        assert await anext(body) == b"all of it"
        has_read.set()
        with pytest.raises(UpstreamError) as caught:
            await anext(body)
    assert caught.value.kind == "closed_early"


def test_a_ca_file_that_holds_no_certificate_stops_the_start(tmp_path):
    empty = tmp_path / "ca.pem"
    empty.write_text("nothing")
    with pytest.raises(ssl.SSLError):
        verifying_context(empty)


def test_timeouts_are_longer_than_zero():
    with pytest.raises(ValueError, match="idle"):
        UpstreamTimeouts(idle=UpstreamTimeouts().idle * 0)
