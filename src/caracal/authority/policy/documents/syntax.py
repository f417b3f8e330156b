"""The outside of a data document: its directive, its package, and one rule a line."""

from dataclasses import dataclass
from typing import Final

from caracal.authority.policy.documents.literals import Cursor, Literal, not_data, read_literal
from caracal.authority.policy.documents.problems import DocumentInvalid, Fault, Place
from caracal.authority.policy.documents.tokens import Kind, Token, read_tokens

DIRECTIVE: Final = "# caracal:data-document"
PACKAGE: Final = "caracal.authz"
RULES: Final = ("app_ids", "grants", "confinement", "restrict", "risk", "approval_tiers")
_IMPORT: Final = "rego.v1"
_PARTIAL: Final = "restrict"


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a document.

    Attributes:
        partial: it adds one element, as in `restrict contains "maintenance"`.
    """

    name: str
    literal: Literal
    place: Place
    partial: bool = False


def read_rules(text: str) -> tuple[Rule, ...]:
    """Read what a document defines; at least one rule, in order.

    Raises:
        DocumentInvalid: at the first thing that is no part of a data document.
    """
    tokens = read_tokens(text)
    cursor = Cursor(tokens)
    directed = _read_package(cursor)
    if not directed:
        raise DocumentInvalid(Fault.NO_DIRECTIVE, Place(1, 1), f"begin with {DIRECTIVE}")
    rules: list[Rule] = []
    added: dict[str, bool] = {}
    while cursor.skip_lines().kind is not Kind.END:
        if cursor.here.is_name("import") and not rules:
            _read_import(cursor)
            continue
        rule = _read_rule(cursor)
        if rule.name in added and not (added[rule.name] and rule.partial):
            raise DocumentInvalid(Fault.REPEATED, rule.place, f"{rule.name} a second time")
        added[rule.name] = rule.partial
        rules.append(rule)
    if not rules:
        raise DocumentInvalid(Fault.NO_DATA, tokens[-1].place, f"define one of {', '.join(RULES)}")
    return tuple(rules)


def _read_package(cursor: Cursor) -> bool:
    """Read up to the end of the package's line; whether the directive stands before it."""
    directed = False
    while cursor.here.kind in {Kind.NEWLINE, Kind.COMMENT}:
        directed = directed or cursor.here.text.rstrip() == DIRECTIVE
        cursor.take()
    token = cursor.here
    if not token.is_name("package"):
        raise DocumentInvalid(Fault.NO_PACKAGE, token.place, token.text or "no package")
    cursor.take()
    path = cursor.path()
    if not path or path.endswith(".") or not cursor.here.ends_line:
        raise DocumentInvalid(Fault.PACKAGE_NAME, cursor.here.place, path + cursor.here.text)
    if path != PACKAGE:
        raise DocumentInvalid(Fault.OTHER_PACKAGE, token.place, path)
    return directed


def _read_import(cursor: Cursor) -> None:
    place = cursor.take().place
    path = cursor.path()
    if path != _IMPORT:
        raise DocumentInvalid(Fault.NOT_DATA, place, f"import {path}")
    _read_line_end(cursor)


def _read_rule(cursor: Cursor) -> Rule:
    token = cursor.take()
    if token.kind is not Kind.NAME:
        raise not_data(token)
    default = token.is_name("default")
    name = cursor.take() if default else token
    if name.is_name("result"):
        raise DocumentInvalid(Fault.DEFINES_RESULT, name.place, "result")
    if default:
        raise DocumentInvalid(Fault.NOT_DATA, token.place, "default")
    if name.text not in RULES:
        raise DocumentInvalid(Fault.OTHER_RULE, name.place, name.text, name.text)
    partial = name.text == _PARTIAL and cursor.here.is_name("contains")
    if not partial and not (cursor.here.is_mark(":=") or cursor.here.is_mark("=")):
        raise _no_assignment(name, cursor.here)
    cursor.take()
    literal = read_literal(cursor)
    _read_line_end(cursor)
    return Rule(name.text, literal, name.place, partial)


def _no_assignment(name: Token, found: Token) -> DocumentInvalid:
    construct = found.text if found.text.strip() else "the end of the line"
    return DocumentInvalid(Fault.NOT_DATA, found.place, f"{name.text} followed by {construct}")


def _read_line_end(cursor: Cursor) -> None:
    if not cursor.here.ends_line:
        raise not_data(cursor.here)
