"""Calls through the Gateway with the published SDK."""

import asyncio
import contextlib
import functools
import os

import httpx
from caracalai import Authority, ResourceBinding
from telling import (
    API,
    GATEWAY,
    READ,
    UPSTREAM,
    WRITE,
    check,
    client,
    operator,
    raised,
    refusal,
    refused,
    tell,
)

SPARE = os.environ.get("SPARE_URL", "http://127.0.0.1:9")


@contextlib.asynccontextmanager
async def holding(*scopes, caracal=None):
    """A client whose bound session holds these scopes."""
    caracal = caracal or client()
    narrow = Authority.narrow(list(scopes or (READ, WRITE)), ttl_seconds=300, resource_id=API)
    async with caracal.session(), caracal.session(authority=narrow) as ctx:
        yield caracal, ctx


def header(seen, name):
    return dict(seen["headers"]).get(name)


@check
async def the_transport_takes_calls_to_the_gateway():
    async with holding() as (caracal, ctx), caracal.transport(scopes=[READ, WRITE]) as http:
        got = await http.get(f"{UPSTREAM}/echo/a%20b", params={"q": "1 2"})
        posted = await http.post(f"{UPSTREAM}/echo", json={"n": 1}, headers={"x-mine": "yes"})
        put = await http.put(f"{UPSTREAM}/echo", content=b"\x00\xff" * 10)
        head = await http.head(f"{UPSTREAM}/json")
        named = await http.get(f"{GATEWAY}/echo", headers={"X-Caracal-Resource": API})
        seen = posted.json()
        return {
            "statuses": [r.status_code for r in (got, posted, put, head, named)],
            "target": got.json()["target"],
            "mine": header(seen, "x-mine"),
            "body": seen["body"],
            "bytes": len(put.json()["body"]),
            "trace": header(seen, "traceparent").split("-")[1] == ctx.trace_id,
            "baggage": header(seen, "baggage"),
            "authorization": header(seen, "authorization"),
            "resource": header(seen, "x-caracal-resource"),
            "left": int(posted.headers["x-caracal-token-expires-in"]) > 0,
            "request_id": bool(posted.headers["x-request-id"]),
        }


@check
async def the_synchronous_transport_does_the_same():
    async with holding() as (caracal, ctx):

        def work():
            with caracal.sync_transport(ctx=ctx, scopes=[READ, WRITE]) as http:
                return [
                    http.get(f"{UPSTREAM}/json").json(),
                    http.post(f"{UPSTREAM}/echo", content="x").status_code,
                ]

        return await asyncio.to_thread(work)


@check
async def fetch_calls_a_resource_by_its_name():
    async with holding() as (caracal, _):
        got = await caracal.fetch(API, "/json", scopes=[READ])
        posted = await caracal.fetch(API, "echo", method="POST", json={"a": 1}, scopes=[WRITE])
        queried = await caracal.fetch(API, "/echo?x=1&y=%2B", scopes=[READ])
        at_once = await asyncio.gather(
            *(caracal.fetch(API, "/json", scopes=[READ]) for _ in range(20))
        )
        told = {
            "got": got.json(),
            "posted": posted.json()["body"],
            "target": queried.json()["target"],
            "at_once": {r.status_code for r in at_once},
        }
        told["climbing"] = await refusal(caracal.fetch(API, "/a/../b"))
        told["absolute"] = await refusal(caracal.fetch(API, "http://elsewhere/x"))
        return told


@check
async def gateway_request_leaves_the_sending_to_the_caller():
    async with holding(READ) as (caracal, ctx):
        target = caracal.gateway_request(API, "/echo?x=1")
        mandate = await asyncio.to_thread(caracal.mint_mandate, API, [READ])
        headers = {**target.headers, "Authorization": f"Bearer {mandate.token}"}
        async with httpx.AsyncClient() as http:
            first = await http.get(target.url, headers=headers)
            second = await http.get(target.url, headers=headers)
        own = await caracal.aheaders(ctx=ctx)
        async with httpx.AsyncClient() as http:
            session = await http.get(target.url, headers={**target.headers, **own})
        return {
            "headers": target.headers,
            "first": first.status_code,
            "second": [second.status_code, second.json()],
            "names": sorted(own),
            "session": [session.status_code, session.json()],
        }


