"""Instants and durations as the tables keep them: whole microseconds."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_us(instant: datetime) -> int:
    return (instant - _EPOCH) // _MICROSECOND


def from_us(us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=us)


def optional_to_us(instant: datetime | None) -> int | None:
    return None if instant is None else to_us(instant)


def optional_from_us(us: int | None) -> datetime | None:
    return None if us is None else from_us(us)


def duration_to_us(duration: timedelta | None) -> int | None:
    return None if duration is None else duration // _MICROSECOND


def duration_from_us(us: int | None) -> timedelta | None:
    return None if us is None else timedelta(microseconds=us)
