"""Mandates of ours, held to what the published verifiers demand."""

import asyncio
import base64
import json
import os
import time

import httpx
import httpx2
from caracalai import Authority, DelegationConstraints
from caracalai_identity import (
    JwksCache,
    JwtConfig,
    has_scope,
    verify_chain_contains,
    verify_config,
    verify_token,
    warm_jwks,
)
from caracalai_oauth import decode_jwt_payload
from caracalai_revocation import InMemoryRevocationStore
from caracalai_verify import (
    AuthOptions,
    authenticate,
    create_mandate_verifier,
    extract_bearer,
    http_status_for_auth_error,
)
from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport
from telling import (
    APPLICATION,
    COORDINATOR,
    GATEWAY,
    HELPER,
    READ,
    STS,
    WRITE,
    ZONE,
    check,
    client,
    refusal,
    tell,
)

SERVICE, TOOLS = "resource://service", "resource://tools"
OTHER_ZONE = os.environ["OTHER_ZONE"]
GUARDED = os.environ["GUARDED_URL"]
ISSUER = STS


def holding(*scopes, hops=1):
    return Authority.narrow(
        list(scopes or (READ,)),
        ttl_seconds=300,
        resource_id=SERVICE,
        constraints=DelegationConstraints(max_hops=hops),
    )


async def called(caracal, path="/whoami", scopes=(READ,), resource=SERVICE, **more):
    return await caracal.fetch(resource, path, scopes=list(scopes), **more)


async def bearer(caracal, scopes=(READ,)):
    """The mandate that the upstream is given, as the service itself sees it."""
    answer = await called(caracal, scopes=scopes)
    return answer.json()["headers"]["authorization"].removeprefix("Bearer ")


def options(**more):
    fields = {
        "issuer": ISSUER,
        "audience": SERVICE,
        "revocations": InMemoryRevocationStore(),
        "expected_zone_id": ZONE,
    }
    return AuthOptions(**(fields | more))


def told(result):
    error = result.error
    return {
        "ok": result.ok,
        "code": None if error is None else error.code,
        "status": None if error is None else http_status_for_auth_error(error.code),
    }


@check
async def the_service_sees_who_calls():
    caracal = client()
    async with caracal.session(), caracal.session(authority=holding(READ, hops=3)) as ctx:
        one = (await called(caracal)).json()
        async with caracal.session(
            authority=Authority.narrow([READ], ttl_seconds=100, resource_id=SERVICE)
        ) as inner:
            two = (await called(caracal)).json()
    return {
        "client": one["client"] == APPLICATION,
        "scope": one["scope"],
        "session": one["session"] == ctx.session_id,
        "delegation": one["delegation"] == ctx.delegation_id,
        "targets": one["targets"],
        "hops": [one["hops"], two["hops"]],
        "chain": one["chain"] == [APPLICATION, APPLICATION],
        "inner": two["delegation"] == inner.delegation_id,
        "baggage": one["headers"].get("baggage"),
        "trace": one["headers"]["traceparent"].split("-")[1] == ctx.trace_id,
    }


@check
async def the_service_refuses_by_route():
    caracal = client()
    found = {}
    async with caracal.session(), caracal.session(authority=holding(READ, WRITE, hops=2)):
        for path in ("/whoami", "/delegated", "/target", "/chain", "/one-hop"):
            found[path] = (await called(caracal, path)).status_code
        for path in ("/write", "/other-target", "/other-chain"):
            answer = await called(caracal, path)
            found[path] = [answer.status_code, answer.json()["error"], len(answer.json())]
        found["written"] = (
            await called(caracal, "/write", [READ, WRITE], method="POST")
        ).status_code
        found["health"] = (await called(caracal, "/health")).status_code
        async with caracal.session(
            authority=Authority.narrow([READ], ttl_seconds=100, resource_id=SERVICE)
        ):
            answer = await called(caracal, "/one-hop")
            found["two hops"] = [answer.status_code, answer.json()["error"]]
    async with httpx.AsyncClient(base_url=f"{GUARDED}/service") as http:
        direct = await http.get("/whoami")
        session = await http.get(
            "/whoami", headers={"authorization": f"Bearer {caracal.config.subject_token}"}
        )
    found["direct"] = [direct.status_code, direct.json()["error"]]
    found["session"] = [session.status_code, session.json()["error"]]
    return found