@check
async def what_the_gateway_refuses_reaches_the_caller():
    async with holding(READ) as (caracal, _), caracal.transport(scopes=[READ]) as http:
        reader = await http.get(f"{UPSTREAM}/json")
        write = await http.post(f"{UPSTREAM}/echo", content="x")
        method = await http.delete(f"{UPSTREAM}/json")
        unsafe = await http.get(f"{UPSTREAM}/a%2fb")
        told = {
            "reader": reader.status_code,
            "write": [write.status_code, write.json()],
            "method": [method.status_code, method.json()],
            "unsafe": [unsafe.status_code, unsafe.json()],
        }
        told["unknown"] = await refusal(caracal.fetch("resource://nothing", "/json", scopes=[READ]))
        told["scope"] = await refusal(caracal.fetch(API, "/json", scopes=[WRITE]))
        told["undeclared"] = await refusal(caracal.fetch(API, "/json", scopes=["api:x"]))
        return told


@check
async def a_revoked_delegation_ends_calls():
    async with holding(READ) as (caracal, ctx), caracal.transport(scopes=[READ]) as http:
        before = (await http.get(f"{UPSTREAM}/json")).status_code
        mandate = await asyncio.to_thread(caracal.mint_mandate, API, [READ])
        with operator() as ask:
            ask.patch(f"delegations/{ctx.delegation_id}/revoke")
        after = await refusal(http.get(f"{UPSTREAM}/json"))
        target = caracal.gateway_request(API, "/json")
        bearer = {"Authorization": f"Bearer {mandate.token}"}
        async with httpx.AsyncClient() as plain:
            held = await plain.get(target.url, headers={**target.headers, **bearer})
        return {"before": before, "after": after, "held": [held.status_code, held.json()]}


@check
async def bodies_stream_both_ways():
    async def pieces():
        for _ in range(16):
            yield b"x" * 65536

    async with (
        holding() as (caracal, _),
        caracal.transport(scopes=[READ, WRITE], timeout=30) as http,
    ):
        sent = await http.post(f"{UPSTREAM}/sink", content=pieces())
        got = 0
        async with http.stream("GET", f"{UPSTREAM}/bytes/{2 << 20}") as answer:
            async for chunk in answer.aiter_bytes():
                got += len(chunk)
        async with http.stream("GET", f"{UPSTREAM}/drip") as answer:
            async for chunk in answer.aiter_bytes():
                first = len(chunk)
                break
        return {"sent": sent.json(), "got": got, "first": first > 0}


@check
async def redirects_and_broken_upstreams_are_told_as_they_are():
    async with holding() as (caracal, _), caracal.transport(scopes=[READ, WRITE]) as http:
        moved = await http.get(f"{UPSTREAM}/redirect")
        missing = await http.get(f"{UPSTREAM}/nothing-here")
        cut = await refusal(http.get(f"{UPSTREAM}/close"))
        following = refused(lambda: caracal.transport(follow_redirects=True))
        return {
            "moved": [moved.status_code, moved.headers.get("location")],
            "missing": missing.status_code,
            "cut": cut,
            "following": following,
        }


@check
async def other_hosts_get_nothing_of_the_session():
    async with holding(READ) as (caracal, _):
        async with caracal.transport(scopes=[READ]) as http:
            only = (await http.get(f"{SPARE}/echo")).json()
        async with caracal.transport(propagation="always") as http:
            always = (await http.get(f"{SPARE}/echo")).json()
        names = ("authorization", "traceparent", "baggage", "x-caracal-resource")
        return {
            "only": [name for name in names if header(only, name)],
            "always": [name for name in names if header(always, name)],
        }


@check
async def the_application_transport_needs_no_session():
    caracal = client()
    http = caracal.application_transport(API, scopes=[READ, WRITE], labels=["own"])
    statuses = [(await http.get(f"{UPSTREAM}/json")).status_code for _ in range(3)]
    statuses.append((await http.post(f"{UPSTREAM}/echo", content="x")).status_code)
    many = await asyncio.gather(*(http.get(f"{UPSTREAM}/json") for _ in range(10)))
    outside = (await http.get(f"{SPARE}/json")).json()
    with operator() as ask:
        own = ask.get("agents", params={"label": "own", "status": "active"}).json()["items"]
        await caracal.aclose()
        left = ask.get("agents", params={"label": "own", "status": "active"}).json()["items"]
    await http.aclose()
    return {
        "statuses": statuses,
        "many": {r.status_code for r in many},
        "outside": outside,
        "sessions": [[s["lifecycle"], s["ttl_seconds"], s["lease_generation"]] for s in own],
        "left": len(left),
    }


