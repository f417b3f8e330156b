"""A feed of revocations reads as it was written, in both its forms; what is none of it is refused."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caracal.authority.news import Happened, News, Numbered, Why
from caracal.wire.revocation_feed import (
    MAX_LINE,
    MAX_POSITION,
    Alive,
    EventReader,
    InvalidMessage,
    Told,
    alive_fields,
    last_event_id,
    read_fields,
    render_alive,
    render_told,
    told_fields,
)
from caracal.wire.revocation_streams import (
    DELEGATIONS,
    EVERYTHING,
    SESSIONS,
    entries_of,
    proven,
    sign,
    signed,
)

KEY = bytes(range(32))
POSITIONS = st.integers(0, MAX_POSITION)
IDS = st.text("0123456789ABCDEFGHJKMNPQRSTVWXYZ", min_size=1, max_size=26)
NEWS = st.builds(News, IDS, st.sampled_from(Happened), IDS, st.sampled_from(Why))
TOLD = st.builds(Told, st.builds(Numbered, POSITIONS, NEWS), POSITIONS)
ALIVE = st.builds(Alive, POSITIONS, POSITIONS, POSITIONS)


def events(*pieces):
    reader = EventReader()
    return [message for piece in pieces for message in reader.feed(piece)]


@given(st.lists(TOLD | ALIVE, max_size=6), st.integers(1, 40))
def test_events_read_as_they_were_written_however_they_arrive(messages, size):
    written = b": hello\r\n\r\n" + b"".join(
        render_alive(one) if isinstance(one, Alive) else render_told(one.numbered)
        for one in messages
    )
    pieces = [written[at : at + size] for at in range(0, len(written), size)]
    expected = [one if isinstance(one, Alive) else Told(one.numbered) for one in messages]
    assert events(*pieces) == expected


@given(TOLD)
def test_entries_of_the_stream_read_as_they_were_written(told):
    assert read_fields(told_fields(told)) == told
    assert told.position == told.numbered.position


@given(ALIVE)
def test_signs_of_life_read_as_they_were_written(alive):
    assert read_fields(alive_fields(alive)) == alive


def test_what_a_later_version_says_besides_is_passed_over():
    assert events(b"id: 1\nevent: mandate_ended\ndata: {}\n\n", b"retry: 9\nevent: alive\n\n") == []
    assert read_fields({"event": "mandate_ended"}) is None
    [alive] = events(b'event: alive\ndata: {"at":1,"oldest":2,"position":3,"more":4}\n\n')
    assert alive == Alive(1, 2, 3)


TOLD_LINES = b'id: 5\nevent: session_ended\ndata: {"zone_id":"z","id":"s"}\n\n'


@pytest.mark.parametrize(
    "lines",
    [
        b"x" * (MAX_LINE + 1),
        b"x" * (MAX_LINE + 1) + b"\n",
        b"event: \xff\n",
        b"id: 1\nid: 2\n",
        TOLD_LINES.replace(b"id: 5", b"id: x"),
        TOLD_LINES.replace(b"id: 5\n", b""),
        TOLD_LINES.replace(b"id: 5", b"id: 9223372036854775808"),
        TOLD_LINES.replace(b'"id":"s"', b'"id":""'),
        TOLD_LINES.replace(b'"id":"s"', b'"id":1'),
        TOLD_LINES.replace(b"}", b""),
        b'event: alive\ndata: {"at":-1,"oldest":0,"position":0}\n\n',
        b"event: alive\ndata: " + b"[" * 4_000 + b"\n\n",
    ],
)
def test_what_is_no_feed_is_given_up(lines):
    with pytest.raises(InvalidMessage):
        events(lines)


@pytest.mark.parametrize("text", ["", "-1", "1.5", "1" * 20, "9223372036854775808", "\u0661"])
def test_a_place_is_a_whole_number(text):
    with pytest.raises(InvalidMessage):
        last_event_id(text)
    assert last_event_id("017") == 17


@pytest.mark.parametrize(
    "fields",
    [
        {"event": "alive"},
        {"event": "alive", "at": "1", "oldest": "1", "position": "-1"},
        {"event": "session_ended", "position": "1", "after": "0"},
        {"event": "session_ended", "id": "s", "position": "1"},
        {"event": "session_ended", "id": "s", "after": "1"},
    ],
)
def test_an_entry_that_lacks_something_is_refused(fields):
    with pytest.raises(InvalidMessage):
        read_fields(fields)


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=3))
def test_whatever_arrives_is_read_or_refused(data, cuts):
    reader = EventReader()
    edges = [0, *sorted(cuts), len(data)]
    try:
        for start, end in pairwise(edges):
            list(reader.feed(data[start:end]))
    except InvalidMessage:
        return


def published(what, **more):
    news = News("z", what, "a", Why.REQUESTED, **more)
    return list(entries_of(Told(Numbered(9, news), 4), KEY))


@pytest.mark.parametrize(
    ("what", "streams"),
    [
        (Happened.SESSION_ENDED, [SESSIONS, EVERYTHING]),
        (Happened.DELEGATION_REVOKED, [SESSIONS, DELEGATIONS, EVERYTHING]),
        (Happened.SESSION_SUSPENDED, [EVERYTHING]),
        (Happened.SESSION_RESUMED, [EVERYTHING]),
        (Happened.APPLICATION_REMOVED, [EVERYTHING]),
    ],
)
def test_stock_readers_are_told_what_has_ended_for_good_and_ours_everything(what, streams):
    entries = published(what, source="s", target="t", epoch=7)
    assert [one.stream for one in entries] == streams
    assert all(proven(one.stream, one.fields, KEY) for one in entries)
    assert read_fields(entries[-1].fields) == Told(
        Numbered(9, News("z", what, "a", Why.REQUESTED)), 4
    )


def test_the_fields_are_those_that_stock_servers_publish():
    [session, _] = published(Happened.SESSION_ENDED)
    assert session.fields | {"_sig": ""} == {
        "outbox_id": "9",
        "dedupe_key": "terminate:a",
        "zone_id": "z",
        "agent_session_id": "a",
        "reason": "requested",
        "_sig": "",
    }
    [_, epoch, _] = published(Happened.DELEGATION_REVOKED, source="s", target="t", epoch=7)
    assert epoch.fields | {"_sig": ""} == {
        "outbox_id": "9",
        "dedupe_key": "edge_revoke:a",
        "event": "edge_revoke",
        "zone_id": "z",
        "edge_id": "a",
        "source_session_id": "s",
        "target_session_id": "t",
        "epoch": "7",
        "_sig": "",
    }


def test_a_signature_is_good_for_its_stream_its_key_and_its_fields():
    entry = signed(SESSIONS, {"session_id": "s"}, KEY)
    assert entry.fields["_sig"] == sign(SESSIONS, {"session_id": "s"}, KEY)
    assert not proven(DELEGATIONS, entry.fields, KEY)
    assert not proven(SESSIONS, entry.fields, KEY[::-1])
    assert not proven(SESSIONS, {**entry.fields, "sid": "t"}, KEY)
    two_readings = {"session_id": "s\nsid=t"}
    assert not proven(SESSIONS, two_readings | {"_sig": sign(SESSIONS, two_readings, KEY)}, KEY)