@check
async def a_mandate_is_verified_like_this():
    caracal = client()
    async with caracal.session(), caracal.session(authority=holding(READ)):
        token = await bearer(caracal)
    await warm_jwks(ISSUER, ZONE)
    payload = await verify_token(token, ISSUER, SERVICE, ZONE, [READ], "resource")
    claims = await verify_config(
        token,
        JwtConfig(
            issuer=ISSUER,
            audience=SERVICE,
            expected_zone_id=ZONE,
            required_scopes=[READ],
            required_targets=[SERVICE],
            required_use="resource",
            require_session=True,
            require_delegation=True,
            require_chain_contains=[APPLICATION],
            max_hop_count=1,
        ),
    )
    keys = await JwksCache().get_keys(ISSUER, ZONE)
    refused = {
        "audience": await refusal(verify_token(token, ISSUER, TOOLS, ZONE)),
        "issuer": await refusal(verify_token(token, f"{ISSUER}/", SERVICE, ZONE)),
        "zone": await refusal(verify_token(token, ISSUER, SERVICE, OTHER_ZONE)),
        "nowhere": await refusal(verify_token(token, ISSUER, SERVICE, "nowhere")),
        "scope": await refusal(verify_token(token, ISSUER, SERVICE, ZONE, [WRITE])),
        "use": await refusal(verify_token(token, ISSUER, SERVICE, ZONE, None, "session")),
        "forged": await refusal(verify_token(token[:-8] + "AAAAAAAA", ISSUER, SERVICE, ZONE)),
    }
    return {
        "payload": payload["sub"] == APPLICATION,
        "claims": [claims.use, claims.sub_type, claims.scope, claims.target_resources],
        "chain": verify_chain_contains(claims, APPLICATION),
        "stranger": verify_chain_contains(claims, HELPER),
        "has_scope": has_scope(claims.scope, READ),
        "epoch": isinstance(claims.graph_epoch, int),
        "hops": claims.hop_count,
        "life": claims.expires_at - int(time.time()),
        "keys": [sorted(key) for key in keys][:1],
        "refused": refused,
    }


@check
async def other_classes_of_mandates_are_told_apart():
    caracal = client()
    session = caracal.config.subject_token
    async with caracal.session(), caracal.session(authority=holding(READ)) as ctx:
        gateway = caracal.mint_mandate(SERVICE, [READ], ctx=ctx).token
    by_issuer = {"issuer": ISSUER, "audience": ISSUER, "expected_zone_id": ZONE}
    return {
        "session": (
            await verify_config(session, JwtConfig(**by_issuer, required_use="session"))
        ).use,
        "as_resource": told(await create_mandate_verifier(options()).authenticate(session)),
        "gateway": told(
            await create_mandate_verifier(options(audience=ISSUER)).authenticate(gateway)
        ),
    }


@check
async def a_verifier_demands_what_it_is_told_to():
    caracal = client()
    async with caracal.session(), caracal.session(authority=holding(READ, hops=2)):
        token = await bearer(caracal)
        async with caracal.session(
            authority=Authority.narrow([READ], ttl_seconds=100, resource_id=SERVICE)
        ):
            deep = await bearer(caracal)
    verifier = create_mandate_verifier(options())
    await verifier.warmup()
    said = decode_jwt_payload(token)
    demands = {
        "plain": {},
        "scope": {"required_scopes": [WRITE]},
        "target": {"required_targets": [TOOLS]},
        "session": {"require_session": True},
        "delegation": {"require_delegation": True},
        "chain": {"require_chain_contains": [HELPER]},
        "zone": {"expected_zone_id": OTHER_ZONE},
        "audience": {"audience": TOOLS},
    }
    found = {
        name: told(await verifier.authenticate(token, **more)) for name, more in demands.items()
    }
    found["hops"] = told(await verifier.authenticate(deep, max_hop_count=1))
    found["missing"] = told(await verifier.authorization(None))
    found["header"] = told(await verifier.authorization(f"bearer   {token}"))
    found["strict"] = told(await verifier.require(required_scopes=[WRITE]).authenticate(token))
    found["extract"] = extract_bearer("Bearer x") == "x"
    for anchor in ("sid", "root_sid", "agent_session_id", "delegation_edge_id"):
        store = InMemoryRevocationStore()
        store.mark_revoked(said[anchor])
        found[anchor] = told(await verifier.authenticate(token, revocations=store))
    stale, fresh = InMemoryRevocationStore(), InMemoryRevocationStore()
    stale.mark_delegation_epoch(ZONE, said["delegation_graph_epoch"] + 1)
    fresh.mark_delegation_epoch(ZONE, said["delegation_graph_epoch"])
    found["stale"] = told(await verifier.authenticate(token, revocations=stale))
    found["fresh"] = told(await verifier.authenticate(token, revocations=fresh))
    found["direct"] = told(
        await authenticate(token, ISSUER, SERVICE, [READ], ZONE, InMemoryRevocationStore())
    )
    return found


