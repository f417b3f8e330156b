"""W3C Trace Context and Baggage, carried on: read strictly, bounded, and rendered again.

`caracal.*` members of baggage are left out: who acts is in mandates, which are signed.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

MAX_STATE_CHARACTERS: Final = 512
MAX_STATE_MEMBERS: Final = 32
MAX_BAGGAGE_BYTES: Final = 8192
MAX_BAGGAGE_MEMBERS: Final = 64

_PARENT = re.compile(
    r"(?!ff)([0-9a-f]{2})-((?!0{32})[0-9a-f]{32})-((?!0{16})[0-9a-f]{16})-([0-9a-f]{2})(-.*)?"
)
_STATE = re.compile(
    r"(?:[a-z][a-z0-9_\-*/]{0,255}|[a-z0-9][a-z0-9_\-*/]{0,240}@[a-z][a-z0-9_\-*/]{0,13})"
    r"=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
)
_MEMBER = re.compile(
    r"([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*=[ \t]*[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*"
    r"(?:[ \t]*;[\x20\x21\x23-\x2b\x2d-\x5b\x5d-\x7e\t]*)?"
)
_TRACE_BYTES: Final = 16
_SPAN_BYTES: Final = 8
_CONTROLLED: Final = "caracal."


@dataclass(frozen=True, slots=True)
class TraceContext:
    """Which trace a call belongs to, and what travels along with it.

    Attributes:
        trace_id: 32 hexadecimal digits, not all zero.
        flags: 2 hexadecimal digits.
        state: `tracestate` as it is sent on; empty for none.
        baggage: likewise.
    """

    trace_id: str
    flags: str = "01"
    state: str = ""
    baggage: str = ""

    def headers(self, random: Callable[[int], bytes]) -> tuple[tuple[str, str], ...]:
        """What one request carries: the trace, under a span of its own."""
        span = random(_SPAN_BYTES).hex()
        fields = (
            ("traceparent", f"00-{self.trace_id}-{span}-{self.flags}"),
            ("tracestate", self.state),
            ("baggage", self.baggage),
        )
        return tuple((name, value) for name, value in fields if value)


def new_trace(random: Callable[[int], bytes]) -> TraceContext:
    return TraceContext(random(_TRACE_BYTES).hex())


def parse_trace_context(headers: Iterable[tuple[str, str]]) -> TraceContext | None:
    """Read the context of a request that came in; `None` without a valid `traceparent`.

    A `tracestate` or a `baggage` that is malformed or over its limit (512 characters and 32 members;
    8,192 bytes and 64 members) is left out whole: half of one would say something else.
    Source: W3C Trace Context sections 3.2 and 3.3; W3C Baggage section 3.
    """
    values: dict[str, list[str]] = {"traceparent": [], "tracestate": [], "baggage": []}
    for name, value in headers:
        found = values.get(name.lower())
        if found is not None:
            found.append(value.strip(" \t"))
    parents = values["traceparent"]
    parent = _PARENT.fullmatch(parents[0]) if len(parents) == 1 else None
    if parent is None or (parent[1] == "00" and parent[5] is not None):
        return None
    state = _state(",".join(values["tracestate"]))
    return TraceContext(parent[2], parent[4], state, parse_baggage(",".join(values["baggage"])))


def parse_baggage(text: str) -> str:
    """The members of a baggage header without `caracal.*`; empty when it can not be read."""
    if len(text) > MAX_BAGGAGE_BYTES:
        return ""
    members = [member.strip(" \t") for member in text.split(",")]
    if len(members) > MAX_BAGGAGE_MEMBERS:
        return ""
    kept: list[str] = []
    for member in filter(None, members):
        matched = _MEMBER.fullmatch(member)
        if matched is None:
            return ""
        if not matched[1].lower().startswith(_CONTROLLED):
            kept.append(member)
    return ",".join(kept)


def _state(text: str) -> str:
    members = [member.strip(" \t") for member in text.split(",")]
    kept = [member for member in members if member]
    keys = {member.partition("=")[0] for member in kept}
    whole = len(text) <= MAX_STATE_CHARACTERS and len(kept) <= MAX_STATE_MEMBERS
    valid = whole and len(keys) == len(kept) and all(map(_STATE.fullmatch, kept))
    return ",".join(kept) if valid else ""
