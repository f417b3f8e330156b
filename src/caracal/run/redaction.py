"""Output without what looks like a mandate or is a secret of this run, however it is cut into chunks."""

import re
from collections.abc import Iterable
from typing import Final

REDACTED: Final = b"[redacted by caracal]"
LONGEST: Final = 16_384
"""Bytes. A run of a token's characters that is longer is redacted as a whole, unseen to its end."""

_STARTS: Final = (b"eyJ", b"cs_")
_SHORTEST_SECRET: Final = 8
_CHARACTERS: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"
_SHOWN_WHEN_IDLE: Final = 8
_TOKENS: Final = rb"eyJ[A-Za-z0-9_\-]{8,}(?:\.[A-Za-z0-9_\-]*){2,4}|cs_[A-Za-z0-9_\-]{43}"


class Redactor:
    """One stream of output.

    What could be the beginning of a token is held back until it is seen to be none. Of that, a few bytes
    are shown when nothing follows for a while, so that no prompt waits for its last letter: `idle`.
    """

    def __init__(self, secrets: Iterable[bytes] = ()) -> None:
        exact = sorted({each for each in secrets if len(each) >= _SHORTEST_SECRET}, key=len)
        self._secrets = tuple(reversed(exact))
        literal = [re.escape(secret) for secret in self._secrets]
        self._tokens = re.compile(b"|".join([*literal, _TOKENS]))
        self._held = b""
        self._shown = 0
        self._swallowing = False

    @property
    def holding(self) -> bool:
        """Whether something is held back that `idle` may show."""
        return len(self._held) > self._shown

    def feed(self, chunk: bytes) -> bytes:
        """What may be shown now that `chunk` has come."""
        if self._swallowing:
            chunk = self._after_the_run(chunk)
        if not chunk:
            return b""
        data = self._held + chunk
        cut = self._beginning(data)
        if len(data) - cut > LONGEST:
            shown = self._clean(data, cut) + REDACTED
            self._held, self._shown, self._swallowing = b"", 0, True
            return shown
        shown = self._clean(data, cut)
        # What was shown of what is still held stays known, so that it is not shown again.
        self._shown = max(0, self._shown - cut)
        self._held = data[cut:]
        return shown

    def idle(self) -> bytes:
        """What may be shown when nothing comes: the first bytes of what may become a token."""
        if len(self._held) > _SHOWN_WHEN_IDLE or self._tokens.search(self._held):
            return b""
        shown, self._shown = self._held[self._shown :], len(self._held)
        return shown

    def end(self) -> bytes:
        """What is left, when nothing will follow."""
        shown = self._clean(self._held, len(self._held))
        self._held, self._shown = b"", 0
        return shown

    def _clean(self, data: bytes, end: int) -> bytes:
        """The first `end` bytes without tokens and without what was shown already."""
        parts = []
        at = min(self._shown, end)
        for token in self._tokens.finditer(data, 0, end):
            parts.append(data[at : max(at, token.start())])
            parts.append(REDACTED)
            at = max(at, token.end())
        parts.append(data[at:end])
        return b"".join(parts)

    def _beginning(self, data: bytes) -> int:
        """Where the last bytes begin that more bytes could make a token of."""
        run = len(data.rstrip(_CHARACTERS))
        starts = [data.find(start, run) for start in _STARTS]
        found = min([at for at in starts if at >= 0], default=len(data))
        for whole in (*_STARTS, *self._secrets):
            longest = min(len(whole) - 1, len(data))
            part = next((n for n in range(longest, 0, -1) if data.endswith(whole[:n])), 0)
            found = min(found, len(data) - part)
        # A secret that ends as it begins is whole here, and is not to be cut.
        across = (token.start() for token in self._tokens.finditer(data) if token.end() > found)
        return min(found, next(across, found))

    def _after_the_run(self, chunk: bytes) -> bytes:
        after = chunk.lstrip(_CHARACTERS)
        self._swallowing = not after
        return after
