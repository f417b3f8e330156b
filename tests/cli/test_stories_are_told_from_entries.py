"""`caracal explain` tells what the entries say, whatever they say, the verdict first."""

from datetime import UTC, datetime

import pytest

from caracal.authority.events import ENTRY_FORMAT, Entry, Kind, Verdict
from caracal_server.cli.story import Told, episodes, tell

AT = int(datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC).timestamp() * 1_000_000)


def entry(kind: Kind, **fields) -> Entry:
    told = {"format": ENTRY_FORMAT, "kind": kind, "zone": "z-1", "at": AT, "request": "r-1"}
    return Entry(**(told | fields))


def story(*entries: Entry, names: dict[str, str] | None = None) -> list[str]:
    (episode,) = episodes(Told(str(index), value) for index, value in enumerate(entries, 7))
    return tell(episode, "zone shop", names or {})


def test_a_refused_exchange():
    assert story(
        entry(
            Kind.EXCHANGE,
            verdict=Verdict.REFUSE,
            reason="policy_forbid",
            detail="policy no-agent-writes forbids orders:write",
            application="a-1",
            application_name="orders-agent",
            subject="a-1",
            session="s-1",
            delegations=("d-1", "d-2"),
            resource="resource://shop",
            scopes="orders:write",
            policies=("no-agent-writes",),
        )
    ) == [
        "Refused: orders-agent asked for orders:write on resource://shop and got no mandate.",
        "Why: policy no-agent-writes forbids orders:write (policy_forbid).",
        "Policy: decided by no-agent-writes.",
        "Who: orders-agent (a-1), in session s-1, by delegation d-1 > d-2.",
        "When: 2026-01-02 03:04:05.678Z.",
        "Evidence: entry 7 in the log of zone shop.",
    ]


def test_a_call_with_a_narrowed_mandate_names_the_chain_and_who_narrowed_it():
    call = entry(
        Kind.CALL,
        verdict=Verdict.ALLOW,
        application="a-1",
        application_name="planner",
        operation="GET /orders",
        mandate="l-2",
        narrowed=("m-1", "l-1"),
        holders=("k-1", "k-2"),
    )
    assert "Who: planner (a-1), narrowed from m-1 by key k-1 > l-1 by key k-2." in story(call)
    bound = entry(Kind.EXCHANGE, verdict=Verdict.ALLOW, application="a-1", holders=("k-1",))
    assert "Who: application a-1 (a-1), bound to key k-1." in story(bound)


def test_an_allowed_call_and_what_came_of_it():
    call = entry(
        Kind.CALL,
        verdict=Verdict.ALLOW,
        application="a-1",
        subject="user-9",
        session="s-1",
        delegations=("d-1",),
        resource="resource://shop",
        operation="GET /orders",
        scopes="orders:read",
        mandate="m-1",
        policy="0123456789abcdef0123",
        policies=("agents-read",),
    )
    result = entry(
        Kind.CALL_RESULT,
        answers="r-1",
        status=200,
        received_bytes=1234,
        sent_bytes=5,
        duration_us=12_345,
    )
    assert story(call, result, names={"a-1": "orders-agent"}) == [
        "Allowed: orders-agent called GET /orders on resource://shop.",
        "Why: policy permits it, and nothing forbids it.",
        "Policy: version 0123456789abcdef, decided by agents-read.",
        "Who: orders-agent (a-1), for user-9, in session s-1, by delegation d-1.",
        "Result: the upstream answered 200; 5 bytes sent up, 1,234 received, in 12.3 ms.",
        "Mandate: m-1.",
        "When: 2026-01-02 03:04:05.678Z.",
        "Evidence: entry 7 and 8 in the log of zone shop.",
    ]


def test_a_user_is_named_with_who_vouches_for_them():
    user = {"subject": "ann", "subject_issuer": "https://id.example"}
    lines = story(entry(Kind.EXCHANGE, verdict=Verdict.ALLOW, application="a-1", **user))
    assert "Who: application a-1 (a-1), for ann of https://id.example." in lines
    revoked = {"target": "ann", "subject_issuer": "https://id.example", "actor": "ada (op-1)"}
    [first, *_] = story(entry(Kind.SUBJECT_REVOKE, verdict=Verdict.ALLOW, **revoked))
    assert first == (
        "Done: operator ada (op-1) revoked the user ann of https://id.example and all that worked "
        "for them."
    )


def test_a_call_that_was_cut_says_so():
    lines = story(
        entry(Kind.CALL, verdict=Verdict.ALLOW, operation="GET /events", application="a-1"),
        entry(Kind.CALL_RESULT, answers="r-1", reason="mandate_revoked", detail="requested"),
    )
    told = "\n".join(lines)
    assert "no answer went back" in told
    assert "cut short: requested (mandate_revoked)" in told


def test_a_call_without_a_result_is_under_way_or_was_cut():
    assert any(
        "none is recorded" in line for line in story(entry(Kind.CALL, verdict=Verdict.ALLOW))
    )


def test_a_refused_call_says_that_nothing_was_sent():
    refused = entry(
        Kind.CALL,
        verdict=Verdict.REFUSE,
        operation="POST /orders",
        reason="operation_scope_missing",
    )
    first, why, *_ = story(refused)
    assert first == "Refused: someone unknown tried POST /orders, and nothing was sent upstream."
    assert why == "Why: operation_scope_missing (operation_scope_missing)."


def test_a_request_id_that_was_used_twice_makes_two_stories():
    call = entry(Kind.CALL, verdict=Verdict.ALLOW, operation="GET /a")
    again = entry(Kind.CALL, verdict=Verdict.REFUSE, operation="GET /b")
    result = entry(Kind.CALL_RESULT, answers="r-1", status=200)
    found = episodes([Told("west:4", call), Told("west:5", result), Told("9", again)])
    assert [(one.decision.place, len(one.results)) for one in found] == [("west:4", 1), ("9", 0)]


def test_an_operator_is_named():
    assert (
        story(
            entry(Kind.SESSION_END, verdict=Verdict.ALLOW, actor="ops", session="s-1", target="s-1")
        )[0]
        == "Done: operator ops ended session s-1 and all below it."
    )
    refused = entry(Kind.ADMIN_REFUSED, verdict=Verdict.REFUSE, actor="bob", target="shop")
    assert story(refused)[0] == "Refused: operator bob may not do this to shop."


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind is not Kind.CALL_RESULT])
@pytest.mark.parametrize("verdict", Verdict)
def test_every_kind_of_entry_has_a_story(kind, verdict):
    lines = story(entry(kind, verdict=verdict, application="a-1", target="it"))
    assert lines[0].startswith(
        "Refused: " if verdict is Verdict.REFUSE else ("Allowed: ", "Done: ", "Refused: ")
    )
    assert "{" not in lines[0]
    assert lines[-1] == "Evidence: entry 7 in the log of zone shop."
    assert all(line.endswith(".") for line in lines)
