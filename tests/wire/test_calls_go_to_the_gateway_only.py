"""Which URL means the resource, what a call carries, and who answered it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caracal.tokens.secret import Secret
from caracal.wire.calls.gateway import Destination, call_headers, from_upstream
from caracal.wire.upstream_url import UpstreamUrl

GATEWAY = UpstreamUrl.parse("https://gw.example/base/")
DESTINATION = Destination(GATEWAY, "resource://a", UpstreamUrl.parse("https://api.example/v1"))


@pytest.mark.parametrize(
    ("url", "target"),
    [
        (("", "", None, "/x?q=1"), "/base/x?q=1"),
        (("", "", None, "x"), "/base/x"),
        (("", "", None, ""), "/base/"),
        (("https", "gw.example", None, "/base/x"), "/base/x"),
        (("https", "GW.example", 443, "/base"), "/base/"),
        (("https", "api.example", None, "/v1/orders?a=b"), "/base/orders?a=b"),
        (("https", "api.example", None, "/v1?a=b"), "/base/?a=b"),
        (("https", "api.example", None, "/v10/orders"), None),
        (("https", "api.example", 8443, "/v1/orders"), None),
        (("http", "api.example", None, "/v1/orders"), None),
        (("http", "api.example", 443, "/v1/orders"), None),
        (("https", "gw.example", None, "/other"), None),
        (("https", "evil.example", None, "/v1/orders"), None),
        (("ftp", "api.example", None, "/v1/orders"), None),
    ],
)
def test_a_url_means_the_resource_or_nothing(url, target):
    assert DESTINATION.target(*url) == target


def test_without_a_prefix_only_the_gateways_own_urls_mean_it():
    bare = Destination(UpstreamUrl.parse("http://127.0.0.1:8081"), "resource://a")
    assert bare.target("http", "127.0.0.1", 8081, "/x") == "/x"
    assert bare.target("https", "api.example", None, "/v1/x") is None


@given(st.text(max_size=20), st.text(max_size=20), st.integers(1, 65535), st.text(max_size=40))
def test_where_a_call_goes_is_always_below_the_gateways_path(scheme, host, port, target):
    found = DESTINATION.target(scheme, host, port, target)
    assert found is None or found.startswith("/base/")


def test_a_call_carries_the_mandate_and_no_other_authority():
    headers = call_headers(
        [
            ("Authorization", "Bearer of-the-caller"),
            ("Host", "api.example"),
            ("X-Caracal-Resource", "resource://other"),
            ("Accept", "text/plain"),
            ("Baggage", "a=1"),
        ],
        "resource://a",
        Secret("mandate"),
        [("traceparent", "00-t-s-01"), ("baggage", "b=2")],
    )
    assert headers == (
        ("Accept", "text/plain"),
        ("traceparent", "00-t-s-01"),
        ("baggage", "b=2"),
        ("authorization", "Bearer mandate"),
        ("x-caracal-resource", "resource://a"),
    )


def test_a_caller_that_is_traced_already_keeps_its_trace():
    headers = call_headers(
        [("Traceparent", "00-mine"), ("baggage", "a=1")],
        "resource://a",
        Secret("m"),
        [("traceparent", "00-ours"), ("baggage", "b=2")],
    )
    assert ("Traceparent", "00-mine") in headers
    assert ("baggage", "a=1") in headers
    assert not {("traceparent", "00-ours"), ("baggage", "b=2")} & set(headers)


def test_an_answer_tells_who_gave_it():
    assert from_upstream(["Content-Type", "X-Caracal-Token-Expires-In"])
    assert not from_upstream(["content-type", "caracal-receipt"])
