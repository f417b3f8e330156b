"""Saying which entry an answer rests on: the header `Caracal-Receipt`."""

from dataclasses import replace
from typing import Final

import msgspec

from caracal.authority.outcomes import Refused
from caracal_server.web.asgi import Header
from caracal_server.web.problems import Problem

RECEIPT: Final = b"caracal-receipt"


class RecordedRefusal(msgspec.Struct, frozen=True):
    """No, durably on record, and the reference to the entry that says so."""

    refused: Refused
    receipt: str

    def problem(self) -> Problem:
        return receipted(Problem.of(self.refused), self.receipt)


def receipt_headers(reference: str) -> tuple[Header, ...]:
    """The header for a reference; none where there is no reference."""
    return ((RECEIPT, reference.encode()),) if reference else ()


def receipted(problem: Problem, reference: str) -> Problem:
    """The same problem, its answer naming the entry it rests on."""
    if not reference:
        return problem
    return replace(problem, headers=(*problem.headers, *receipt_headers(reference)))
