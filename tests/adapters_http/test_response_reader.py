"""However bytes are mangled and cut, the reader yields a response or a typed error."""

import asyncio
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from caracal_server.adapters.http.response_reader import ResponseReader
from caracal_server.ports.upstream import UpstreamError
from tests.adapters_http.raw_upstream import answering, client, get, read, upstream

LIMIT = 4096
EXPECTED = {kind: kind for kind in ("protocol_error", "header_too_large", "closed_early")}
WHOLE = (
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Field: value\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3;a=b\r\nyou\r\n0\r\nT: x\r\n\r\n",
    b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\nuntil the end",
    b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: x\r\n\r\n",
)
TOKENS = (b"\r\n", b"\n", b"\r", b"\x00", b":", b" ", b"0", b"-1", b"ffffffffffffffffff", b";")
FIELDS = (b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n")


@st.composite
def mangled(draw) -> bytes:
    data = bytearray(draw(st.sampled_from(WHOLE)))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(data)))
        cut = draw(st.integers(0, 4))
        data[at : at + cut] = draw(st.sampled_from((*TOKENS, *FIELDS)) | st.binary(max_size=3))
    if draw(st.booleans()):
        data += draw(st.sampled_from(WHOLE))
    return bytes(data)


def cut_up(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[a:b] for a, b in pairwise(places)]


def outcome(parts: list[bytes], *, for_head_request: bool = False) -> object:
    """Feed `parts` and then the end; return what a caller would get."""
    reader = ResponseReader(LIMIT)
    reader.begin(for_head_request=for_head_request)
    try:
        for part in parts:
            reader.feed(part)
            if reader.complete:
                break
        reader.feed_eof(authentic=True)
    except UpstreamError as error:
        return EXPECTED[error.kind]
    assert reader.complete
    assert 200 <= reader.status < 600
    for name, value in reader.headers:
        assert name == name.lower()
        assert not set(name + value) & set(b"\r\n\x00")
    return reader.status, reader.headers, b"".join(reader.chunks)


@given(mangled(), st.lists(st.integers(0, 400), max_size=5), st.booleans())
@settings(max_examples=300)
def test_the_reader_yields_a_response_or_a_typed_error(data, cuts, for_head_request):
    outcome(cut_up(data, cuts), for_head_request=for_head_request)


@given(st.sampled_from(WHOLE), st.lists(st.integers(0, 400), max_size=8))
def test_a_response_does_not_depend_on_how_the_network_cuts_it(data, cuts):
    assert outcome(cut_up(data, cuts)) == outcome([data])


@given(st.binary(max_size=300))
def test_noise_is_never_a_response(data):
    assert isinstance(outcome([data]), str)


@given(st.sampled_from(WHOLE[:3]), st.integers(0, 400))
def test_a_framed_response_that_is_cut_is_never_whole(data, at):
    cut = data[: at % len(data)]
    assert isinstance(outcome([cut] if cut else []), str)


@given(st.lists(st.sampled_from((WHOLE[0], WHOLE[1], WHOLE[2])), min_size=1, max_size=4))
def test_responses_in_turn_are_read_alike_on_one_connection(answers):
    reader = ResponseReader(LIMIT)
    for answer in answers:
        reader.begin(for_head_request=False)
        reader.feed(answer)
        assert reader.complete
        assert reader.reusable
        assert (reader.status, reader.headers, b"".join(reader.chunks)) == outcome([answer])


@given(st.data())
@settings(max_examples=25)
def test_over_a_real_connection_a_mangled_response_never_hangs(data):
    """All in one event loop, so that each example costs a connection only."""
    answers = data.draw(st.lists(mangled(), min_size=10, max_size=10))

    async def call(answer: bytes) -> None:
        async with upstream(answering(answer)) as there, client() as upstreams:
            try:
                response = await upstreams.send(get(there.url))
                await read(response)
            except UpstreamError:
                return
            assert 200 <= response.status < 600

    async def calls() -> None:
        async with asyncio.timeout(20):
            for answer in answers:
                await call(answer)

    asyncio.run(calls())
