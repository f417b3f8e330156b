"""The answers as OSCAL assessment results (NIST OSCAL 1.1), for tools of auditors.

Every identifier follows from the pack's contents, so the same pack renders the same document.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from uuid import NAMESPACE_URL, UUID, uuid5

import msgspec

from caracal_server.evidence_pack.questions import Answer, Outcome, Period, judge
from caracal_server.evidence_pack.statements import Query, Statement

OSCAL_VERSION = "1.1.2"

_REASONS = {
    Outcome.BORNE_OUT: "pass",
    Outcome.NOT_BORNE_OUT: "fail",
    Outcome.NOTHING_TO_JUDGE: "other",
}

_Json = dict[str, object]


def render(
    statements: Iterable[Statement], answers: Iterable[Answer], period: Period, subject: str
) -> bytes:
    """Render assessment results.

    Args:
        statements: what frameworks ask; one that only tests bear out is an observation of the release.
        answers: what the entries answered.
        period: that the answers are about.
        subject: the digest that stands for everything else in the pack.
    """
    space = uuid5(NAMESPACE_URL, f"caracal-evidence-pack/1/{subject}")
    by_query = {answer.query: answer for answer in answers}
    listed = tuple(statements)
    until = _instant(period.until)
    result: _Json = {
        "uuid": _id(space, "result"),
        "title": "What the evidence of the period says",
        "description": "Each finding rests on queries over verified entries, or on tests of the release.",
        "start": _instant(period.since),
        "end": until,
        "reviewed-controls": {
            "control-selections": [
                {"include-controls": [{"control-id": statement.id} for statement in listed]}
            ]
        },
        "observations": [_observation(space, by_query[query], until) for query in Query]
        + [_tests(space, statement, until) for statement in listed if statement.tests],
        "findings": [_finding(space, statement, by_query) for statement in listed],
    }
    document = {
        "assessment-results": {
            "uuid": _id(space, "document"),
            "metadata": {
                "title": "Caracal evidence pack",
                "last-modified": until,
                "version": "1",
                "oscal-version": OSCAL_VERSION,
            },
            "import-ap": {"href": "statements.json"},
            "results": [result],
        }
    }
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


def _observation(space: UUID, answer: Answer, at: str) -> _Json:
    says = f"{answer.asked} entries of the period looked at, {answer.wrong} not as they should be"
    if answer.entries:
        says += f": {', '.join(map(str, answer.entries))}"
    return {
        "uuid": _id(space, answer.query),
        "title": answer.query.value,
        "description": says,
        "methods": ["TEST"],
        "collected": at,
    }


def _tests(space: UUID, statement: Statement, at: str) -> _Json:
    return {
        "uuid": _id(space, f"tests of {statement.id}"),
        "title": f"tests of {statement.id}",
        "description": "Run on every change of the release: " + ", ".join(statement.tests),
        "methods": ["TEST"],
        "collected": at,
    }


def _finding(space: UUID, statement: Statement, by_query: dict[Query, Answer]) -> _Json:
    outcome = judge(statement, by_query)
    state = "satisfied" if outcome is Outcome.BORNE_OUT else "not-satisfied"
    status = {"state": state, "reason": _REASONS[outcome], "remarks": outcome.value}
    related = [_id(space, query) for query in statement.queries]
    if statement.tests:
        related.append(_id(space, f"tests of {statement.id}"))
    return {
        "uuid": _id(space, f"finding {statement.id}"),
        "title": f"{statement.framework}: {statement.id}",
        "description": statement.asks,
        "target": {"type": "statement-id", "target-id": statement.id, "status": status},
        "related-observations": [{"observation-uuid": one} for one in related],
    }


def _id(space: UUID, name: str) -> str:
    # OSCAL asks for version 4 or 5.
    return str(uuid5(space, name))


def _instant(at: int) -> str:
    return datetime.fromtimestamp(at // 1_000_000, UTC).isoformat()
