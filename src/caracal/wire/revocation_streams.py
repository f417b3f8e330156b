"""The streams of a Valkey (or Redis) server on which revocations are published, and their signatures.

`caracal.sessions.revoke` and `caracal.delegations.invalidate` are those that stock clients read. What they
can not say (that a session was suspended and resumed, that the publisher lives) is on a third, which holds
everything in one order. Each entry is signed: `_sig` is the hexadecimal HMAC-SHA-256 of the stream's name
and of every other field in order of names, one line each.
"""

import hashlib
import hmac
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from caracal.authority.news import Happened
from caracal.wire.revocation_feed import Told, told_fields

SESSIONS: Final = "caracal.sessions.revoke"
DELEGATIONS: Final = "caracal.delegations.invalidate"
EVERYTHING: Final = "caracal.revocations"
SIGNATURE: Final = "_sig"
MIN_KEY_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class StreamEntry:
    """What is added to a stream, signed."""

    stream: str
    fields: Mapping[str, str]


def sign(stream: str, fields: Mapping[str, str], key: bytes) -> str:
    """The `_sig` of an entry."""
    lines = [f"{name}={fields[name]}\n" for name in sorted(fields) if name != SIGNATURE]
    signed = f"{stream}\n{''.join(lines)}"
    return hmac.new(key, signed.encode("utf-8", "surrogateescape"), hashlib.sha256).hexdigest()


def proven(stream: str, fields: Mapping[str, str], key: bytes) -> bool:
    """Whether an entry is signed with the key, and could not be read in another way."""
    if any("=" in name or "\n" in name or "\n" in text for name, text in fields.items()):
        return False
    given = fields.get(SIGNATURE, "").encode("utf-8", "surrogateescape")
    return hmac.compare_digest(given, sign(stream, fields, key).encode())


def signed(stream: str, fields: dict[str, str], key: bytes) -> StreamEntry:
    return StreamEntry(stream, fields | {SIGNATURE: sign(stream, fields, key)})


def entries_of(told: Told, key: bytes) -> Iterator[StreamEntry]:
    """What is added for one piece of news: for stock readers first, then to the stream of everything.

    So where that one says that something was published, it was on all of them.
    """
    numbered, news = told.numbered, told.numbered.news
    outbox = {"outbox_id": str(numbered.position), "zone_id": news.zone_id}
    if news.what is Happened.SESSION_ENDED:
        fields = {
            "dedupe_key": f"terminate:{news.anchor}",
            "agent_session_id": news.anchor,
            "reason": news.why.value,
        }
        yield signed(SESSIONS, outbox | fields, key)
    elif news.what is Happened.DELEGATION_REVOKED:
        fields = {
            "dedupe_key": f"delegation:{news.anchor}",
            "delegation_edge_id": news.anchor,
            "reason": news.why.value,
        }
        yield signed(SESSIONS, outbox | fields, key)
        fields = {
            "dedupe_key": f"edge_revoke:{news.anchor}",
            "event": "edge_revoke",
            "edge_id": news.anchor,
            "source_session_id": news.source,
            "target_session_id": news.target,
            "epoch": str(news.epoch),
        }
        yield signed(DELEGATIONS, outbox | fields, key)
    yield signed(EVERYTHING, told_fields(told), key)
