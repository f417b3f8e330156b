import re
from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caracal.authority.outcomes import Reason
from caracal.wire.errors import WireError
from caracal.wire.paths import MAX_TARGET_BYTES, parse_target


def refusal(path: bytes, query: bytes = b"") -> WireError:
    with pytest.raises(WireError) as refused:
        parse_target(path, query)
    return refused.value


SAFE = {
    b"/": ("",),
    b"/a": ("a",),
    b"/a/": ("a", ""),
    b"/a/b.c/...": ("a", "b.c", "..."),
    b"/.well-known/x": (".well-known", "x"),
    b"/a%20b/%C3%A9": ("a b", "é"),
    b"/50%25/x": ("50%", "x"),
    b"/%2541": ("%41",),
    b"/%2525": ("%25",),
    b"/%7Bname%7D": ("{name}",),
    b"/~!$&'()*+,=:@[]": ("~!$&'()*+,=:@[]",),
}


@pytest.mark.parametrize(("path", "segments"), SAFE.items(), ids=map(repr, SAFE))
def test_a_safe_path_is_split_decoded_once_and_kept_as_it_came(path, segments):
    target = parse_target(path, b"a=%2F..%2F&b=//")
    assert target.segments == segments
    assert target.path_raw == path
    assert target.query == b"a=%2F..%2F&b=//"


UNSAFE = [
    b"",
    b"a",
    b"*",
    b"http://host/a",
    b"host:443",
    b"//",
    b"//host/a",
    b"/a//b",
    b"/a/b//",
    b"/.",
    b"/..",
    b"/a/./b",
    b"/a/../b",
    b"/a/..",
    b"/%2e/b",
    b"/a/%2e%2E/b",
    b"/a/.%2e",
    b"/a/%252e%252e/b",
    b"/a/%25252e%25252e",
    b"/a/..;/b",
    b"/a/..;x=1/b",
    b"/a/%2e%2e;/b",
    b"/a/..%3b/b",
    b"/a/..%253b/b",
    b"/a;v=1/b",
    b"/a;",
    b"/;/a",
    b"/a%3Bv=1/b",
    b"/a%3bv=1/b",
    b"/a%253Bv=1",
    b"/a%25253b",
    b"/a%3Fb",
    b"/a%3fb=1/c",
    b"/a%253fb",
    b"/a%25253Fb",
    b"/a%23b",
    b"/a%2523b",
    b"/a%252523b",
    b"/a%2Fb",
    b"/a%2fb",
    b"/a%252Fb",
    b"/a%25252fb",
    b"/a%5Cb",
    b"/a%5c..%5cb",
    b"/a%255cb",
    b"/a\\b",
    b"/a%",
    b"/a%2",
    b"/a%zz",
    b"/a%00",
    b"/a%2500",
    b"/a%0d%0aHost:%20x",
    b"/a%250a",
    b"/a%7f",
    b"/a\x00",
    b"/a\r\nHost: x",
    b"/a b",
    b"/a?b",
    b"/a#b",
    b"/a|b",
    b"/caf\xc3\xa9",
    b"/%ff",
    b"/%c0%ae%c0%ae/",
    b"/%c0%af",
    b"/%25c0%25af",
    b"/%ed%a0%80",
]


@pytest.mark.parametrize("path", UNSAFE, ids=repr)
def test_what_could_be_read_in_two_ways_is_refused(path):
    error = refusal(path)
    assert (error.reason, error.code) == (Reason.PATH_UNSAFE, "invalid_token")


@pytest.mark.parametrize("query", [b"a b", b"a#b", b"a\r\nb", b"\x00", b"caf\xc3\xa9", b"\x7f"])
def test_a_query_that_could_end_early_is_refused(query):
    assert refusal(b"/", query).reason is Reason.PATH_UNSAFE


def test_length_is_bounded():
    longest = b"/" + b"a" * (MAX_TARGET_BYTES - 1)
    assert parse_target(longest, b"q" * MAX_TARGET_BYTES).path_raw == longest
    assert str(MAX_TARGET_BYTES) in refusal(longest + b"a").description
    assert str(MAX_TARGET_BYTES) in refusal(b"/", b"q" * (MAX_TARGET_BYTES + 1)).description


def test_escapes_nested_to_the_limit_end():
    deep = b"/%" + b"25" * 4_000 + b"41"
    assert len(parse_target(deep, b"").segments) == 1


_plain = st.text("xyzé %{}", min_size=1, max_size=6)


@given(st.lists(_plain, min_size=1, max_size=4))
def test_segments_that_were_escaped_come_back(segments):
    path = "".join("/" + quote(segment, safe="") for segment in segments).encode()
    assert parse_target(path, b"").segments == tuple(segments)


def _misleads(text: str) -> bool:
    return bool(re.search(r"(^|/)\.{1,2}(/|$)|[?#;]|\\\\|//", text))


@given(st.text("/.;%23eEfFbB5cC\\a0", max_size=24))
def test_no_accepted_path_climbs_or_ends_early_however_often_it_is_decoded(path):
    try:
        target = parse_target(path.encode(), b"")
    except WireError as error:
        refused = error
    else:
        text = path
        slashes = text.count("/")
        for _ in range(12):
            assert not _misleads(text)
            assert text.count("/") == slashes
            text = unquote(text)
        assert target.path_raw == path.encode()
        return
    assert refused.reason is Reason.PATH_UNSAFE


@given(st.binary(max_size=40), st.binary(max_size=10))
def test_noise_is_read_or_refused_by_name(path, query):
    try:
        target = parse_target(b"/" + path, query)
    except WireError as error:
        refused = error
    else:
        assert "/" + "/".join(target.segments) == unquote((b"/" + path).decode())
        return
    assert refused.reason is Reason.PATH_UNSAFE
