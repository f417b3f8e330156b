"""Bearer tokens, request ids, bodies and queries: one reading, within bounds, or a named refusal."""

import asyncio

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from caracal.authority.outcomes import Reason, Refused
from caracal_server.web.bearer import MAX_BEARER_BYTES, bearer_token
from caracal_server.web.meanings.answers import Variant
from caracal_server.web.problems import Issue, RequestRefused
from caracal_server.web.requests import (
    decode_json,
    read_body,
    read_json,
    read_optional_json,
    read_query,
    refuse_params,
    request_id,
)


class _Entropy:
    def token_bytes(self, count: int) -> bytes:
        return bytes(count)

    def new_id(self) -> str:
        return "fresh"


class _Shape(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    size: int = 0
    labels: tuple[str, ...] = ()


def _receive(*chunks: bytes, gone: bool = False):
    last = len(chunks) - 1
    messages = [
        {"type": "http.request", "body": chunk, "more_body": gone or number < last}
        for number, chunk in enumerate(chunks)
    ]
    if gone:
        messages.append({"type": "http.disconnect"})
    waiting = iter(messages)

    async def receive():
        return next(waiting)

    return receive


def _request(*chunks: bytes, query: bytes = b"", content_type: bytes = b"application/json"):
    headers = [(b"content-type", content_type)] if content_type else []
    scope = {"type": "http", "method": "POST", "headers": headers, "query_string": query}
    return Request(scope, _receive(*chunks))


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([(b"authorization", b"Bearer abc.DEF-1_2~+/==")], "abc.DEF-1_2~+/=="),
        ([(b"authorization", b"bEARER  abc")], "abc"),
        ([(b"authorization", b"Bearer " + b"a" * MAX_BEARER_BYTES)], "a" * MAX_BEARER_BYTES),
        ([], Reason.MANDATE_MISSING),
        ([(b"authorization", b"Basic abc")], Reason.MANDATE_MISSING),
        ([(b"authorization", b"")], Reason.MANDATE_MISSING),
        ([(b"authorization", b"Bearerabc")], Reason.MANDATE_MISSING),
        ([(b"authorization", b"Bearer")], Reason.MANDATE_MALFORMED),
        ([(b"authorization", b"Bearer a b")], Reason.MANDATE_MALFORMED),
        ([(b"authorization", b"Bearer abc, Bearer def")], Reason.MANDATE_MALFORMED),
        ([(b"authorization", b"Bearer abc\n")], Reason.MANDATE_MALFORMED),
        ([(b"authorization", b"Bearer \xff")], Reason.MANDATE_MALFORMED),
        (
            [(b"authorization", b"Bearer " + b"a" * (MAX_BEARER_BYTES + 1))],
            Reason.MANDATE_TOO_LARGE,
        ),
        (
            [(b"authorization", b"Bearer " + b"a b" * MAX_BEARER_BYTES)],
            Reason.MANDATE_TOO_LARGE,
        ),
        (
            [(b"authorization", b"Bearer a"), (b"authorization", b"Bearer a")],
            Reason.HEADER_DUPLICATE,
        ),
        ([(b"x-other", b"1"), (b"authorization", b"Bearer a")], "a"),
    ],
)
def test_a_bearer_token_is_read_from_exactly_one_header(headers, expected):
    found = bearer_token(headers)
    assert (found.reason if isinstance(found, Refused) else found) == expected


@given(st.binary(max_size=80))
def test_whatever_an_authorization_header_holds_gets_an_answer(value):
    found = bearer_token([(b"authorization", value)])
    assert isinstance(found, Refused) or found.encode() in value


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([b"abc-DEF_1.2:3"], "abc-DEF_1.2:3"),
        ([b"a" * 128], "a" * 128),
        ([], "fresh"),
        ([b"a" * 129], "fresh"),
        ([b""], "fresh"),
        ([b"a b"], "fresh"),
        ([b"a\r\nset-cookie: x"], "fresh"),
        ([b"\xc3\xbc"], "fresh"),
        ([b"one", b"two"], "fresh"),
    ],
)
def test_only_a_harmless_request_id_is_taken_over(values, expected):
    assert request_id([(b"x-request-id", value) for value in values], _Entropy()) == expected


@pytest.mark.parametrize(
    ("chunks", "headers"), [((b"abcd",), []), ((b"ab", b"cd"), [(b"content-length", b"4")])]
)
async def test_a_body_within_its_limit_is_read_whole(chunks, headers):
    assert await read_body(_receive(*chunks), headers, 4) == b"abcd"


