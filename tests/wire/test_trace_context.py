import pytest
from hypothesis import given
from hypothesis import strategies as st

from caracal.wire.trace_context import (
    TraceContext,
    new_trace,
    parse_baggage,
    parse_trace_context,
)

TRACE, SPAN = "0af7" * 8, "b7ad" * 4
PARENT = f"00-{TRACE}-{SPAN}-01"


def zeros(count: int) -> bytes:
    return b"\x01" * count


def test_a_context_is_carried_on_under_a_span_of_its_own():
    context = parse_trace_context(
        [("Traceparent", PARENT), ("tracestate", "a=1, b@c=2"), ("baggage", "user=u 1;p, k=v")]
    )
    assert context == TraceContext(TRACE, "01", "a=1,b@c=2", "")
    context = parse_trace_context(
        [("traceparent", PARENT), ("baggage", "user=u1;p=2 , caracal.hop=3"), ("baggage", "k=v")]
    )
    assert context.baggage == "user=u1;p=2,k=v"
    assert context.headers(zeros) == (
        ("traceparent", f"00-{TRACE}-{'01' * 8}-01"),
        ("baggage", "user=u1;p=2,k=v"),
    )


def test_a_new_trace_is_one():
    (name, value), *rest = new_trace(zeros).headers(zeros)
    assert parse_trace_context([(name, value)]) == TraceContext("01" * 16)
    assert rest == []


@pytest.mark.parametrize(
    "parent",
    [
        "",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}",
    ],
)
def test_what_is_no_context_is_none(parent):
    assert parse_trace_context([("traceparent", parent)]) is None


def test_a_later_version_may_go_on_and_two_contexts_are_none():
    assert parse_trace_context([("traceparent", f"01-{TRACE}-{SPAN}-00-more")]).flags == "00"
    assert parse_trace_context([("traceparent", PARENT)] * 2) is None
    assert parse_trace_context([("tracestate", "a=1"), ("other", "x")]) is None


@pytest.mark.parametrize(
    "state",
    ["a=1,a=2", "A=1", "a", "a=1,b", "a=" + "x" * 520, ",".join(f"k{i}=1" for i in range(33))],
)
def test_a_state_that_is_malformed_or_too_long_is_left_out_whole(state):
    context = parse_trace_context([("traceparent", PARENT), ("tracestate", state)])
    assert context.state == ""


def test_a_state_may_hold_empty_members():
    context = parse_trace_context([("traceparent", PARENT), ("tracestate", "a=1,,b=2,")])
    assert context.state == "a=1,b=2"


def test_baggage_is_bounded():
    most = ",".join(f"k{i}=v" for i in range(64))
    assert parse_baggage(most) == most
    assert parse_baggage(most + ",k=v") == ""
    assert parse_baggage("k=" + "v" * 8190) != ""
    assert parse_baggage("k=" + "v" * 8191) == ""
    assert parse_baggage("Caracal.Hop=9, a=1") == "a=1"
    assert parse_baggage("a=1, b") == ""


@given(st.lists(st.tuples(st.sampled_from(["traceparent", "tracestate", "baggage"]), st.text())))
def test_any_headers_give_a_context_that_reads_back_or_none(headers):
    context = parse_trace_context([("traceparent", PARENT), *headers])
    if context is not None:
        assert parse_trace_context(context.headers(zeros)) == context


@given(st.text(alphabet='ab=;, \t.caracal%\x00\xe9"\\', max_size=60))
def test_baggage_never_carries_ours_or_what_is_no_header(text):
    kept = parse_baggage(text)
    assert kept.isprintable() or "\t" in kept
    assert not any(m.strip().lower().startswith("caracal.") for m in kept.split(","))
    assert parse_baggage(kept) == kept
