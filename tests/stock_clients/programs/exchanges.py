"""The OAuth client of the published packages, asked directly."""

import asyncio
import os
import time

import httpx
from caracalai import ApprovalRequired, Authority
from caracalai_oauth import (
    ExchangeOptions,
    InMemoryTokenCache,
    OAuthClient,
    decode_jwt_exp,
    decode_jwt_payload,
    raise_for_caracal_error,
)
from telling import (
    API,
    APPLICATION,
    GATEWAY,
    READ,
    SECRET,
    STS,
    WRITE,
    ZONE,
    check,
    client,
    operator,
    refusal,
    refused,
    tell,
)

LIFECYCLE = "agent:lifecycle"
NONE = "resource://nothing"


def oauth(**more):
    return OAuthClient(STS, ZONE, APPLICATION, **more)


def options(**more):
    return ExchangeOptions(**({"client_secret": SECRET} | more))


@check
async def an_exchange_answers_a_session_mandate():
    events = []
    asked = oauth(on_event=events.append)
    answer = await asked.exchange("", API, options(scopes=[LIFECYCLE]))
    cached = await asked.exchange("", API, options(scopes=[LIFECYCLE]))
    fresh = await asked.exchange("", API, options(scopes=[LIFECYCLE], force_refresh=True))
    once = await asked.exchange("", API, options(scopes=[LIFECYCLE], one_shot=True))
    uncached = await asked.exchange("", API, options(scopes=[LIFECYCLE], cache=False))
    at_once = await asyncio.gather(
        *(asked.exchange("", API, options(scopes=[LIFECYCLE], ttl_seconds=600)) for _ in range(8))
    )
    several = await asked.exchange("", [API, NONE], options(scopes=[LIFECYCLE]))
    said = decode_jwt_payload(answer.access_token)
    await asked.aclose()
    return {
        "type": answer.token_type,
        "expires_in": answer.expires_in,
        "targets": answer.target_resources,
        "same": cached.access_token == fresh.access_token,
        "tokens": len({t.access_token for t in (cached, fresh, once, uncached)}),
        "at_once": len({t.access_token for t in at_once}),
        "several": several.target_resources,
        "exp": abs(decode_jwt_exp(answer.access_token) - time.time() - 900) < 5,
        "claims": {
            name: said[name] for name in ("use", "sub_type", "scope", "aud", "target", "iss")
        },
        "own": said["sub"] == said["client_id"] == APPLICATION and said["zone_id"] == ZONE,
        "root": said["sid"] == said["root_sid"],
        "cached": [event.cached for event in events],
    }


@check
async def a_cache_of_the_callers_is_used():
    cache = InMemoryTokenCache(2)
    one, other = oauth(cache=cache), oauth(cache=cache)
    first = await one.exchange("", API, options(scopes=[LIFECYCLE]))
    second = await other.exchange("", API, options(scopes=[LIFECYCLE]))
    return {"same": first.access_token == second.access_token}


@check
async def an_exchange_within_a_delegation_answers_a_gateway_mandate():
    caracal, asked = client(), oauth()
    narrow = Authority.narrow([READ], ttl_seconds=300, resource_id=API)
    async with caracal.session(), caracal.session(authority=narrow) as ctx:
        held = {"session_id": ctx.session_id, "delegation_id": ctx.delegation_id}
        answer = await asked.exchange("", API, options(scopes=[READ], **held))
        unnamed = await refusal(asked.exchange("", API, options(scopes=[], **held)))
        wide = await refusal(asked.exchange("", API, options(scopes=[WRITE], **held)))
        approval = await refusal(
            asked.exchange("", API, options(scopes=[READ], approval_id="some", **held))
        )
        record = await refusal(
            asked.exchange("", API, options(scopes=[READ], authority_record_id="some", **held))
        )
        long = await refusal(
            asked.exchange("", API, options(scopes=[READ], ttl_seconds=301, **held))
        )
        half = await refusal(
            asked.exchange("", API, options(scopes=[READ], delegation_id=ctx.delegation_id))
        )
        own = await asked.exchange("", API, options(scopes=[LIFECYCLE]))
        exchanged = await refusal(
            asked.exchange(own.access_token, API, options(scopes=[READ], **held))
        )
    return {
        "use": decode_jwt_payload(answer.access_token)["use"],
        "targets": answer.target_resources,
        "unnamed": unnamed,
        "wide": wide,
        "approval": approval,
        "record": record,
        "long": long,
        "half": half,
        "exchanged": exchanged,
    }


@check
async def every_refusal_has_its_exception():
    asked = oauth()
    cases = {
        "client": asked.exchange("", API, ExchangeOptions(client_secret="cs_" + "x" * 43)),
        "no_secret": asked.exchange("", API, ExchangeOptions(scopes=[LIFECYCLE])),
        "zone": OAuthClient(STS, "nowhere", APPLICATION).exchange("", API, options()),
        "resource": asked.exchange("", NONE, options(scopes=[LIFECYCLE])),
        "no_resource": asked.exchange("", [], options(scopes=[LIFECYCLE])),
        "scope": asked.exchange("", API, options(scopes=["api:x"])),
        "without_delegation": asked.exchange("", API, options(scopes=[READ])),
        "session": asked.exchange("", API, options(scopes=[READ], session_id="nobody")),
        "ttl": asked.exchange("", API, options(scopes=[LIFECYCLE], ttl_seconds=3601)),
        "negative": asked.exchange("", API, options(scopes=[LIFECYCLE], ttl_seconds=-1)),
        "zero": asked.exchange("", API, options(scopes=[LIFECYCLE], ttl_seconds=0)),
        "token": asked.exchange("a.b.c", API, options(scopes=[LIFECYCLE])),
        "id_token": asked.federate_subject("a.b.c", client_secret=SECRET),
    }
    return {name: await refusal(work) for name, work in cases.items()}


