"""T14: authority is used, minted and handed on at the very moment at which it is ended."""

import asyncio

import httpx
import pytest

from tests.support.deployment import TOKEN_EXCHANGE, reason

MINTERS = 8
ROUNDS = 4


@pytest.mark.parametrize("end", ["kill the session", "revoke the delegation"])
def test_no_mandate_works_once_its_end_is_answered_whenever_it_was_minted(
    deployment, upstream, end
):
    for _ in range(ROUNDS):
        zone = deployment.zone()
        authority = zone.agent().authority()
        held = asyncio.run(mint_until_it_ends(authority, end))
        assert held
        before = len(upstream.received)
        answers = [authority.use(mandate, "/json") for mandate in held[-32:]]
        assert {reason(it) for it in answers} <= {"mandate_revoked", "session_not_live"}
        assert len(upstream.received) == before
        assert authority.ask().status_code in (401, 403)


async def mint_until_it_ends(authority, end: str) -> list[str]:
    """Mint as fast as possible from several clients while it is ended; return what was got unspent."""
    zone, agent = authority.agent.zone, authority.agent
    control = zone.deployment.running.control
    form = {
        "grant_type": TOKEN_EXCHANGE,
        "zone_id": zone.id,
        "application_id": agent.application,
        "client_secret": agent.secret,
        "scope": "api:read",
        "resource": "resource://api",
        "agent_session_id": authority.session,
        "delegation_edge_id": authority.delegation,
    }
    held: list[str] = []
    async with httpx.AsyncClient(timeout=30, trust_env=False) as http:

        async def minter() -> None:
            while True:
                answer = await http.post(f"{control}/oauth/2/token", data=form)
                if answer.status_code != 200:
                    assert answer.status_code in (401, 403), answer.text
                    return
                held.append(answer.json()["access_token"])

        minters = [asyncio.create_task(minter()) for _ in range(MINTERS)]
        while len(held) < MINTERS:
            await asyncio.sleep(0)
        base = f"{control}/zones/{zone.id}"
        if end == "kill the session":
            ended = await http.delete(
                f"{base}/agents/{authority.session}", headers=zone.deployment.operator
            )
        else:
            ended = await http.patch(
                f"{base}/delegations/{authority.delegation}/revoke",
                headers=zone.deployment.operator,
            )
        assert ended.status_code in (200, 204), ended.text
        await asyncio.gather(*minters)
    return held


def test_a_call_that_races_its_end_is_on_record_whichever_came_first(deployment, upstream):
    zone = deployment.zone()
    authority = zone.agent().authority()
    mandates = [authority.mint() for _ in range(24)]

    async def race():
        url = f"{deployment.running.gateway}/json?{zone.name}"
        kill = f"{deployment.running.control}/zones/{zone.id}/agents/{authority.root}"
        async with httpx.AsyncClient(timeout=30, trust_env=False) as http:
            calls = [http.get(url, headers=authority.headers(it)) for it in mandates]
            ended = http.delete(kill, headers=deployment.operator)
            return await asyncio.gather(*calls[:12], ended, *calls[12:])

    answers = asyncio.run(race())
    answers.pop(12)
    passed = [it for it in answers if it.status_code == 200]
    assert {reason(it) for it in answers if it not in passed} <= {"mandate_revoked"}
    allowed = {entry["request"] for entry in zone.evidence(kind="call", verdict="allow")}
    assert {seen.header("x-request-id") for seen in upstream.to(f"/json?{zone.name}")} <= allowed
    assert {it.headers["x-request-id"] for it in passed} <= allowed
    zone.verify_evidence()
