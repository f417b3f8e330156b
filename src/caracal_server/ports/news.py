"""What ended, in the order in which it was stored: for those outside who follow revocations."""

from dataclasses import dataclass
from typing import Protocol

from caracal.authority.news import Numbered


@dataclass(frozen=True, slots=True)
class NewsPage:
    """Attributes:
    rows: the news after the position that was asked for, oldest first.
    oldest, newest: the positions of what is kept, of one instant with `rows`; 0 when nothing is.
    """

    rows: tuple[Numbered, ...]
    oldest: int
    newest: int


class NewsStore(Protocol):
    """News are stored with the change that they tell of, all or nothing, by `GraphStore.save`.

    A position never comes to stand before one that was read already. What is older than any mandate can
    be is dropped, except the newest, so that positions go on from it.
    """

    async def news(self, after: int, limit: int) -> NewsPage:
        """At most `limit` of them.

        Raises:
            Unavailable: the store can not be read, or is another process's by now.
        """
        ...