async def test_a_body_beyond_its_limit_is_refused_as_soon_as_it_is_known():
    async def never():
        raise AssertionError("a body that announces too much is not read")

    with pytest.raises(RequestRefused) as announced:
        await read_body(never, [(b"content-length", b"5")], 4)
    with pytest.raises(RequestRefused) as found:
        await read_body(_receive(b"abc", b"de", b"f"), [], 4)
    for caught in (announced, found):
        assert caught.value.problem.reason is Reason.BODY_TOO_LARGE
        assert "4 bytes" in caught.value.problem.detail


async def test_a_client_that_goes_away_while_sending_is_noticed():
    with pytest.raises(RequestRefused) as caught:
        await read_body(_receive(b"ab", gone=True), [], 4)
    assert caught.value.problem.reason is Reason.CLIENT_GONE


async def test_a_body_that_does_not_arrive_is_not_waited_for_and_its_connection_is_closed():
    async def silence():
        await asyncio.Event().wait()

    with pytest.raises(RequestRefused) as caught:
        await read_body(silence, [(b"content-length", b"4")], 4, seconds=0.01)
    assert caught.value.problem.reason is Reason.REQUEST_MALFORMED
    assert caught.value.problem.headers == ((b"connection", b"close"),)


async def test_json_is_read_into_its_shape():
    assert await read_json(_request(b'{"name":"x",', b'"size":3}'), _Shape) == _Shape("x", 3)
    assert await read_json(_request(b'{"name":"x"}', content_type=b""), _Shape) == _Shape("x")
    assert await read_optional_json(_request(b'{"name":"x"}'), _Shape) == _Shape("x")
    assert await read_optional_json(_request(b"", content_type=b"text/plain"), _Shape) is None


@pytest.mark.parametrize("read", [read_json, read_optional_json])
async def test_another_media_type_than_json_is_refused(read):
    with pytest.raises(RequestRefused, match="request_malformed") as caught:
        await read(_request(b"name=x", content_type=b"application/x-www-form-urlencoded"), _Shape)
    assert caught.value.problem.variant is Variant.INVALID_BODY


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (b'{"name":1}', ("name",)),
        (b'{"name":"x","labels":["a",2]}', ("labels", 1)),
        (b'{"name":"x","size":"many"}', ("size",)),
        (b'{"size":1}', ()),
        (b'{"name":"x","nmae":1}', ()),
        (b"[]", ()),
    ],
)
def test_a_body_of_another_shape_names_the_field(body, path):
    with pytest.raises(RequestRefused) as caught:
        decode_json(body, _Shape)
    problem = caught.value.problem
    assert problem.reason is Reason.REQUEST_MALFORMED
    assert problem.variant is Variant.INVALID_BODY
    assert [issue.path for issue in problem.issues] == [path]
    assert problem.issues[0].message


@given(st.binary(max_size=60))
def test_bytes_that_are_no_json_never_get_further(body):
    try:
        msgspec.json.decode(body, type=_Shape)
    except (msgspec.DecodeError, UnicodeDecodeError):
        with pytest.raises(RequestRefused):
            decode_json(body, _Shape)


def test_json_nested_beyond_measure_is_refused():
    with pytest.raises(RequestRefused):
        decode_json(b"[" * 100_000, list)


def test_a_query_is_read_into_its_shape():
    request = _request(query=b"name=x&size=3")
    assert read_query(request, _Shape) == _Shape("x", 3)


@pytest.mark.parametrize(
    ("query", "issues"),
    [
        (b"name=x&name=y", ()),
        (b"name=x&size=many", (Issue(("size",), "Expected `int`, got `str`"),)),
        (b"name=x&nmae=y", (Issue((), "Object contains unknown field `nmae`"),)),
    ],
)
def test_a_query_that_is_not_understood_whole_is_refused(query, issues):
    with pytest.raises(RequestRefused) as caught:
        read_query(_request(query=query), _Shape)
    assert caught.value.problem.variant is Variant.INVALID_QUERY
    assert caught.value.problem.issues == issues


def test_a_path_parameter_can_be_refused():
    problem = refuse_params("'a b' is not an identifier").problem
    assert (problem.reason, problem.variant) == (Reason.REQUEST_MALFORMED, Variant.INVALID_PARAMS)
