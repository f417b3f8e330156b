"""Which session a `with` block is in: what is opened inside it is opened under it."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol, TypeVar


class Opening(Protocol):
    """A session that is open, of one client."""

    @property
    def engine(self) -> object: ...


Kind = TypeVar("Kind", bound=Opening)

_OPEN: ContextVar[tuple[Opening, ...]] = ContextVar("caracal_open_sessions", default=())


@contextmanager
def entered(session: Opening) -> Iterator[None]:
    """Be inside `session`; threads that were started meanwhile, and other tasks, are not."""
    before = _OPEN.get()
    _OPEN.set((*before, session))
    try:
        yield
    finally:
        # Not `reset`: an asynchronous generator may be ended in another context than it began in.
        _OPEN.set(before)


def innermost(engine: object, kind: type[Kind]) -> Kind | None:
    """The innermost open session of the client with this engine."""
    for session in reversed(_OPEN.get()):
        if session.engine is engine and isinstance(session, kind):
            return session
    return None
