"""Caracal, as agents, resource servers and auditors import it."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from caracal.sdk import AsyncCaracal, Caracal

__all__ = ["AsyncCaracal", "Caracal"]


def __getattr__(name: str) -> object:
    """Load the clients, and httpx with them, when they are asked for (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from caracal import sdk  # noqa: PLC0415 (the point is to import it late)

    return getattr(sdk, name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
