"""What a feed of Caracal's own makes of a view, whichever way the messages come: pure."""

from datetime import UTC, datetime, timedelta

from caracal.authority.news import Happened
from caracal.tokens.mandates import LEEWAY
from caracal.verify.revocations import FollowedRevocations
from caracal.wire.revocation_feed import Alive, Message, Told

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST = timedelta(days=365 * 5_000)


class Following:
    """Applies messages to a view and says since when it holds all that matters.

    A view is up to date only where three things hold: the publisher said that it lives, everything that
    it told until then is here, and nothing that still matters is missing from what came before.

    Attributes:
        position: of the newest that was told; with this a reader asks for what comes after.
    """

    def __init__(self, view: FollowedRevocations, zone_id: str | None = None) -> None:
        """Begin with nothing told; news of other zones than `zone_id`, if one is named, are passed over."""
        self.position = 0
        self._view = view
        self._zone_id = zone_id
        self._missing = 0
        """Everything up to this position may be missing."""

    def take(self, message: Message, *, now: datetime, seconds: float) -> bool:
        """Apply one message; return whether the view is up to date by it.

        Args:
            message: in the order in which the feed has them.
            now: the wall clock.
            seconds: the clock of the view's age, at the same instant.
        """
        if isinstance(message, Told):
            self._told(message, now)
            return False
        return self._alive(message, now, seconds)

    def _told(self, told: Told, now: datetime) -> None:
        position, news = told.numbered.position, told.numbered.news
        if position <= self.position:
            return  # Told again, maybe with what has been lifted since.
        if told.after is not None and told.after > self.position:
            self._missing = told.after
        self.position = position
        if self._zone_id not in {None, news.zone_id}:
            return
        # Positions are instants; one that is ahead must not keep its place for longer than others.
        at = min(now, _instant(position) + LEEWAY)
        match news.what:
            case Happened.SESSION_SUSPENDED:
                self._view.view.suspend(news.anchor, at)
            case Happened.SESSION_RESUMED:
                self._view.view.resume(news.anchor)
            case _:
                self._view.view.revoke(news.anchor, at)

    def _alive(self, alive: Alive, now: datetime, seconds: float) -> bool:
        said = _instant(alive.at)
        complete = not alive.oldest or (
            alive.position <= self.position and self._missing < alive.oldest
        )
        if not complete or said > now + LEEWAY:
            return False
        self._view.as_of(seconds - max(0.0, (now - said).total_seconds()))
        return True


def _instant(microseconds: int) -> datetime:
    return _EPOCH + min(_LATEST, timedelta(microseconds=min(microseconds, 2**60)))
