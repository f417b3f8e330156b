"""Text that must not be seen."""

import hmac
from typing import NoReturn, final


@final
class Secret:
    """Holds a secret; printing, formatting and pickling do not show it, `reveal()` does."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def matches(self, other: "Secret | str") -> bool:
        """Compare in a time that does not depend on where the two differ."""
        text = other.reveal() if isinstance(other, Secret) else other
        return hmac.compare_digest(self._text.encode(), text.encode())

    def __eq__(self, other: object) -> bool:
        return self.matches(other) if isinstance(other, Secret) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # a secret is not a dictionary key: use a digest

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a secret is not pickled or copied")