@check
async def the_synchronous_application_transport_does_the_same():
    def work():
        caracal = client()
        with caracal.sync_application_transport(
            API, scopes=[READ], labels=["nightly"], mandate_ttl_seconds=120
        ) as http:
            answers = [http.get(f"{UPSTREAM}/json").status_code for _ in range(2)]
            write = http.post(f"{UPSTREAM}/echo", content="x")
        with operator() as ask:
            query = {"label": "nightly", "status": "active"}
            own = ask.get("agents", params=query).json()["items"]
            asyncio.run(caracal.aclose())
            left = ask.get("agents", params=query).json()["items"]
        return {
            "answers": answers,
            "write": [write.status_code, write.json()],
            "sessions": [s["ttl_seconds"] for s in own],
            "left": len(left),
        }

    return await asyncio.to_thread(work)


@check
async def an_application_transport_recovers_from_ended_sessions():
    caracal = client()
    http = caracal.application_transport(API, scopes=[READ], labels=["ended"])
    before = (await http.get(f"{UPSTREAM}/json")).status_code
    with operator() as ask:
        for session in ask.get("agents", params={"label": "ended"}).json()["items"]:
            ask.delete(f"agents/{session['agent_session_id']}")
    after = await refusal(http.get(f"{UPSTREAM}/json"))
    await caracal.aclose()
    return {"before": before, "after": after}


@check
async def an_application_transport_is_refused_what_is_not_declared():
    told = {}
    for kind, resource, scopes in (
        ("scope", API, ["api:x"]),
        ("resource", "resource://nothing", [READ]),
    ):
        bound = client(resources=[ResourceBinding(resource, UPSTREAM)])
        http = bound.application_transport(resource, scopes=scopes, labels=["undeclared"])
        told[kind] = await refusal(http.get(f"{UPSTREAM}/json"))
        await bound.aclose()
    with operator() as ask:
        query = {"label": "undeclared", "status": "active"}
        told["left"] = len(ask.get("agents", params=query).json()["items"])
    return told


@check
async def mandates_live_as_long_as_asked():
    async with holding(READ) as (caracal, ctx):
        ask = functools.partial(asyncio.to_thread, caracal.mint_mandate, API, [READ], ctx=ctx)
        plain, short = await ask(), await ask(ttl_seconds=90)
        same = (await ask()).token == plain.token
        long = await refusal(ask(ttl_seconds=100_000))
        beyond = await refusal(ask(ttl_seconds=900))
        zero = await refusal(ask(ttl_seconds=0))
        return {
            "plain": plain.expires_in_seconds,
            "short": short.expires_in_seconds,
            "same": same,
            "long": long,
            "beyond": beyond,
            "zero": zero,
        }


@check
async def a_mandate_that_is_about_to_end_is_not_taken():
    async with holding(READ) as (caracal, ctx):
        mandate = await asyncio.to_thread(
            lambda: caracal.mint_mandate(API, [READ], ctx=ctx, ttl_seconds=20)
        )
        target = caracal.gateway_request(API, "/json")
        bearer = {"Authorization": f"Bearer {mandate.token}"}
        async with httpx.AsyncClient() as http:
            answer = await http.get(target.url, headers={**target.headers, **bearer})
            without = await http.get(target.url, headers=bearer)
            client_id = await http.get(
                target.url, headers={**target.headers, **bearer, "X-Caracal-Client-ID": "x"}
            )
            nothing = await http.get(target.url, headers=target.headers)
    answers = (answer, without, client_id, nothing)
    return [[a.status_code, a.json()["error"], a.headers.get("www-authenticate")] for a in answers]


@check
async def without_a_context_nothing_is_sent_unless_it_is_asked_for():
    caracal = client()
    async with caracal.transport() as http:
        silent = await refusal(http.get(f"{UPSTREAM}/json"))
    async with caracal.transport(as_application=True) as http:
        try:
            answer = await http.get(f"{UPSTREAM}/json")
            as_application = [answer.status_code, answer.json()]
        except Exception as error:  # noqa: BLE001
            as_application = raised(error)
    headers = refused(caracal.headers)
    own = caracal.headers(as_application=True)
    return {
        "silent": silent,
        "as_application": as_application,
        "headers": headers,
        "own": sorted(own),
    }


tell()
