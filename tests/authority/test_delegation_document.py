"""docs/delegation.md says what the code does: its table, its rule numbers and its example."""

import re
from pathlib import Path

import pytest

from caracal.authority.outcomes import Reason, Refused
from caracal.authority.revocation import AnchorKind
from caracal.authority.sessions import TRANSITIONS
from tests.authority.worlds import World

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "delegation.md").read_text(encoding="utf-8")
SOURCES = sorted((ROOT / "src" / "caracal" / "authority").glob("*.py"))


def test_the_table_of_states_is_the_table_in_the_code():
    rows = re.findall(r"^\| (\w+) \| (\w+) \| (\w+) \|$", DOCUMENT, re.MULTILINE)
    assert {(state, event): after for state, event, after in rows} == TRANSITIONS


def test_every_rule_stands_once_and_in_order():
    rules = re.findall(r"^\*\*([DKS])(\d+)\.", DOCUMENT, re.MULTILINE)
    for letter, last in (("S", 9), ("D", 11), ("K", 7)):
        numbers = [int(number) for found, number in rules if found == letter]
        assert numbers == list(range(1, last + 1))


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.name)
def test_every_rule_the_code_cites_is_written_down(source):
    cited = set(re.findall(r"\b[DKS]\d{1,2}\b", source.read_text(encoding="utf-8")))
    assert {rule for rule in cited if f"**{rule}." not in DOCUMENT} == set()


def test_the_worked_example():
    world = World()
    alpha, beta, gamma = (
        world.start("alpha", service=True),
        world.start("beta"),
        world.start("gamma"),
    )
    root = world.delegate(alpha, beta, "read write", hops=3, ttl=600)
    change = world.apply(world.ask_start("beta", beta))
    (child,), (taken,) = change.sessions, change.delegations
    assert taken.grant.constraints.hops == 2
    for scopes, ttl, hops, reason in (
        ("delete", 60, 1, Reason.DELEGATION_SCOPE_EXCEEDED),
        ("read", 1200, 1, Reason.DELEGATION_EXPIRY_EXCEEDED),
        ("read", 60, 2, Reason.DELEGATION_HOPS_EXCEEDED),
    ):
        outcome = world.ask_delegate(child, gamma, scopes, ttl=ttl, hops=hops)
        assert isinstance(outcome, Refused)
        assert outcome.reason is reason
    leaf = world.delegate(child, gamma, "read", ttl=60)
    minted = world.mint(gamma, leaf)
    assert minted.delegation_path == (root.id, taken.id, leaf.id)
    assert [hop.application_id for hop in minted.chain] == ["alpha", "beta", "beta", "gamma"]

    world.suspend(alpha)
    assert isinstance(world.hold(gamma, leaf), Refused)
    assert world.revoked(minted)
    world.resume(alpha)
    assert not world.revoked(minted)

    change = world.end(beta)
    assert [row.id for row in change.sessions] == [beta.id, child.id]
    assert {row.id for row in change.delegations} == {root.id, taken.id, leaf.id}
    (entry,) = change.revocations
    assert (entry.kind, entry.anchor) == (AnchorKind.SESSION, beta.id)
    assert world.revoked(minted)
    assert world.status(gamma) == world.status(alpha) == "active"
