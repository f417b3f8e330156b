"""Mandates that this very process has signed, known again byte for byte."""

from datetime import datetime, timedelta

from caracal.authority.mandates import Mandate

GENERATION = timedelta(minutes=2)
CAPACITY = 50_000


class MintedInMemory:
    """Implements `MintedMandates`.

    Two generations: what is not spent within two to four minutes is forgotten, and then verified like
    any other token. So is what passes the capacity.
    """

    __slots__ = ("_before", "_current", "_since")

    def __init__(self) -> None:
        self._current: dict[bytes, Mandate] = {}
        self._before: dict[bytes, Mandate] = {}
        self._since: datetime | None = None

    def __len__(self) -> int:
        return len(self._current) + len(self._before)

    def remember(self, token: str, mandate: Mandate) -> None:
        since = self._since
        if (
            since is None
            or mandate.issued_at - since >= GENERATION
            or len(self._current) >= CAPACITY
        ):
            self._before, self._current = self._current, {}
            self._since = mandate.issued_at
        self._current[token.encode()] = mandate

    def recall(self, token: bytes) -> Mandate | None:
        found = self._current.pop(token, None)
        return self._before.pop(token, None) if found is None else found


class NothingMinted:
    """Implements `MintedMandates` where STS and Gateway run apart: every token is verified."""

    __slots__ = ()

    def remember(self, token: str, mandate: Mandate) -> None:
        """Nobody will ask."""

    def recall(self, token: bytes) -> Mandate | None:  # noqa: ARG002 (whatever it is)
        return None
