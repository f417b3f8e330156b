"""Which declared operation a request is: rules R1 to R7 of `resources.Operation`."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caracal.authority.resources import InvalidResource, Operation, OperationTable, parse_operation


def table(*lines: str) -> OperationTable:
    return OperationTable(tuple(parse_operation(*line.split(" "), "read") for line in lines))


def match(operations: OperationTable, method: str, path: str) -> str | None:
    found = operations.match(method, tuple(path[1:].split("/")))
    return None if found is None else found.name


def test_r1_the_method_is_compared_exactly():
    operations = table("GET /orders")
    assert match(operations, "GET", "/orders") == "GET /orders"
    assert match(operations, "get", "/orders") is None
    assert match(operations, "HEAD", "/orders") is None


def test_r2_a_literal_segment_equals_the_decoded_segment_exactly():
    operations = table("GET /Orders/a+b")
    assert match(operations, "GET", "/Orders/a+b") == "GET /Orders/a+b"
    assert match(operations, "GET", "/orders/a+b") is None
    assert match(operations, "GET", "/Orders/a%2Bb") is None
    assert operations.match("GET", ("Orders/a+b",)) is None


def test_r3_a_variable_stands_for_one_segment_that_is_not_empty():
    operations = table("GET /orders/{id}")
    assert match(operations, "GET", "/orders/7") == "GET /orders/{id}"
    assert match(operations, "GET", "/orders") is None
    assert match(operations, "GET", "/orders/") is None
    assert match(operations, "GET", "/orders/7/8") is None


def test_r4_a_variable_with_a_star_stands_for_all_that_follows():
    operations = table("GET /files/{path*}")
    assert match(operations, "GET", "/files/a") == "GET /files/{path*}"
    assert match(operations, "GET", "/files/a/b/c") == "GET /files/{path*}"
    assert match(operations, "GET", "/files") is None
    assert match(operations, "GET", "/files/") is None


def test_r5_a_trailing_slash_is_part_of_the_path():
    operations = table("GET /orders/", "GET /stock", "GET /")
    assert match(operations, "GET", "/orders/") == "GET /orders/"
    assert match(operations, "GET", "/orders") is None
    assert match(operations, "GET", "/stock/") is None
    assert match(operations, "GET", "/") == "GET /"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/a/b/c", "GET /a/{x}/c"),
        ("/a/b/d", "GET /a/{rest*}"),
        ("/z/b/d", "GET /{x}/b/d"),
        ("/a/1/2", "GET /a/{rest*}"),
        ("/a/new", "GET /a/new"),
        ("/a/1", "GET /a/{x}"),
        ("/z/1/2/3", "GET /{rest*}"),
    ],
)
def test_r6_of_several_matches_the_earliest_literal_segment_wins(path, expected):
    operations = table(
        "GET /{rest*}",
        "GET /{x}/b/d",
        "GET /{x}/b/c",
        "GET /a/{x}/c",
        "GET /a/{x}",
        "GET /a/new",
        "GET /a/{rest*}",
    )
    assert match(operations, "GET", path) == expected


def test_r6_goes_back_when_the_literal_leads_nowhere():
    operations = table("GET /a/b/c", "GET /{x}/b/d", "GET /{x}/{y}/e")
    assert match(operations, "GET", "/a/b/d") == "GET /{x}/b/d"
    assert match(operations, "GET", "/a/b/e") == "GET /{x}/{y}/e"
    assert match(operations, "GET", "/a/b/f") is None


def test_r7_the_query_plays_no_part():
    operations = table("GET /orders")
    assert match(operations, "GET", "/orders?state=open") is None, "the caller splits it off"


@given(st.permutations(["GET /a", "GET /{x}", "GET /a/{y*}", "GET /{x}/b", "POST /a"]), st.data())
def test_the_order_of_declaration_does_not_matter(lines, data):
    path = "/" + "/".join(
        data.draw(st.lists(st.sampled_from(["a", "b", ""]), min_size=1, max_size=4))
    )
    method = data.draw(st.sampled_from(["GET", "POST"]))
    assert match(table(*lines), method, path) == match(table(*sorted(lines)), method, path)


@pytest.mark.parametrize(
    ("one", "other"),
    [("GET /a/{x}", "GET /a/{y}"), ("GET /{x*}", "GET /{y*}"), ("GET /a", "GET /a")],
)
def test_two_operations_that_can_not_be_told_apart_are_refused(one, other):
    with pytest.raises(InvalidResource, match="repeats"):
        table(one, other)


@pytest.mark.parametrize(
    ("method", "template"),
    [
        ("get", "/a"),
        ("", "/a"),
        ("GET", "a"),
        ("GET", "/a//b"),
        ("GET", "/a/../b"),
        ("GET", "/./b"),
        ("GET", "/a b"),
        ("GET", "/a%20b"),
        ("GET", "/{X}"),
        ("GET", "/{x}/{x}"),
        ("GET", "/{x*}/b"),
        ("GET", "/{x*}{y}"),
        ("GET", "/" + "a" * 512),
    ],
)
def test_a_method_or_template_that_can_not_be_used_is_refused(method, template):
    with pytest.raises(InvalidResource):
        parse_operation(method, template, "read")


def test_a_template_of_512_characters_is_the_longest():
    longest = "/" + "a" * 511
    assert parse_operation("GET", longest, "read") == Operation("GET", longest, "read")


def test_tables_are_equal_when_they_declare_the_same():
    assert table("GET /a") == table("GET /a")
    assert table("GET /a") != table("GET /b")
    assert table("GET /a") != "GET /a"
    assert len({table("GET /a"), table("GET /a")}) == 1


@pytest.mark.parametrize("template", ["/a;v=1", "/;", "/a/{x};v", "/a;/b"])
def test_a_template_with_a_semicolon_is_refused_by_name(template):
    with pytest.raises(InvalidResource, match="semicolon"):
        parse_operation("GET", template, "read")
