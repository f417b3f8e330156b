"""What an entry can be found by, besides what the log keeps in columns of its own.

A *term* is a tag and a value, such as `r:resource://shop`. Spans of the log are summed up by the terms in
them; a query asks for terms.
"""

from collections.abc import Iterator
from typing import Final

import msgspec

from caracal_server.ports.evidence import EvidenceQuery

PREFIX: Final = 48
"""Characters of an operation that make its term: paths differ at their ends without end."""

PERSON: Final = "u"
"""Tag of the pseudonyms of persons; they stand beside entries, not in them."""
OPERATION: Final = "o"
"""Tag of operations, which are asked for by how they begin."""


class Found(msgspec.Struct, frozen=True):
    """The fields of an entry that terms are made of."""

    kind: str = ""
    verdict: str = ""
    delegations: tuple[str, ...] = ()
    mandate: str = ""
    resource: str = ""
    asked: tuple[str, ...] = ()
    operation: str = ""
    scopes: str = ""
    policy: str = ""
    policies: tuple[str, ...] = ()
    reason: str = ""
    instance: str = ""
    target: str = ""
    actor: str = ""


_decode = msgspec.json.Decoder(Found).decode


def read_found(data: bytes) -> Found:
    """What an entry can be found by; nothing, where somebody made it unreadable."""
    try:
        return _decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Found()


def terms_of(found: Found) -> Iterator[str]:
    """All terms of an entry."""
    for tag, values in _values(found).items():
        for value in values:
            if value:
                yield f"{tag}:{value[:PREFIX] if tag == OPERATION else value}"


def _values(found: Found) -> dict[str, tuple[str, ...]]:
    return {
        "k": (found.kind,),
        "v": (found.verdict,),
        "d": found.delegations,
        "m": (found.mandate,),
        "r": (*found.resource.split(" "), *found.asked),
        OPERATION: (found.operation,),
        "s": tuple(found.scopes.split(" ")),
        "p": (found.policy,),
        "y": found.policies,
        "e": (found.reason,),
        "i": (found.instance,),
        "t": (found.target,),
        "a": (found.actor,),
    }


def wanted_terms(query: EvidenceQuery) -> dict[str, str]:
    """What a query asks for, by tag; an operation by how it begins."""
    asked = {
        "k": query.kind,
        "v": query.verdict,
        "d": query.delegation,
        "m": query.mandate,
        "r": query.resource,
        OPERATION: query.operation,
        "s": query.scope,
        "p": query.policy,
        "y": query.deciding,
        "e": query.reason,
        "i": query.instance,
        "t": query.target,
        "a": query.actor,
        PERSON: query.pseudonym,
    }
    return {tag: str(value) for tag, value in asked.items() if value}


def bounds_of_term(tag: str, value: str) -> tuple[str, str]:
    """The first term that fits, and one beyond the last; both the same where only one fits."""
    if tag != OPERATION:
        return f"{tag}:{value}", f"{tag}:{value}"
    begins = f"{tag}:{value[:PREFIX]}"
    return begins, f"{begins}\U0010ffff"


def fits(data: bytes, wanted: dict[str, str]) -> bool:
    """Whether an entry has all the wanted terms."""
    values = _values(read_found(data))
    return all(
        any(one.startswith(value) for one in values[tag])
        if tag == OPERATION
        else value in values[tag]
        for tag, value in wanted.items()
    )
