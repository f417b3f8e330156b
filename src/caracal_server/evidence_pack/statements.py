"""What frameworks ask, in our words, each tied to a query over the entries or to a test of the project."""

import tomllib
from enum import StrEnum
from importlib.resources import files

import msgspec


class Query(StrEnum):
    """Questions that a log's entries answer. Names are stored in packs and never used for another."""

    LOG_IS_WHOLE = "log_is_whole"
    CALLS_REST_ON_A_MANDATE = "calls_rest_on_a_mandate"
    MANDATES_ARE_USED_ONCE = "mandates_are_used_once"
    RESULTS_ANSWER_A_DECISION = "results_answer_a_decision"
    CALLS_NAME_THEIR_POLICY = "calls_name_their_policy"
    CALLS_NAME_WHO_AND_WHAT = "calls_name_who_and_what"
    REFUSALS_SAY_WHY = "refusals_say_why"
    CHANGES_NAME_WHO = "changes_name_who"


class Statement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One thing that a framework asks and that this product can show.

    Attributes:
        id: a token, unique among all statements, such as `asi03`.
        framework: its name and edition.
        asks: what it asks, in our words.
        queries: what must hold of the entries.
        tests: `path::name` in the source tree of the release.
    """

    id: str
    framework: str
    asks: str
    queries: tuple[Query, ...] = ()
    tests: tuple[str, ...] = ()


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    statement: tuple[Statement, ...]


def load_statements() -> tuple[Statement, ...]:
    text = files(__package__).joinpath("statements.toml").read_text("utf-8")
    return msgspec.convert(tomllib.loads(text), _File).statement
