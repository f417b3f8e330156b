"""The clients that agents import: `Caracal` for threads, `AsyncCaracal` for asyncio. See `docs/sdk.md`.

Open first: `client.py` (what there is), `flows.py` (what follows what) and `opening.py` (sessions).
"""

from caracal.evidence.receipts import Receipt
from caracal.sdk.async_client import AsyncCaracal
from caracal.sdk.async_session import AsyncSession
from caracal.sdk.client import Caracal
from caracal.sdk.configuration import Configuration, InvalidConfiguration
from caracal.sdk.narrowing import NarrowableMandate, NarrowingKey
from caracal.sdk.session import Session
from caracal.tokens.secret import Secret
from caracal.wire.calls.delegations import Delegation
from caracal.wire.calls.refusals import (
    AccessDenied,
    ApprovalRequired,
    CaracalError,
    CredentialsRefused,
    DelegationEnded,
    InvalidRequest,
    LeaseLost,
    ServiceUnavailable,
    SessionEnded,
    UnexpectedAnswer,
    Unreachable,
)
from caracal.wire.calls.tokens import Mandate, SignedInUser
from caracal.wire.trace_context import TraceContext, parse_trace_context

__all__ = [
    "AccessDenied",
    "ApprovalRequired",
    "AsyncCaracal",
    "AsyncSession",
    "Caracal",
    "CaracalError",
    "Configuration",
    "CredentialsRefused",
    "Delegation",
    "DelegationEnded",
    "InvalidConfiguration",
    "InvalidRequest",
    "LeaseLost",
    "Mandate",
    "NarrowableMandate",
    "NarrowingKey",
    "Receipt",
    "Secret",
    "ServiceUnavailable",
    "Session",
    "SessionEnded",
    "SignedInUser",
    "TraceContext",
    "UnexpectedAnswer",
    "Unreachable",
    "parse_trace_context",
]
