import pytest

from caracal.wire.headers import (
    forwardable_request_headers,
    reserved_for_credential,
    returnable_response_headers,
    traceparent_or,
)

TRACE = b"00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01"


def test_ordinary_headers_pass_in_order_and_unchanged():
    headers = (
        (b"Accept", b"a"),
        (b"content-type", b"application/json"),
        (b"accept", b"b"),
        (b"cookie", b"c=1"),
        (b"content-encoding", b"gzip"),
        (b"idempotency-key", b"k"),
    )
    assert forwardable_request_headers(headers) == headers
    assert returnable_response_headers(headers) == headers


NEVER_FORWARDED = [
    "Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "TE",
    "Trailer", "Transfer-Encoding", "Upgrade", "Expect", "Host", "Content-Length", "Authorization",
    "X-Caracal-Resource", "X-Caracal-Client-ID", "X-Caracal-Identity", "X-Caracal-Anything",
    "X-Forwarded-For", "X-Forwarded-Host", "Forwarded", "X-Real-Ip", "X-Request-Id", "Traceparent",
    "X_Caracal_Identity", "x_forwarded_for", "X-Caracal_Identity", "X-HTTP-Method-Override",
    "X-HTTP-Method", "X-Method-Override", "X_HTTP_Method_Override", "X-Original-URL", "X-Original-URI",
    "X-Rewrite-URL", "Proxy", "Caracal-Receipt", "caracal_receipt",
]  # fmt: skip


@pytest.mark.parametrize("name", NEVER_FORWARDED)
def test_what_frames_steers_or_claims_authority_is_not_forwarded(name):
    for spelling in (name, name.lower(), name.upper()):
        assert forwardable_request_headers([(spelling.encode(), b"x")]) == ()


def test_headers_that_connection_names_are_not_forwarded_or_returned():
    headers = [
        (b"connection", b"close, X-Hop ,x-other"),
        (b"Connection", b"x-third"),
        (b"x-hop", b"1"),
        (b"X-Other", b"2"),
        (b"x-third", b"3"),
        (b"x-kept", b"4"),
    ]
    assert forwardable_request_headers(headers) == ((b"x-kept", b"4"),)
    assert returnable_response_headers(headers) == ((b"x-kept", b"4"),)


def test_the_place_of_the_credential_is_cleared_in_every_spelling():
    headers = [(b"X-Api-Key", b"mine"), (b"x_api_key", b"mine"), (b"x-api-key2", b"other")]
    kept = forwardable_request_headers(headers, without=frozenset({b"x-api-key"}))
    assert kept == ((b"x-api-key2", b"other"),)


@pytest.mark.parametrize(
    ("baggage", "forwarded"),
    [
        (b"a=1,b=2;p=3", b"a=1,b=2;p=3"),
        (b"caracal.session=s, a=1 ,Caracal.hop=2,b=2", b"a=1,b=2"),
        (b"caracals=1", b"caracals=1"),
        (b"caracal.hop=1", None),
        (b" , ", None),
    ],
)
def test_our_own_baggage_stays_at_the_gateway(baggage, forwarded):
    expected = () if forwarded is None else ((b"baggage", forwarded),)
    assert forwardable_request_headers([(b"baggage", baggage)]) == expected


def test_trace_state_goes_with_a_valid_trace_only():
    state = (b"tracestate", b"v=1")
    assert forwardable_request_headers([(b"traceparent", TRACE), state]) == (state,)
    assert forwardable_request_headers([(b"traceparent", b"junk"), state]) == ()
    assert forwardable_request_headers([(b"traceparent", TRACE)] * 2 + [state]) == ()
    assert forwardable_request_headers([state]) == ()


@pytest.mark.parametrize(
    "raw",
    [
        None,
        b"",
        TRACE.upper(),
        TRACE + b"-00",
        b"ff" + TRACE[2:],
        b"00-" + b"0" * 32 + TRACE[35:],
        TRACE[:36] + b"0" * 16 + b"-01",
        TRACE + b"\n",
    ],
)
def test_an_invalid_trace_context_is_made_anew(raw):
    made = traceparent_or(raw, lambda count: bytes(range(1, count + 1)))
    assert made == b"00-0102030405060708090a0b0c0d0e0f10-1112131415161718-01"


def test_a_valid_trace_context_is_kept():
    assert traceparent_or(TRACE, lambda _: pytest.fail("no randomness is needed")) == TRACE


NEVER_RETURNED = [
    "Connection", "Keep-Alive", "Transfer-Encoding", "Trailer", "Upgrade", "TE", "Proxy-Authenticate",
    "X-Caracal-Identity", "X-Caracal-Revoked", "X_Caracal_Token_Expires_In", "X-Request-Id", "Server",
    "X-Powered-By", "X-AspNet-Version", "X-AspNetMvc-Version", "Refresh", "Alt-Svc",
    "Caracal-Receipt",
]  # fmt: skip


@pytest.mark.parametrize("name", NEVER_RETURNED)
def test_what_speaks_of_the_upstream_or_for_the_gateway_is_not_returned(name):
    assert returnable_response_headers([(name.encode(), b"x"), (b"etag", b"1")]) == (
        (b"etag", b"1"),
    )


@pytest.mark.parametrize("name", [b"location", b"Content-Location"])
@pytest.mark.parametrize(
    ("value", "passes"),
    [
        (b"/a/b?c#d", True),
        (b"a/b", True),
        (b"?page=2", True),
        (b"./a:b", True),
        (b"", True),
        (b"https://api.example.com/a", False),
        (b"HTTP:/a", False),
        (b"//evil.example/a", False),
        (b" //evil.example", False),
        (b"/\\evil.example", False),
        (b"javascript:alert(1)", False),
        (b"/a\tb", False),
        (b"/caf\xc3\xa9", False),
    ],
)
def test_only_relative_locations_are_returned(name, value, passes):
    assert bool(returnable_response_headers([(name, value)])) is passes


@pytest.mark.parametrize("name", ["Authorization", "X-Api-Key", "api_key", "PRIVATE-TOKEN"])
def test_a_credential_may_go_into_these_headers(name):
    assert not reserved_for_credential(name)


RESERVED = [
    "baggage", "Caracal-Receipt", "Connection", "content-encoding", "content-length", "content-type", "expect", "forwarded",
    "Host", "keep-alive", "proxy-authorization", "te", "traceparent", "tracestate", "trailer",
    "transfer-encoding", "upgrade", "via", "x-real-ip", "X-Request-Id", "x-caracal-identity",
    "x-forwarded-for", "transfer_encoding", "X_Caracal_X", "", "a b", "a:b", "é", "a\n", "a" * 129,
]  # fmt: skip


@pytest.mark.parametrize("name", RESERVED)
def test_a_credential_may_not_go_into_these_headers(name):
    assert reserved_for_credential(name)
