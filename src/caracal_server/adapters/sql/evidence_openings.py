"""What opens commitments, beside the entries, and what the log calls the persons they are about.

A person is called by a random pseudonym, and one row says which. Once that row and the openings are gone,
nothing that is left leads to the person, whoever guesses their name and whatever keys they have.
"""

import hashlib
from collections.abc import Iterable, Sequence

from sqlalchemy import ColumnElement, Connection, bindparam, delete, exists, select

from caracal.authority.subjects import User
from caracal.evidence.commitments import Openings, parse_openings, render_openings
from caracal_server.adapters.sql.evidence_layout import SPAN, index_of, place_of
from caracal_server.adapters.sql.evidence_terms import PERSON
from caracal_server.adapters.sql.statements import Rendered, Row, RowsInsert, insert_of
from caracal_server.adapters.sql.tables import (
    evidence_entry,
    evidence_erasure,
    evidence_opening,
    evidence_person,
)
from caracal_server.ports.evidence import Erasure, ShredPerson, StoredOpenings

_find_person = Rendered(
    ("log", "digest"),
    lambda _: select(evidence_person.c.pseudonym).where(
        evidence_person.c.log_id == bindparam("log"),
        evidence_person.c.digest == bindparam("digest"),
    ),
)
_add_person = insert_of(evidence_person)
_add_openings = RowsInsert(evidence_opening)
_await = insert_of(evidence_erasure)


def add_openings(connection: Connection, log: int, openings: Iterable[StoredOpenings]) -> None:
    """Store openings, and meet the persons that the log does not know yet."""
    known: dict[User, str] = {}
    rows: list[Row] = []
    for one in openings:
        pseudonym = ""
        if one.person is not None:
            pseudonym = known.get(one.person, "") or _called(connection, log, one)
            known[one.person] = pseudonym
        data = render_openings(one.openings)
        rows.append((place_of(log, one.index), one.at, pseudonym, data))
    _add_openings.run(connection, rows)


def read_openings(connection: Connection, log: int, indexes: Sequence[int]) -> dict[int, Openings]:
    """The openings of these entries, of those that have any.

    Raises:
        EvidenceError: somebody made some unreadable.
    """
    table = evidence_opening
    places = [place_of(log, index) for index in indexes]
    statement = select(table.c.place, table.c.data).where(table.c.place.in_(places))
    return {index_of(place): parse_openings(data) for place, data in connection.execute(statement)}


def pseudonym_of(connection: Connection, log: int, person: User) -> str | None:
    """What the log calls a person of whom it holds openings."""
    row = _find_person.run(connection, log, _digest(person)).fetchone()
    return None if row is None else row[0]


def pseudonyms_in(connection: Connection, span: int) -> Iterable[str]:
    """The terms of the persons that a span of the log is about."""
    table = evidence_opening
    within = table.c.place.between(span * SPAN, (span + 1) * SPAN - 1)
    statement = select(table.c.pseudonym).where(within, table.c.pseudonym != "").distinct()
    return [f"{PERSON}:{pseudonym}" for pseudonym in connection.execute(statement).scalars()]


def about_person(pseudonym: str) -> ColumnElement[bool]:
    """That an entry is about the person of that pseudonym."""
    return exists().where(
        evidence_opening.c.place == evidence_entry.c.place,
        evidence_opening.c.pseudonym == pseudonym,
    )


def await_erasures(
    connection: Connection, log: int, erasures: Iterable[tuple[int, Erasure]]
) -> None:
    """Remember what is to be erased; a person who is to be forgotten is not known any more."""
    for index, erasure in erasures:
        _await.run(connection, place_of(log, index))
        if isinstance(erasure, ShredPerson):
            table = evidence_person
            connection.execute(
                delete(table).where(table.c.log_id == log, table.c.pseudonym == erasure.pseudonym)
            )


def _called(connection: Connection, log: int, opening: StoredOpenings) -> str:
    if opening.person is None:
        return ""
    known = pseudonym_of(connection, log, opening.person)
    if known is None:
        _add_person.run(connection, log, _digest(opening.person), opening.pseudonym)
    return known or opening.pseudonym


def _digest(person: User) -> bytes:
    # An issuer is a URL and holds no space.
    return hashlib.sha256(person.anchor.encode()).digest()
