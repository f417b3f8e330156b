"""What is sent upstream is exactly what was asked for, or nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caracal_server.adapters.http.request_head import render_head
from caracal_server.ports.upstream import CLIENT_OWNED_HEADERS, UpstreamRequest, UpstreamUrl
from tests.adapters_http.raw_upstream import client, forever, ok, pieces, read, upstream

URL = UpstreamUrl.parse("http://api.example")


def render(method="GET", target=b"/", headers=(), *, body=None, length=None) -> bytes:
    request = UpstreamRequest(method, URL, target, headers, body, length)
    return render_head(request, b"Host: api.example")


def test_a_head_carries_host_first_then_the_callers_fields_in_order():
    head = render("GET", b"/a?b=%20", [(b"Accept", b"*/*"), (b"X-Two", b"\xe9 ok\t")])
    assert head == (
        b"GET /a?b=%20 HTTP/1.1\r\nHost: api.example\r\nAccept: */*\r\nX-Two: \xe9 ok\t\r\n\r\n"
    )


@pytest.mark.parametrize(
    ("method", "body", "length", "framing"),
    [
        ("GET", False, None, b""),
        ("DELETE", False, None, b""),
        ("GET", False, 0, b"Content-Length: 0\r\n"),
        ("POST", False, None, b"Content-Length: 0\r\n"),
        ("PUT", True, 0, b"Content-Length: 0\r\n"),
        ("POST", True, 12, b"Content-Length: 12\r\n"),
        ("POST", True, None, b"Transfer-Encoding: chunked\r\n"),
    ],
)
def test_the_client_alone_frames_the_body(method, body, length, framing):
    head = render(method, body=pieces() if body else None, length=length)
    assert head == b"%b / HTTP/1.1\r\nHost: api.example\r\n%b\r\n" % (method.encode(), framing)


@pytest.mark.parametrize("name", sorted(CLIENT_OWNED_HEADERS))
def test_fields_that_steer_the_connection_are_refused_in_any_case(name):
    for spelling in (name, name.upper(), name.title()):
        with pytest.raises(ValueError, match="for the upstream client to write"):
            render(headers=[(spelling, b"x")])


@pytest.mark.parametrize(
    "name", [b"", b"a b", b"a:", b"a\r\nb", b"\xc3\xa9", b"a\x00", b" a", b"a\n"]
)
def test_a_name_that_is_no_token_is_refused(name):
    with pytest.raises(ValueError, match="not a header name"):
        render(headers=[(name, b"x")])


@pytest.mark.parametrize("value", [b"a\r\nX: y", b"a\n", b"\r", b"a\x00b", b"\x7f", b"\x1b[0m"])
def test_a_value_with_a_control_character_is_refused_and_not_repeated(value):
    with pytest.raises(ValueError, match="control character") as caught:
        render(headers=[(b"Authorization", b"Bearer secret" + value)])
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "target", [b"", b"a", b"*", b"http://x/", b"/a b", b"/a\r\n", b"/\x00", b"/\xe9", b"/a#b"]
)
def test_a_target_that_is_no_origin_form_is_refused(target):
    with pytest.raises(ValueError, match="not a path"):
        render(target=target)


@pytest.mark.parametrize("method", ["", "get", "CONNECT", "GET /", "GET\r\n", "É", "A" * 33])
def test_a_method_that_cannot_be_forwarded_is_refused(method):
    with pytest.raises(ValueError, match="not a method"):
        render(method)


def test_a_length_that_cannot_be_is_refused():
    with pytest.raises(ValueError, match="not negative"):
        render("POST", body=pieces(), length=-1)
    with pytest.raises(ValueError, match="without a body"):
        render("POST", length=3)


@given(st.lists(st.tuples(st.binary(max_size=12), st.binary(max_size=12)), max_size=4))
def test_a_rendered_head_has_exactly_one_line_for_each_field(headers):
    try:
        head = render(headers=headers)
    except ValueError:
        return
    lines = head.split(b"\r\n")
    assert lines[2:-2] == [name + b": " + value for name, value in headers]
    assert head.count(b"\n") == head.count(b"\r") == len(headers) + 3


async def test_nothing_is_written_when_the_request_is_refused():
    async with upstream(forever(ok(b""))) as there, client() as upstreams:
        with pytest.raises(ValueError, match="for the upstream client"):
            await upstreams.send(UpstreamRequest("GET", there.url, b"/", [(b"Host", b"evil")]))
        assert there.connections == 0
        assert await read(await upstreams.send(UpstreamRequest("GET", there.url, b"/"))) == b""
