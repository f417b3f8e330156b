"""Who operates, as an edge sees it. Control proves it; every other edge is handed the means to ask."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.requests import Request

from caracal.authority.outcomes import Refused
from caracal_server.ports.operators import OperatorScope


@dataclass(frozen=True, slots=True)
class OperatorIdentity:
    """The operator token that a request proved to hold."""

    token_id: str
    name: str
    scopes: frozenset[OperatorScope]


Authenticate = Callable[[Request, OperatorScope], Awaitable[OperatorIdentity | Refused]]
"""Finds out who operates, and refuses whoever lacks the scope."""
