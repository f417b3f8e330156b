"""Which headers cross the Gateway. Names are bytes; both spellings of case are understood."""

import re
from collections.abc import Callable, Iterable
from functools import lru_cache

Header = tuple[bytes, bytes]
Headers = tuple[Header, ...]
_Compared = list[tuple[bytes, bytes, bytes]]

_HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
_NOT_FORWARDED = _HOP_BY_HOP | {
    b"authorization",
    b"caracal-receipt",
    b"content-length",
    b"expect",
    b"forwarded",
    b"host",
    # Who calls is said by the Gateway; servers believe these where a proxy of theirs would set them.
    b"cf-connecting-ip",
    b"client-ip",
    b"fastly-client-ip",
    b"true-client-ip",
    b"x-client-ip",
    b"x-cluster-client-ip",
    b"x-original-host",
    b"x-host",
    # CGI makes it HTTP_PROXY, which HTTP clients take for their proxy.
    b"proxy",
    b"traceparent",
    # Frameworks read another method or path out of these than the one that was decided on.
    b"x-http-method",
    b"x-http-method-override",
    b"x-method-override",
    b"x-original-uri",
    b"x-original-url",
    b"x-real-ip",
    b"x-request-id",
    b"x-rewrite-url",
}
_NOT_RETURNED = _HOP_BY_HOP | {
    b"alt-svc",
    b"caracal-receipt",
    b"refresh",
    b"server",
    b"x-aspnet-version",
    b"x-aspnetmvc-version",
    b"x-powered-by",
    b"x-request-id",
}
_OURS = (b"x-caracal-", b"x-forwarded-")
_RESERVED = frozenset(
    {
        b"baggage",
        b"caracal-receipt",
        b"connection",
        b"content-encoding",
        b"content-length",
        b"content-type",
        b"expect",
        b"forwarded",
        b"host",
        b"keep-alive",
        b"te",
        b"traceparent",
        b"tracestate",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"via",
        b"x-real-ip",
        b"x-request-id",
    }
)
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")
_TRACEPARENT = re.compile(
    rb"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
)
_RELATIVE = re.compile(rb"(?!//)(?![A-Za-z][A-Za-z0-9+.\-]*:)[\x21-\x5b\x5d-\x7e]*")
_TRACE_BYTES = 24


@lru_cache(maxsize=1024)  # callers and upstreams use the same few names
def _comparable(name: bytes) -> bytes:
    """Lower case, and `_` as `-`: many servers make both one variable, so both are one name here."""
    return name.lower().replace(b"_", b"-")


def forwardable_request_headers(
    headers: Iterable[Header], *, without: frozenset[bytes] = frozenset()
) -> Headers:
    """The caller's headers that go upstream.

    Left out: hop-by-hop fields and all that `Connection` names (RFC 9110 section 7.6.1), what frames a
    message or steers a connection, what would override method or path, credentials, our own and
    forwarding fields, baggage members
    `caracal.*`, `traceparent` (the Gateway writes it) and, when that was not valid, `tracestate`;
    and the names in `without`, in lower case, whose place the injected credential takes.
    """
    listed = [(_comparable(name), name, value) for name, value in headers]
    dropped = _with_named_by_connection(_NOT_FORWARDED, listed)
    replaced = {_comparable(name) for name in without}
    kept: list[Header] = []
    for key, name, value in listed:
        if key in dropped or key in replaced or key.startswith(_OURS):
            continue
        if key == b"tracestate" and not _has_valid_trace(listed):
            continue
        if key == b"baggage":
            value = _without_our_members(value)  # noqa: PLW2901 (the member list, cleaned)
            if not value:
                continue
        kept.append((name, value))
    return tuple(kept)


def returnable_response_headers(headers: Iterable[Header]) -> Headers:
    """The upstream's headers that go back to the caller.

    Left out: hop-by-hop fields, fields that only the Gateway states, what gives away the upstream's
    software or would lead past the Gateway, and locations that are not relative.
    """
    listed = [(_comparable(name), name, value) for name, value in headers]
    dropped = _with_named_by_connection(_NOT_RETURNED, listed)
    kept: list[Header] = []
    for key, name, value in listed:
        if key in dropped or key.startswith(b"x-caracal-"):
            continue
        if key in {b"location", b"content-location"} and _RELATIVE.fullmatch(value.strip()) is None:
            continue
        kept.append((name, value))
    return tuple(kept)


def traceparent_or(raw: bytes | None, random: Callable[[int], bytes]) -> bytes:
    """The caller's trace context when it is valid (W3C Trace Context section 3.2), else a new one.

    `random` gives as many random bytes as it is asked for.
    """
    if raw is not None and _valid_trace(raw):
        return raw
    fresh = random(_TRACE_BYTES).hex()
    return f"00-{fresh[:32]}-{fresh[32:]}-01".encode()


def reserved_for_credential(name: str) -> bool:
    """Whether a provider may not put its credential into this header, or it is no header name."""
    key = _comparable(name.encode("utf-8", "replace"))
    return _TOKEN.fullmatch(name) is None or key in _RESERVED or key.startswith((b"proxy-", *_OURS))


def _with_named_by_connection(dropped: frozenset[bytes], headers: _Compared) -> frozenset[bytes]:
    values = [value for key, _, value in headers if key == b"connection"]
    if not values:
        return dropped
    return dropped.union(
        [_comparable(option.strip()) for value in values for option in value.split(b",")]
    )


def _has_valid_trace(headers: _Compared) -> bool:
    found = [value for key, _, value in headers if key == b"traceparent"]
    return len(found) == 1 and _valid_trace(found[0])


def _valid_trace(raw: bytes) -> bool:
    # Version 00 ends after the flags; a later version may go on, and is then restarted by us.
    return _TRACEPARENT.fullmatch(raw) is not None


def _without_our_members(value: bytes) -> bytes:
    """Baggage without `caracal.*` (W3C Baggage section 3.2.1): those speak to the Gateway only."""
    members = [member.strip() for member in value.split(b",")]
    kept = [
        m for m in members if m and not m.partition(b"=")[0].strip().lower().startswith(b"caracal.")
    ]
    return b",".join(kept)