@check
async def a_revoked_session_is_refused_by_the_service():
    caracal = client()
    async with caracal.session(), caracal.session(authority=holding(READ)) as ctx:
        before = (await called(caracal)).status_code
        async with httpx.AsyncClient() as http:
            await http.post(f"{GUARDED}/service/revoke", json={"anchors": [ctx.session_id]})
        after = await called(caracal)
    return {"before": before, "after": [after.status_code, after.json()["error"]]}


@check
async def tools_are_called_through_the_gateway():
    caracal, found = client(), {}
    narrow = Authority.narrow(["tools:add", "tools:other"], ttl_seconds=300, resource_id=TOOLS)
    async with caracal.session(), caracal.session(authority=narrow) as ctx:

        class Mandates(httpx2.Auth):
            """A fresh mandate for each request, as the Gateway demands."""

            async def async_auth_flow(self, request):
                minted = await asyncio.to_thread(
                    caracal.mint_mandate, TOOLS, ["tools:add"], ctx=ctx
                )
                request.headers["Authorization"] = f"Bearer {minted.token}"
                request.headers["X-Caracal-Resource"] = TOOLS
                yield request

        transport = StreamableHttpTransport(f"{GATEWAY}/", auth=Mandates())
        async with Client(transport) as mcp:
            found["tools"] = [tool.name for tool in await mcp.list_tools()]
            found["sum"] = (await mcp.call_tool("add", {"a": 2, "b": 3})).data
            found["caller"] = (await mcp.call_tool("caller", {})).data == APPLICATION
            found["refused"] = await refusal(mcp.call_tool("forbidden", {}))
        direct = StreamableHttpTransport(f"{GUARDED}/mcp")
        async with Client(direct) as mcp:
            found["direct"] = await refusal(mcp.call_tool("add", {"a": 2, "b": 3}))
    return found


@check
async def context_arrives_in_the_service():
    caracal, found = client(), {}
    async with caracal.session(), caracal.session(authority=holding(READ)) as ctx:
        token = await bearer(caracal)
        own = await caracal.aheaders()
        async with httpx.AsyncClient(base_url=GUARDED) as http:
            proven = await http.get(
                "/verified/x", headers={**own, "authorization": f"Bearer {token}"}
            )
            spoofed = await http.get(
                "/verified/x",
                headers={
                    "authorization": f"Bearer {token}",
                    "baggage": "caracal.agent_session=somebody,caracal.hop=9",
                },
            )
            missing = await http.get("/verified/x")
            wrong = await http.get("/verified/x", headers=own)
            propagated = await http.get("/propagated/x", headers=own)
            as_application = await http.get("/own/x")
        found["proven"] = {
            "session": proven.json()["session"] == ctx.session_id,
            "delegation": proven.json()["delegation"] == ctx.delegation_id,
            "hop": proven.json()["hop"],
            "trace": proven.json()["trace"] == ctx.trace_id,
        }
        found["spoofed"] = spoofed.json()["session"] == ctx.session_id
        found["missing"] = [missing.status_code, missing.json()["error"]]
        found["wrong"] = [wrong.status_code, wrong.json()["error"]]
        found["propagated"] = {
            "session": propagated.json()["session"] == ctx.session_id,
            "delegation": propagated.json()["delegation"] == ctx.delegation_id,
            "hop": propagated.json()["hop"],
        }
        found["as_application"] = [
            as_application.json()["session"],
            as_application.json()["application"] == APPLICATION,
        ]
        async with caracal.bind_from_headers(own) as bound:
            found["bound"] = [bound.session_id == ctx.session_id, bound.hop == ctx.hop]
            async with caracal.session() as child:
                found["child"] = bool(child.session_id)
        found["no_bearer"] = await refusal(caracal.bind_from_headers({}).__aenter__())
    return found


@check
async def keys_rotate_while_a_verifier_runs():
    """The verifier keeps what it fetched once, and the zone changes its key meanwhile."""
    caracal = client()
    verifier = create_mandate_verifier(options())
    await verifier.warmup()
    headers = {"authorization": f"Bearer {os.environ['OPERATOR_TOKEN']}"}
    async with caracal.session(), caracal.session(authority=holding(READ)):
        before = await bearer(caracal)
        async with httpx.AsyncClient() as http:
            rotated = await http.post(f"{COORDINATOR}{os.environ['ROTATE_PATH']}", headers=headers)
        after = await bearer(caracal)
        async with caracal.session() as more:
            session = bool(more.session_id)
    return {
        "rotated": rotated.status_code,
        "keys": len({_kid(before), _kid(after)}),
        "before": told(await verifier.authenticate(before)),
        "after": told(await verifier.authenticate(after)),
        "session": session,
    }


def _kid(token):
    head = token.split(".")[0]
    return json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))["kid"]


tell()
