"""The body of an apply: JSON in which no key stands twice, as a zone document."""

import json

import msgspec

from caracal.authority.outcomes import Reason
from caracal.authority.policy.problems import PolicyInvalid
from caracal_server.control.document_faults import ZoneDocumentInvalid, render_path
from caracal_server.control.document_rules import parse_document
from caracal_server.control.zone_document import ZoneDocument
from caracal_server.web.meanings.answers import Variant
from caracal_server.web.problems import Issue, Problem, RequestRefused

_ISSUES_SHOWN = 100


class _KeyTwice(ValueError):
    pass


def read_document(body: bytes) -> ZoneDocument:
    """Read a zone document from a body.

    Raises:
        RequestRefused: it is not JSON, a key stands twice, or it is no zone document; the issues name
            every field that is wrong.
    """
    try:
        return parse_document(read_plain(body))
    except ZoneDocumentInvalid as invalid:
        raise RequestRefused(document_problem(invalid)) from None


def read_plain(body: bytes) -> object:
    """Read JSON in which no key stands twice.

    Raises:
        RequestRefused: it is not JSON, or a key stands twice.
    """
    try:
        # Strict about what JSON is, lone surrogates included; the second reading sees repeated keys.
        msgspec.json.decode(body)
        return json.loads(body, object_pairs_hook=_each_once)
    except _KeyTwice as twice:
        raise _not_json(str(twice)) from None
    except (ValueError, RecursionError):
        raise _not_json("the body is not JSON") from None


def policy_problem(invalid: PolicyInvalid) -> Problem:
    """Each problem as an issue at `["policy", line, column]`; the first few as the detail."""
    return Problem(
        Reason.POLICY_INVALID,
        str(invalid),
        issues=tuple(
            Issue(("policy", problem.line, problem.column), problem.message)
            for problem in invalid.problems[:_ISSUES_SHOWN]
        ),
    )


def document_problem(invalid: ZoneDocumentInvalid) -> Problem:
    """Every fault as an issue; the first few as the detail."""
    return Problem(
        Reason.ZONE_FILE_INVALID,
        str(invalid),
        issues=tuple(Issue(fault.path, fault.message) for fault in invalid.faults[:_ISSUES_SHOWN]),
    )


def _each_once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise _KeyTwice(f"the key {render_path((twice,))} stands twice in one object")
    return found


def _not_json(detail: str) -> RequestRefused:
    return RequestRefused(Problem(Reason.REQUEST_MALFORMED, detail, variant=Variant.INVALID_BODY))
