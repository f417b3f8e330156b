"""Flows at the edges of what the published clients can do."""

import asyncio
import os
import uuid

import httpx
from caracalai import Authority, ResourceBinding
from caracalai_identity import JwtConfig, verify_config
from caracalai_oauth import decode_jwt_payload
from telling import (
    API,
    GATEWAY,
    READ,
    STS,
    UPSTREAM,
    WRITE,
    ZONE,
    check,
    client,
    operator,
    raised,
    refusal,
    tell,
    without_context,
)


def narrow(*scopes, resource=API):
    return Authority.narrow(list(scopes), ttl_seconds=300, resource_id=resource)


@check
async def a_prefix_with_a_path_is_the_resources_own_base():
    caracal = client(resources=[ResourceBinding("resource://based", f"{UPSTREAM}/echo")])
    http = caracal.application_transport("resource://based", scopes=[READ])
    targets = [
        (await http.get(f"{UPSTREAM}/echo{path}")).json()["target"]
        for path in ("/x", "/x/y?z=1", "/", "")
    ]
    await caracal.aclose()
    return targets


@check
async def names_and_texts_need_not_be_ascii():
    caracal = client()
    async with caracal.session(
        task="Übersetzung ✓", labels=["grün"], metadata={"ключ": ["值", None, 1.5, True]}
    ) as root:
        with operator() as ask:
            stored = ask.get(f"agents/{root.session_id}").json()
        async with caracal.session(authority=narrow(READ, WRITE)):
            got = await caracal.fetch(API, "/echo/grün ✓?q=ü", scopes=[READ])
            put = await caracal.fetch(API, "/echo", method="POST", json={"t": "✓"}, scopes=[WRITE])
    return {
        "labels": stored["labels"],
        "metadata": stored["metadata"],
        "target": got.json()["target"],
        "body": put.json()["body"].encode("latin-1").decode(),
    }


@check
async def a_key_whose_session_ended_starts_no_other():
    caracal, key = client(), uuid.uuid4().hex
    async with caracal.session(idempotency_key=key):
        pass
    return await refusal(caracal.session(idempotency_key=key).__aenter__())


@check
async def an_application_may_name_its_own_record():
    caracal = client()
    record = decode_jwt_payload(caracal.config.subject_token)["sid"]
    async with caracal.session(subject_authority_record_id=record) as ctx:
        return ctx.subject_authority_record_id == record


@check
async def mandates_of_a_user_are_verified_too():
    caracal = client()
    subject = await asyncio.to_thread(caracal.federate_subject, os.environ["ID_TOKEN"])
    proof = {
        "subject_authority_record_id": subject.subject_authority_record_id,
        "subject_authority_record_token": subject.token,
    }
    asked = {"issuer": STS, "expected_zone_id": ZONE}
    own = await verify_config(
        subject.token, JwtConfig(audience=STS, required_use="session", **asked)
    )
    async with (
        caracal.session(**proof),
        caracal.session(authority=narrow(READ, resource="resource://service")),
    ):
        answer = await caracal.fetch("resource://service", "/whoami", scopes=[READ])
        bearer = answer.json()["headers"]["authorization"].removeprefix("Bearer ")
    claims = await verify_config(
        bearer, JwtConfig(audience="resource://service", required_use="resource", **asked)
    )
    return [own.sub_type, own.sub, claims.sub_type, claims.sub, claims.client_id != claims.sub]


@check
async def many_sessions_live_at_once():
    caracal = client()

    async def work(number):
        async with (
            caracal.session(labels=[f"n{number}"]),
            caracal.session(authority=narrow(READ)),
        ):
            return (await caracal.fetch(API, "/json", scopes=[READ])).status_code

    with without_context():
        return sorted(await asyncio.gather(*(work(number) for number in range(25))))


@check
async def a_service_for_a_user_ends_with_their_proof():
    caracal, lost = client(), asyncio.Future()
    subject = await asyncio.to_thread(
        caracal.federate_subject, os.environ["OTHER_ID_TOKEN"], ttl_seconds=2
    )
    handle = await caracal.start_session(
        subject_authority_record_id=subject.subject_authority_record_id,
        subject_authority_record_token=subject.token,
        heartbeat_interval=0.1,
        on_lease_lost=lost.set_result,
    )
    gone = raised(await asyncio.wait_for(lost, 20))
    await handle.aclose()
    return gone


@check
async def what_the_gateway_itself_answers_is_json():
    async with httpx.AsyncClient() as http:
        answers = [
            await http.get(f"{GATEWAY}/x", headers={"x-caracal-resource": API}),
            await http.get(f"{STS}/oauth/2/token"),
            await http.post(f"{STS}/oauth/2/token", json={}),
            await http.get(f"{STS}/approvals/x?wait=-1"),
            await http.get(f"{STS}/zones/{ZONE}/agents"),
            await http.get(f"{STS}/zones/{ZONE}/nothing"),
            await http.post(f"{STS}/zones/{ZONE}/agents", content=b"["),
        ]
    return [[a.status_code, a.headers["content-type"], sorted(a.json())[:2]] for a in answers]


tell()
