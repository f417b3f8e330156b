"""The examples of docs/policy.md do what is written about them."""

import re
from pathlib import Path

from caracal.authority.policy.engine import PolicyEngine
from caracal.authority.policy.requests import Effect, Phase, PolicyDecision
from caracal.authority.policy.schema import CONTEXT
from tests.authority.policy.ticketing import MAIL, VOCABULARY, asking

DOCUMENT = (Path(__file__).parents[3] / "docs" / "policy.md").read_text(encoding="utf-8")
SHORT, READER, SUB_AGENTS, MAILING = re.findall(r"```cedar\n(.*?)```", DOCUMENT, re.DOTALL)


def decide(text: str, **changes: object) -> PolicyDecision:
    return PolicyEngine.compile(text, VOCABULARY).decide(asking(**changes))


def test_the_reader_reads_and_nothing_else() -> None:
    assert decide(READER, application="triage").policies == ("triage reads tickets",)
    assert not decide(READER, application="triage", scope="tickets:write").permitted
    assert not decide(READER, application="intake").permitted


def test_sub_agents_read_but_do_not_write() -> None:
    assert decide(SUB_AGENTS, hops=1, scope="tickets:write").permitted
    assert decide(SUB_AGENTS, hops=2, scope="tickets:read").permitted
    assert decide(SUB_AGENTS, hops=2, scope="tickets:write") == PolicyDecision(
        Effect.FORBID, ("no writing by sub-agents",)
    )


def test_mail_needs_a_label_and_a_path() -> None:
    mail = {"resource": MAIL, "scope": "mail:send"}
    labelled = mail | {"session_labels": ("reviewed",)}
    assert not decide(MAILING, **mail).permitted
    assert decide(MAILING, **labelled).permitted
    assert decide(MAILING, **labelled, phase=Phase.CALL, path="/drafts/7").permitted
    assert decide(MAILING, **labelled, phase=Phase.CALL, path="/outbox").policies == (
        "only drafts",
    )


def test_arguments_decide() -> None:
    mail = {"resource": MAIL, "scope": "mail:send", "phase": Phase.CALL}
    assert decide(SHORT, **mail, arguments='{"copies":9}').permitted
    assert not decide(SHORT, **mail, arguments='{"copies":10}').permitted
    assert not decide(SHORT, **mail).permitted
    assert decide(SHORT, **mail | {"phase": Phase.EXCHANGE}).permitted


def test_the_table_of_the_context_is_complete() -> None:
    for attribute in CONTEXT:
        assert f"`{'.'.join(attribute.path)}`" in DOCUMENT
