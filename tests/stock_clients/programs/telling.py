"""What every program here does: run its checks one after the other, and print what they found as JSON."""

import asyncio
import contextlib
import dataclasses
import json
import os
import sys
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import httpx
from caracalai import Caracal, ResourceBinding
from caracalai.context import _ctx_var

Check = Callable[[], Awaitable[Any]]

CHECKS: dict[str, Check] = {}
API, READ, WRITE = "resource://api", "api:read", "api:write"
GATEWAY = os.environ["CARACAL_GATEWAY_URL"]
STS = os.environ["CARACAL_STS_URL"]
COORDINATOR = os.environ["CARACAL_COORDINATOR_URL"]
ZONE = os.environ["CARACAL_ZONE_ID"]
APPLICATION = os.environ["CARACAL_APPLICATION_ID"]
SECRET = os.environ["CARACAL_APP_CLIENT_SECRET"]
HELPER = os.environ["HELPER_ID"]
HELPER_SECRET = os.environ["HELPER_SECRET"]
UPSTREAM = os.environ["UPSTREAM_URL"]


def check(function: Check) -> Check:
    """Name one check after its function."""
    CHECKS[function.__name__] = function
    return function


def client(application: str = APPLICATION, secret: str = SECRET, **more: Any) -> Caracal:
    """A client as an application with a secret makes it."""
    fields = {
        "coordinator_url": COORDINATOR,
        "sts_url": STS,
        "gateway_url": GATEWAY,
        "zone_id": ZONE,
        "application_id": application,
        "client_secret": secret,
        "resources": [ResourceBinding(API, UPSTREAM)],
    }
    return Caracal.from_client_secret(**(fields | more))


def helper(**more: Any) -> Caracal:
    """A client of the zone's other application."""
    return client(HELPER, HELPER_SECRET, **more)


@contextlib.contextmanager
def without_context() -> Iterator[None]:
    """Act like a task of its own: no session is bound."""
    token = _ctx_var.set(None)
    try:
        yield
    finally:
        _ctx_var.reset(token)


def operator() -> httpx.Client:
    """The zone's operator at the Coordinator."""
    headers = {"authorization": f"Bearer {os.environ['OPERATOR_TOKEN']}"}
    return httpx.Client(base_url=f"{COORDINATOR}/zones/{ZONE}/", headers=headers, timeout=10)


def raised(error: BaseException) -> dict[str, Any]:
    """What a caller can learn from an exception."""
    told: dict[str, Any] = {
        "raised": type(error).__name__,
        "message": str(error),
        "notes": getattr(error, "__notes__", []),
    }
    for name in ("code", "status", "http_status", "request_id", "is_retryable", "description"):
        value = getattr(error, name, None)
        if value is not None and not callable(value):
            told[name] = value
    if isinstance(error, httpx.HTTPStatusError):
        told |= {"status": error.response.status_code, "body": error.response.json()}
    if error.__cause__ is not None:
        told["cause"] = raised(error.__cause__)
    return told


async def refusal(work: Awaitable[Any]) -> dict[str, Any]:
    """The exception that this ends with; `{"raised": null}` when there is none."""
    try:
        await work
    except Exception as error:  # noqa: BLE001 (whatever it is, it is the answer)
        return raised(error)
    return {"raised": None}


def refused(work: Callable[[], Any]) -> dict[str, Any]:
    """The same for what does not wait."""
    try:
        work()
    except Exception as error:  # noqa: BLE001 (whatever it is, it is the answer)
        return raised(error)
    return {"raised": None}


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    return str(value)


async def _found(work: Check) -> Any:
    try:
        return await asyncio.wait_for(work(), 30)
    except Exception as error:  # noqa: BLE001 (a failed check is told like any other)
        return {"failed": raised(error)}


async def _all(names: list[str]) -> dict[str, Any]:
    return {name: await _found(CHECKS[name]) for name in names or CHECKS}


def tell() -> None:
    """Run the checks that are named on the command line, or all of them."""
    told = asyncio.run(_all(sys.argv[1:]))
    sys.stdout.write(json.dumps(told, default=_plain))
