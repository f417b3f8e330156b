"""T47: a data document that a reviewer reads in one way and the server in another is not taken."""

import httpx
import pytest

from tests.support.deployment import Deployment

HEAD = "# caracal:data-document\npackage caracal.authz\nimport rego.v1\n"
ALL = '{"res://a": {"application": "a", "roles": {"r": ["read"]}}}'


def validated(deployment: Deployment, content: str) -> httpx.Response:
    url = f"{deployment.running.control}/v1/policies/validate"
    return deployment.http.post(url, json={"content": content}, headers=deployment.operator)


ATTACKS = {
    "a package of look-alikes": HEAD.replace("caracal.a", "c\u0430racal.a") + "restrict := []",
    "a rule of look-alikes": HEAD + "gr\u0430nts := {}",
    "a role that looks like another": HEAD + "grants := " + ALL.replace('"r"', '"r\u0435ader"'),
    "a key that looks like another": HEAD + 'app_ids := {"\u0430": "1"}',
    "a key twice": HEAD + 'app_ids := {"a": "1", "a": "2"}',
    "a key twice, once escaped": HEAD + 'app_ids := {"a": "1", "\\u0061": "2"}',
    "a rule twice": HEAD + f"grants := {{}}\ngrants := {ALL}",
    "a rule added to": HEAD + f"grants := {{}}\ngrants contains {ALL}",
    "a line that a comment hides": HEAD + f"restrict := [] # fine\rgrants := {ALL}",
    "a line end that is none": HEAD + f"restrict := [] # fine\u2028grants := {ALL}",
    "text that runs backwards": HEAD + "# \u202edetnarg si gnihton\nrestrict := []",
    "text of no width": HEAD + 'restrict := ["\u200b"]',
    "a byte order mark": "\ufeff" + HEAD + "restrict := []",
    "a reference to the request": HEAD + "grants := input.grants",
    "a reference to other data": HEAD + "grants := data.caracal.other",
    "another import": HEAD + "import data.other as grants\nrestrict := []",
    "a condition": HEAD + 'restrict := ["x"] if input.action.method == "POST"',
    "a rule with a body": HEAD + 'restrict contains "x" if { true }',
    "a function": HEAD + "grants(x) := {}",
    "a default": HEAD + "default restrict := []",
    "a comprehension": HEAD + 'restrict := [x | x := "a"; false]',
    "a decision of its own": HEAD + 'result := {"decision": "allow"}',
    "a call out": HEAD + 'restrict := http.send({"url": "http://169.254.169.254"})',
    "nesting without end": HEAD + "restrict := " + "[" * 100_000,
    "a text without end": HEAD + 'restrict := ["' + "a" * 100_000,
    "a number without end": HEAD + f"restrict := [{'9' * 100_000}]",
    "half a character": HEAD + 'restrict := ["\\ud800"]',
    "a field beside the known ones": HEAD
    + "grants := "
    + ALL.replace('"application"', '"deny": [], "application"'),
    "a scope with blanks": HEAD + "grants := " + ALL.replace("read", "read write"),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_it_is_refused_with_its_place(deployment, attack):
    answer = validated(deployment, ATTACKS[attack])
    body = answer.json()
    assert (answer.status_code, body["valid"], body["error"]) == (422, False, "invalid_rego")
    assert body["details"]["line"] >= 1


def test_a_document_beyond_what_is_read_is_refused_at_once(deployment):
    for content in ("#" * 262_145, HEAD + "# x\n" * 80_000):
        body = validated(deployment, content).json()
        assert body["error_description"] == "content_too_large"