@check
async def refusals_of_the_gateway_have_their_exceptions_too():
    caracal = client()
    narrow = Authority.narrow([READ], ttl_seconds=300, resource_id=API)
    async with caracal.session(), caracal.session(authority=narrow) as ctx:

        def mint():
            return caracal.mint_mandate(API, [READ], ctx=ctx).token

        async def ask(method="GET", path="/json", token=None, **headers):
            bearer = token or await asyncio.to_thread(mint)
            sent = {"authorization": f"Bearer {bearer}", "x-caracal-resource": API, **headers}
            async with httpx.AsyncClient() as http:
                answer = await http.request(method, f"{GATEWAY}{path}", headers=sent)
            error = refused(lambda: raise_for_caracal_error(answer))
            return error | {"header_id": answer.headers["x-request-id"]}

        used = await asyncio.to_thread(mint)
        await ask(token=used)
        other = await asyncio.to_thread(mint)
        told = {
            "operation": await ask("DELETE"),
            "scope": await ask("POST", "/sink"),
            "replayed": await ask(token=used),
            "session": await ask(token=client().config.subject_token),
            "nonsense": await ask(token="nonsense"),
            "path": await ask(path="/a%2fb"),
            "resource": await ask(**{"x-caracal-resource": "resource://other"}),
        }
        with operator() as act:
            act.patch(f"delegations/{ctx.delegation_id}/revoke")
        told["revoked"] = await ask(token=other)
    return told


@check
async def waiting_for_an_approval_that_is_not_there_ends_at_once():
    caracal, asked = client(), oauth()
    began = time.monotonic()
    sync = await refusal(asyncio.to_thread(caracal.wait_for_approval, "some", timeout_seconds=30))
    exchanger = caracal.config.exchanger
    waits = await refusal(exchanger.await_approval("some", timeout_seconds=30))

    async def mint(approval_id):
        if approval_id is None:
            raise ApprovalRequired("some")
        return approval_id

    with_approval = await refusal(caracal.with_approval(mint, timeout_seconds=30))
    narrow = Authority.narrow([READ], ttl_seconds=300, resource_id=API)
    async with caracal.session(), caracal.session(authority=narrow) as ctx:
        presented = await refusal(
            asyncio.to_thread(caracal.mint_mandate, API, [READ], ctx=ctx, approval_id="some")
        )

        async def plain(_):
            return caracal.mint_mandate(API, [READ], ctx=ctx).token

        unneeded = bool(await caracal.with_approval(plain))
    decided = await refusal(
        asked.decide_approval(
            subject_token=caracal.config.subject_token,
            approval_id="some/../x",
            binding="x",
            decision="approved",
        )
    )
    return {
        "sync": sync,
        "async": waits,
        "with_approval": with_approval,
        "presented": presented,
        "unneeded": unneeded,
        "decided": decided,
        "quick": time.monotonic() - began < 10,
    }


@check
async def a_user_is_federated():
    tokens = iter(os.environ["ID_TOKENS"].split())
    caracal, asked = client(), oauth()
    subject = await asyncio.to_thread(caracal.federate_subject, next(tokens))
    short = await asyncio.to_thread(caracal.federate_subject, next(tokens), ttl_seconds=120)
    direct = await asked.federate_subject(next(tokens), client_secret=SECRET)
    again = next(tokens)
    await asked.federate_subject(again, client_secret=SECRET)
    replayed = await refusal(asked.federate_subject(again, client_secret=SECRET))
    said = decode_jwt_payload(subject.token)
    proof = {
        "subject_authority_record_id": subject.subject_authority_record_id,
        "subject_authority_record_token": subject.token,
    }
    narrow = Authority.narrow([READ], ttl_seconds=60, resource_id=API)
    async with caracal.session(ttl_seconds=300, **proof) as root:
        anchored = root.subject_authority_record_id == subject.subject_authority_record_id
        with operator() as ask:
            stored = ask.get(f"agents/{root.session_id}").json()
        async with caracal.session(authority=narrow) as ctx:
            mandate = await asyncio.to_thread(caracal.mint_mandate, API, [READ], ctx=ctx)
            for_user = decode_jwt_payload(mandate.token)
            called = (await caracal.fetch(API, "/json", scopes=[READ])).status_code
    service = await refusal(_service(caracal, proof))
    unproven = await refusal(
        caracal.session(
            subject_authority_record_id=subject.subject_authority_record_id
        ).__aenter__()
    )
    mine = await refusal(
        caracal.session(**(proof | {"subject_authority_record_id": "another"})).__aenter__()
    )
    return {
        "claims": [said["use"], said["sub"], said["sub_type"], "scope" in said],
        "sid": said["sid"] == subject.subject_authority_record_id,
        "short": short.expires_in_seconds,
        "direct": [direct.expires_in, direct.target_resources],
        "replayed": replayed,
        "anchored": anchored,
        "stored": stored["subject_authority_record_id"] == subject.subject_authority_record_id,
        "for_user": [for_user["sub"], for_user["sub_type"], for_user["client_id"] == APPLICATION],
        "called": called,
        "service": service,
        "unproven": unproven,
        "mine": mine,
    }


async def _service(caracal, proof):
    handle = await caracal.start_session(heartbeat_interval=0, **proof)
    await handle.heartbeat()
    await handle.aclose()


@check
async def what_a_token_says_can_be_read_without_a_key():
    token = client().config.subject_token
    return {
        "exp": decode_jwt_exp(token) > time.time(),
        "payload": sorted(decode_jwt_payload(token)),
        "opaque": [decode_jwt_exp("opaque"), decode_jwt_payload("opaque")],
    }


tell()
