"""What goes wrong with a store, in the one word its callers know."""

import sqlite3

from sqlalchemy.exc import DBAPIError

from caracal.authority.outcomes import Reason, Unavailable

_SENTENCES = {
    "SQLITE_FULL": "the store is full",
    "SQLITE_BUSY": "the store is locked by another program",
    "SQLITE_LOCKED": "the store is locked by another program",
    "SQLITE_READONLY": "the store can not be written to",
    "SQLITE_CORRUPT": "the store is damaged",
    "SQLITE_NOTADB": "the store is damaged",
    "SQLITE_CANTOPEN": "the store can not be opened",
    "53100": "the store is full",
    "53300": "the store takes no more connections",
    "55P03": "the store is locked by another program",
    "57P01": "the store is shutting down",
    "57P03": "the store is starting up",
}


class StoreClosed(Unavailable):
    """The store was closed, or its files or its lock are gone."""

    def __init__(self, detail: str) -> None:
        super().__init__(Reason.STORE_UNAVAILABLE, detail)


def unavailable(error: BaseException) -> Unavailable:
    """Say that the store can not be used, without statements, parameters or row values."""
    if isinstance(error, Unavailable):
        return error
    code = _code(error)
    family = "_".join(code.split("_")[:2])
    sentence = _SENTENCES.get(family) or "the store can not be reached"
    return Unavailable(Reason.STORE_UNAVAILABLE, f"{sentence} ({code})")


def _code(error: BaseException) -> str:
    """The engine's own name for an error; never its message, which may quote values."""
    cause: BaseException | None = error.orig if isinstance(error, DBAPIError) else error
    while cause is not None:
        if isinstance(cause, sqlite3.Error):
            return getattr(cause, "sqlite_errorname", type(cause).__name__)
        sqlstate = getattr(cause, "sqlstate", None)
        if isinstance(sqlstate, str):
            return sqlstate
        if cause.__cause__ is None:
            return type(cause).__name__
        cause = cause.__cause__
    return type(error).__name__
