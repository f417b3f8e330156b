import pytest
from hypothesis import given
from hypothesis import strategies as st

from caracal.verify import Code
from caracal.verify.refusals import NotVerified
from caracal.verify.routes import PUBLIC, Routes, below, proven
from tests.verify.examples import refusal

_TABLE = Routes("all", {"/admin": "admin", "/admin/open/not": "again"}, ["/admin/open", "/health"])


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/", "all"),
        ("/administrator", "all"),
        ("/admin", "admin"),
        ("/admin/", "admin"),
        ("/admin/x/y", "admin"),
        ("/admin/open", PUBLIC),
        ("/admin/open/x", PUBLIC),
        ("/admin/opener", "admin"),
        ("/admin/open/not/x", "again"),
        ("/health", PUBLIC),
        ("/healthy", "all"),
        ("/x/admin", "all"),
    ],
)
def test_the_longest_prefix_of_whole_segments_counts(path, found):
    assert _TABLE.at(path) == found


@pytest.mark.parametrize(
    "prefix",
    ["", "admin", "/admin/", "//", "/a//b", "/a/../b", "/.", "/a b", "/%61", "/a;b", "/a\n"],
)
def test_a_prefix_that_could_be_read_in_two_ways_is_no_setting(prefix):
    for routes, public in (({prefix: "x"}, []), ({}, [prefix])):
        with pytest.raises(ValueError, match="prefix"):
            Routes("all", routes, public)


def test_one_prefix_has_one_meaning():
    with pytest.raises(ValueError, match="twice"):
        Routes("all", {"/a": "a"}, ["/a"])
    with pytest.raises(ValueError, match="twice"):
        Routes("all", {}, ["/a", "/a"])
    with pytest.raises(TypeError, match="list"):
        Routes("all", {}, "/a")


@pytest.mark.parametrize(
    ("path", "raw"),
    [
        ("/health/../admin", b"/health/../admin"),
        ("/health/../admin", b"/health/%2e%2e/admin"),
        ("/health/%2e%2e/admin", b"/health/%252e%252e/admin"),
        ("/health//admin", b"/health//admin"),
        ("/health/./x", b"/health/./x"),
        ("/health\\..\\admin", b"/health%5c..%5cadmin"),
        ("/health/x/admin", b"/health/x%2fadmin"),
        ("/health;/admin", b"/health;/admin"),
        ("/a\x00", b"/a%00"),
        ("/a?b", b"/a%3fb"),
        ("/a\udcff", b"/a%ff"),
        ("a", b"a"),
        ("*", b"*"),
        ("/ok", b"/health/../ok"),
    ],
)
def test_a_path_of_two_meanings_is_refused(path, raw):
    assert refusal(proven, path, raw).code is Code.INVALID_REQUEST
    if raw.find(b"%2f") < 0 and path != "/ok":
        assert refusal(proven, path, None).status == 400


@pytest.mark.parametrize(
    ("path", "raw"),
    [
        ("/", b"/"),
        ("/a/", b"/a/"),
        ("/100%", b"/100%25"),
        ("/größe", b"/gr%C3%B6%C3%9Fe"),
        ("/a b", b"/a%20b"),
    ],
)
def test_ordinary_paths_pass(path, raw):
    proven(path, raw)
    proven(path, None)


@given(
    st.lists(st.sampled_from(["/", ".", "%2e", "%2f", "a", "admin", ";", "\\", "\x00", "é"])).map(
        "".join
    )
)
def test_what_passes_has_no_way_up_and_no_empty_segment(tail):
    path = "/" + tail
    try:
        proven(path, None)
    except NotVerified as refused:
        assert refused.status == 400  # noqa: PT017 (both ways are judged)
        return
    segments = path[1:].split("/")
    assert not {".", ".."} & set(segments)
    assert "" not in segments[:-1]


@pytest.mark.parametrize(
    ("root", "path", "inner"),
    [
        ("", "/a", "/a"),
        ("/", "/a", "/a"),
        ("/api", "/api/a", "/a"),
        ("/api/", "/api/a", "/a"),
        ("/api", "/api", "/"),
        ("/api", "/apis", "/apis"),
        ("/api", "/a", "/a"),
    ],
)
def test_a_mounted_application_routes_below_its_root(root, path, inner):
    assert below(root, path) == inner
