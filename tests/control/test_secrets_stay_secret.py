"""A secret goes in, and out of nothing but the Gateway's memory."""

import json

import pytest
from structlog.testing import capture_logs

from caracal_server.control.document_rules import parse_document
from caracal_server.control.zone_document import public_digest, render_with_secrets
from tests.control.world import document

CREDENTIAL = "planted-credential-5c1b"
BROUGHT = "planted-application-secret-77aa"


def _body(**more):
    return document(
        applications=[{"name": "orders-agent", "secret": BROUGHT}],
        providers=[{"name": "orders", "kind": "bearer_token", "secret": CREDENTIAL}],
        **more,
    )


async def test_no_answer_log_entry_or_byte_of_the_store_holds_one(world):
    answers, generated = [], []
    with capture_logs() as logs:
        for body, query in (
            (_body(), "?plan=true"),
            (_body(), ""),
            (_body(), ""),
            (_body(policy="permit(nonsense"), ""),
            (_body() | {"zone": 7}, ""),
            (_body(extra=BROUGHT[:8]), ""),
            (document(), ""),
        ):
            answer = await world.ask("PUT", f"/v1/zones/shop{query}", body)
            answers.append(answer.text)
            if answer.status_code == 200:
                generated += [
                    entry["secret"]
                    for entry in answer.json()["applications"]
                    if entry.get("secret")
                ]
        answers += [
            (await world.ask("GET", path)).text
            for path in ("/v1/zones/shop", "/v1/zones", "/v1/status", "/v1/operators")
        ]
        made = await world.ask("POST", "/v1/operators", {"name": "reader", "scopes": ["read"]})
        assert (await world.ask("GET", "/v1/operators")).status_code == 200
    entries = [
        str(entry)
        for zone in [(await world.record()).id, "system"]
        for entry in await world.entries(zone)
    ]
    assert len(generated) == 2
    seen = "\n".join([*answers, *entries, json.dumps(logs, default=str)])
    for secret in (CREDENTIAL, BROUGHT, world.token, made.json()["token"]):
        assert secret not in seen
    for secret in (CREDENTIAL, BROUGHT, world.token, made.json()["token"], *generated):
        assert secret.encode() not in world.stored_bytes()
    assert b"orders-agent" in world.stored_bytes()


def test_a_document_is_mute_about_its_secrets():
    parsed = parse_document(_body())
    assert CREDENTIAL not in repr(parsed)
    assert BROUGHT not in repr(parsed)
    assert json.loads(render_with_secrets(parsed))["providers"][0]["secret"] == CREDENTIAL


def test_the_digest_of_a_document_tells_nothing_of_its_secrets():
    other = document(
        applications=[{"name": "orders-agent", "secret": BROUGHT + "2"}],
        providers=[{"name": "orders", "kind": "bearer_token", "secret": CREDENTIAL + "2"}],
    )
    digests = {public_digest(parse_document(body)) for body in (_body(), other)}
    assert len(digests) == 1
    assert public_digest(parse_document(_body(policy=None))) not in digests


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"\xff\xfe",
        b'{"zone": "shop", "zone": "shop"}',
        b'{"zone": "shop", "policy": "\\ud800"}',
        b'{"zone": NaN}',
        b"[" * 100_000,
        b'"' + b"a" * 2_000_000 + b'"',
    ],
    ids=["cut", "not utf-8", "repeated key", "lone surrogate", "nan", "deep", "too large"],
)
async def test_what_is_not_a_document_is_refused_without_a_trace(world, body):
    answer = await world.ask("PUT", "/v1/zones/shop", body)
    assert answer.status_code in {400, 413}
    assert answer.json()["reason"] in {"request_malformed", "body_too_large"}
    assert await world.zones.load_all() == ()
