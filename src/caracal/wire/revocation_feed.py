"""Revocations as outsiders follow them: server-sent events, and the fields of a Valkey stream.

Two messages: something happened, in its durable order; and the publisher is alive, which says until when
all is told. A reader passes over kinds of message and members that it does not know.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Final, TypeAlias

import msgspec

from caracal.authority.news import Happened, News, Numbered, why

ALIVE: Final = "alive"
MEDIA_TYPE: Final = "text/event-stream"
MAX_LINE: Final = 4_096
MAX_POSITION: Final = 2**63 - 1

_POSITION: Final = re.compile(r"[0-9]{1,19}")
_WHAT: Final = {one.value: one for one in Happened}
_encode = msgspec.json.Encoder().encode


class InvalidMessage(ValueError):
    """It is no message of a feed of revocations."""


@dataclass(frozen=True, slots=True)
class Told:
    """Something happened.

    Attributes:
        after: the position of what was told before it; `None` where the reader's place says so.
    """

    numbered: Numbered
    after: int | None = None

    @property
    def position(self) -> int:
        return self.numbered.position


@dataclass(frozen=True, slots=True)
class Alive:
    """All that was stored until `at` is told.

    Attributes:
        at: the publisher's clock, in microseconds since 1970.
        oldest: the position of the oldest news that may still matter; 0 when there are none.
        position: the position of the newest that was told.
    """

    at: int
    oldest: int
    position: int


Message: TypeAlias = Told | Alive

_Count = Annotated[int, msgspec.Meta(ge=0, le=MAX_POSITION)]


class _Members(msgspec.Struct):
    zone_id: str
    id: Annotated[str, msgspec.Meta(min_length=1)]
    why: str = ""


class _AliveMembers(msgspec.Struct):
    at: _Count
    oldest: _Count
    position: _Count


def render_told(numbered: Numbered) -> bytes:
    """An event whose `id` a reader hands back as `Last-Event-ID`."""
    news = numbered.news
    data = _encode(_Members(news.zone_id, news.anchor, news.why.value))
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (numbered.position, news.what.encode(), data)


def render_alive(alive: Alive) -> bytes:
    data = _encode(_AliveMembers(alive.at, alive.oldest, alive.position))
    return b"event: alive\ndata: %s\n\n" % data


def last_event_id(text: str) -> int:
    """The position that a reader has.

    Raises:
        InvalidMessage: it is none.
    """
    return _count(text)


class EventReader:
    """Reads server-sent events as they arrive; of `retry` and comments nothing is kept.

    A stream is given up as soon as one line is longer than `MAX_LINE`, or an event has two of a field.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._fields: dict[str, str] = {}

    def feed(self, piece: bytes) -> Iterator[Message]:
        """The messages that are whole by now.

        Raises:
            InvalidMessage: what came is no feed of revocations.
        """
        *lines, self._rest = (self._rest + piece).split(b"\n")
        if len(self._rest) > MAX_LINE:
            raise InvalidMessage("a line that is too long")
        for line in lines:
            message = self._line(line.removesuffix(b"\r"))
            if message is not None:
                yield message

    def _line(self, line: bytes) -> Message | None:
        if len(line) > MAX_LINE:
            raise InvalidMessage("a line that is too long")
        if not line:
            fields, self._fields = self._fields, {}
            return _read_event(fields) if "data" in fields else None
        try:
            name, _, value = line.decode().partition(":")
        except UnicodeDecodeError:
            raise InvalidMessage("a line that is not UTF-8") from None
        if name in {"id", "event", "data"}:
            if name in self._fields:
                raise InvalidMessage(f"an event with two fields {name}")
            self._fields[name] = value.removeprefix(" ")
        return None


def _read_event(fields: Mapping[str, str]) -> Message | None:
    event = fields.get("event", "")
    what = _WHAT.get(event)
    try:
        if event == ALIVE:
            alive = msgspec.json.decode(fields["data"], type=_AliveMembers)
            return Alive(alive.at, alive.oldest, alive.position)
        if what is None:
            return None
        members = msgspec.json.decode(fields["data"], type=_Members)
    except (msgspec.DecodeError, RecursionError):
        raise InvalidMessage(f"{event}: its data can not be read") from None
    position = _count(fields.get("id", ""))
    news = News(members.zone_id, what, members.id, why(members.why))
    return Told(Numbered(position, news))


def told_fields(told: Told) -> dict[str, str]:
    """The fields of a stream's entry, without its signature."""
    news = told.numbered.news
    return {
        "event": news.what.value,
        "position": str(told.numbered.position),
        "after": str(told.after or 0),
        "zone_id": news.zone_id,
        "id": news.anchor,
        "why": news.why.value,
    }


def alive_fields(alive: Alive) -> dict[str, str]:
    return {
        "event": ALIVE,
        "at": str(alive.at),
        "oldest": str(alive.oldest),
        "position": str(alive.position),
    }


def read_fields(fields: Mapping[str, str]) -> Message | None:
    """Read an entry whose signature was proven; `None` for an event that is not known.

    Raises:
        InvalidMessage: a field is missing, or is none of its kind.
    """
    event, position = fields.get("event", ""), fields.get("position", "")
    if event == ALIVE:
        at, oldest = fields.get("at", ""), fields.get("oldest", "")
        return Alive(_count(at), _count(oldest), _count(position))
    what, anchor = _WHAT.get(event), fields.get("id", "")
    if what is None:
        return None
    if not anchor:
        raise InvalidMessage("it names nothing")
    news = News(fields.get("zone_id", ""), what, anchor, why(fields.get("why", "")))
    return Told(Numbered(_count(position), news), _count(fields.get("after", "")))


def _count(text: str) -> int:
    if _POSITION.fullmatch(text) is None or int(text) > MAX_POSITION:
        raise InvalidMessage("a count is a whole number of at most 63 bits")
    return int(text)
