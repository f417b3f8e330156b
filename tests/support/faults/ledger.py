"""Agents at work while a store fails, and what they and the upstream know of afterwards."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.support.deployment import Agent, Authority, Deployment, Zone, reason
from tests.support.upstream import Received

AGENTS = 4
FAILING = {"evidence_unavailable", "store_unavailable", "overloaded", "draining"}
"""What a caller may be told while evidence can not be written."""


@dataclass(frozen=True, slots=True)
class Known:
    """One decision that somebody outside knows of.

    Attributes:
        index: of its entry, as the receipt that came with the answer says; -1 of what an upstream saw.
        moment: of the disk's history, when it was known.
    """

    request: str
    kind: str
    index: int
    moment: int


@dataclass(slots=True)
class Ledger:
    """What was answered and what arrived upstream.

    Attributes:
        moment: tells where the disk's history is.
        unavailable: how many answers said that evidence could not be written.
        slowest: seconds that the slowest of these took.
    """

    moment: Callable[[], int] = lambda: 0
    known: list[Known] = field(default_factory=list)
    answered: int = 0
    unavailable: int = 0
    slowest: float = 0.0
    faults: list[str] = field(default_factory=list)

    def arrived(self, received: Received) -> None:
        """For `RecordingUpstream.on_arrival`."""
        request = received.header("x-request-id") or ""
        self.known.append(Known(request, "arrival", -1, self.moment()))

    def take(self, answer: httpx.Response, kind: str, seconds: float) -> bool:
        """Write down one answer; whether it was granted."""
        if answer.status_code == 200:
            index = int(answer.headers["caracal-receipt"].split(".")[-2])
            self.known.append(Known(answer.headers["x-request-id"], kind, index, self.moment()))
            self.answered += 1
            return True
        if answer.status_code == 503 and reason(answer) in FAILING:
            self.unavailable += 1
            self.slowest = max(self.slowest, seconds)
        elif (answer.status_code, reason(answer)) != (401, "mandate_predates_start"):
            self.faults.append(f"{kind}: {answer.status_code} {answer.text}")
        return False

    def missing(self, entries: Mapping[int, Mapping[str, Any]], moment: int | None = None) -> list:
        """What somebody knows of and the log, by index, does not say."""
        decided = {
            (entry["request"], entry["kind"])
            for entry in entries.values()
            if entry.get("verdict") == "allow"
        }
        return [
            one
            for one in list(self.known)
            if (moment is None or one.moment <= moment) and not _is_said(one, entries, decided)
        ]


def _is_said(one: Known, entries: Mapping[int, Mapping[str, Any]], decided: set) -> bool:
    if one.kind == "arrival":
        return (one.request, "call") in decided
    entry = entries.get(one.index)
    return entry is not None and (entry["request"], entry["kind"]) == (one.request, one.kind)


@contextmanager
def at_work(authority: Authority, ledger: Ledger, path: str) -> Iterator[None]:
    """Several agents mint and call for as long as the body runs, or until nobody answers them."""
    over = threading.Event()
    threads = [
        threading.Thread(target=_work, args=(authority, ledger, path, over)) for _ in range(AGENTS)
    ]
    upstream = authority.agent.zone.deployment.upstream
    upstream.on_arrival = ledger.arrived
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join(60)
        upstream.on_arrival = None
    assert ledger.faults == []


def _work(authority: Authority, ledger: Ledger, path: str, over: threading.Event) -> None:
    with httpx.Client(timeout=30, trust_env=False) as http:
        own = _with(authority, http)
        while not over.is_set():
            try:
                _mint_and_call(own, ledger, path)
            except httpx.TransportError:
                return
            except Exception as fault:  # noqa: BLE001 (shown when the work ends)
                ledger.faults.append(repr(fault))
                return


def _mint_and_call(own: Authority, ledger: Ledger, path: str) -> None:
    begun = time.monotonic()
    minted = own.ask()
    if ledger.take(minted, "exchange", time.monotonic() - begun):
        begun = time.monotonic()
        called = own.use(minted.json()["access_token"], path)
        ledger.take(called, "call", time.monotonic() - begun)


def _with(authority: Authority, http: httpx.Client) -> Authority:
    """The same authority over connections of its own."""
    zone = authority.agent.zone
    deployment = Deployment(zone.deployment.running, zone.deployment.upstream, http)
    own = Zone(deployment, zone.document, zone.id, zone.applications)
    agent = Agent(own, authority.agent.application, authority.agent.secret)
    return Authority(agent, authority.root, authority.session, authority.delegation)


def unanswered(entries: Iterable[Mapping[str, Any]]) -> set[str]:
    """The allowed calls, by their mandate, that no result says anything of."""
    allowed, told = set(), set()
    for entry in entries:
        if entry["kind"] == "call" and entry.get("verdict") == "allow":
            allowed.add(entry["mandate"])
        elif entry["kind"] == "call.result":
            told.add(entry["mandate"])
    return allowed - told
