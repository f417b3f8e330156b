"""What is followed shows each entry once, whichever log it is in and however that log's clock stands."""

from caracal_server.cli.entries import PAGE, EntryPage, EntryView
from caracal_server.cli.evidence_tail import _furthest, _Tail


class Told:
    """A server that tells one story: entries of two logs in the order of their clocks."""

    def __init__(self) -> None:
        self.lines: list[tuple[int, EntryView]] = []

    def record(self, shard: str, index: int, at: int) -> EntryView:
        view = EntryView(index, "", b"{}", None, shard)
        self.lines.append((at, view))
        return view

    def get(self, _path, _shape, *, limit, cursor=None):
        ordered = [view for _, view in sorted(self.lines, key=lambda one: -one[0])]
        start = int(cursor or 0)
        more = start + limit < len(ordered)
        return EntryPage(
            tuple(ordered[start : start + limit]), str(start + limit) if more else None
        )


def test_a_log_whose_clock_is_behind_is_followed_too():
    told = Told()
    for index in range(200):
        told.record("west", index, 1000 + index)
    log = _Tail(told, "zone-1", {})
    seen = _furthest({}, log.newest(PAGE))
    late = told.record("", 0, 900)
    assert log.after(seen) == [late]
    assert log.after(_furthest(seen, [late])) == []


def test_what_was_there_before_is_not_new():
    told = Told()
    told.record("", 0, 1)
    for index in range(2 * PAGE):
        told.record("west", index, 1000 + index)
    log = _Tail(told, "zone-1", {})
    seen = _furthest({}, log.newest(PAGE))
    assert log.after(seen) == []
    new = [told.record("west", 2 * PAGE + one, 9000 + one) for one in range(PAGE + 1)]
    assert log.after(seen) == new
