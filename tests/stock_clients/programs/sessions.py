"""Task and service sessions of the published SDK."""

import asyncio
import uuid

from caracalai import (
    Authority,
    DelegationConstraints,
    advanced,
    capture_context,
    describe_authority,
)
from telling import (
    API,
    APPLICATION,
    READ,
    WRITE,
    ZONE,
    check,
    client,
    helper,
    operator,
    raised,
    refusal,
    tell,
    without_context,
)


def stored(session_id: str) -> dict:
    with operator() as ask:
        return ask.get(f"agents/{session_id}").json()


@check
async def a_task_session_begins_and_ends_with_its_block():
    caracal = client()
    begun, ended = [], []

    async def at_start(ctx):
        begun.append(ctx.session_id)

    async def at_end(ctx):
        ended.append(ctx.session_id)

    remove = caracal.on_session_start(at_start)
    caracal.on_session_end(at_end)
    async with caracal.session(
        task="sort the post", metadata={"ticket": 7}, labels=["clerk"], ttl_seconds=120
    ) as ctx:
        inside = stored(ctx.session_id)
        bound = caracal.current() == ctx == capture_context()
        summary = describe_authority(ctx)
    remove()
    async with caracal.session():
        pass
    after = stored(ctx.session_id)
    await caracal.aclose()
    closed = await refusal(caracal.session().__aenter__())
    return {
        "inside": inside,
        "bound": bound,
        "begun": begun == [ctx.session_id],
        "ended": len(ended),
        "chain": summary.chain,
        "zone": ctx.zone_id == ZONE,
        "after": after["status"],
        "unbound": caracal.current() is None,
        "closed": closed,
    }


@check
async def a_body_that_raises_ends_its_session():
    caracal = client()
    bound = []

    async def work():
        async with caracal.session() as ctx:
            bound.append(ctx.session_id)
            raise LookupError("nothing there")

    error = await refusal(work())
    return {"raised": error["raised"], "status": stored(bound[0])["status"]}


@check
async def a_cancelled_body_ends_its_session():
    caracal, seen = client(), asyncio.Future()

    async def work():
        async with caracal.session() as ctx:
            seen.set_result(ctx.session_id)
            await asyncio.Event().wait()

    task = asyncio.ensure_future(work())
    session_id = await seen
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return {"cancelled": task.cancelled(), "status": stored(session_id)["status"]}


@check
async def sessions_nest():
    caracal = client()
    async with caracal.session() as outer:
        async with caracal.session() as inner:
            child = stored(inner.session_id)
            hops = [outer.hop, inner.hop]
        again = caracal.current() == outer
        async with caracal.session(parent_session_id=outer.session_id) as named:
            named_parent = stored(named.session_id)["parent_id"] == outer.session_id
        other = await refusal(caracal.session(parent_session_id="someone").__aenter__())
    async with caracal.session() as one:
        pass
    late = await refusal(caracal.session(parent_ctx=one).__aenter__())
    return {
        "parent": child["parent_id"] == outer.session_id,
        "depth": child["depth"],
        "hops": hops,
        "again": again,
        "trace": outer.trace_id == inner.trace_id,
        "named": named_parent,
        "other": other,
        "late": late,
    }


@check
async def a_parent_is_carried_to_another_task():
    caracal = client()
    async with caracal.session() as outer:
        captured = capture_context()

        async def elsewhere():
            async with caracal.session(parent_ctx=captured) as inner:
                return stored(inner.session_id)["parent_id"]

        with without_context():
            parent = await asyncio.create_task(elsewhere())
        async with caracal.bind(outer) as bound:
            same = bound.session_id == outer.session_id
    return {"parent": parent == outer.session_id, "bound": same}


@check
async def authority_is_inherited_narrowed_or_none():
    caracal = client()
    narrow = Authority.narrow([READ, WRITE], ttl_seconds=300, resource_id=API)
    deeper = Authority.narrow(
        [READ, WRITE],
        ttl_seconds=300,
        resource_id=API,
        constraints=DelegationConstraints(max_hops=4),
    )
    told = {}
    async with caracal.session():
        async with caracal.session(authority=narrow, labels=["n"]) as held:
            told["narrow"] = [bool(held.delegation_id), held.hop]
            told["chain"] = describe_authority(held).chain
        async with caracal.session(authority=deeper) as held:
            async with caracal.session() as inheriting:
                told["inherit"] = [bool(inheriting.delegation_id), inheriting.hop]
                told["inherits_another_id"] = inheriting.delegation_id != held.delegation_id
                told["mint_inherited"] = bool(
                    caracal.mint_mandate(API, [READ], ctx=inheriting).token
                )
            async with caracal.session(authority=Authority.none()) as alone:
                told["none"] = [alone.delegation_id, alone.hop]
            less = Authority.narrow(READ, ttl_seconds=60, resource_id=API)
            async with caracal.session(authority=less) as narrower:
                told["narrower"] = [bool(narrower.delegation_id), narrower.hop]
                told["narrower_read"] = bool(caracal.mint_mandate(API, [READ]).token)
                told["narrower_write"] = await refusal(
                    asyncio.to_thread(caracal.mint_mandate, API, [WRITE], ctx=narrower)
                )
        more = Authority.narrow([READ, "api:everything"], ttl_seconds=60, resource_id=API)
        told["wider"] = await refusal(caracal.session(authority=more).__aenter__())
    told["no_parent"] = await refusal(caracal.session(authority=narrow).__aenter__())
    return told


@check
async def a_delegation_of_one_hop_is_inherited_within_the_application():
    caracal = client()
    narrow = Authority.narrow([READ], ttl_seconds=300, resource_id=API)
    async with caracal.session(), caracal.session(authority=narrow), caracal.session() as child:
        mint = await refusal(asyncio.to_thread(caracal.mint_mandate, API, [READ], ctx=child))
    return {"delegation": bool(child.delegation_id), "hop": child.hop, "mint": mint}


@check
async def starting_is_idempotent_under_a_key():
    caracal, key, seen = client(), f"job-{uuid.uuid4()}", []
    caracal.on_event(seen.append)
    async with caracal.session(idempotency_key=key, labels=["a"]) as first:

        async def again(labels):
            async with caracal.session(idempotency_key=key, labels=labels) as ctx:
                return ctx.session_id

        with without_context():
            same = await again(["a"])
            conflict = await refusal(again(["b"]))
    replayed = [event.replayed for event in seen if event.path.endswith("/agents")]
    bad = await refusal(caracal.session(idempotency_key=" x").__aenter__())
    return {
        "same": same == first.session_id,
        "conflict": conflict,
        "replayed": replayed,
        "bad": bad,
    }


@check
async def a_service_session_lives_by_its_heartbeats():
    caracal, states = client(), []
    handle = await caracal.start_session(
        heartbeat_interval=0, on_state_change=states.append, task="watch", labels=["daemon"]
    )
    inside = stored(handle.session_id)
    first = handle.heartbeat_deadline_at
    await asyncio.sleep(0.01)
    await handle.heartbeat()
    await handle.heartbeat("degraded")
    later = handle.heartbeat_deadline_at
    wrong = await refusal(handle.heartbeat("dancing"))
    with operator() as ask:
        suspended = ask.patch(f"agents/{handle.session_id}/suspend").status_code
        await handle.heartbeat()
        held = handle.status
        resumed = ask.patch(f"agents/{handle.session_id}/resume").status_code
        await handle.heartbeat()
    generation = handle.lease_generation
    await handle.aclose()
    await handle.aclose()
    return {
        "inside": inside,
        "generation": generation,
        "later": later > first,
        "wrong": wrong,
        "operator": [suspended, resumed],
        "held": held,
        "states": states,
        "after": stored(handle.session_id)["status"],
    }


@check
async def heartbeats_go_out_on_their_own():
    caracal, beats = client(), asyncio.Event()
    caracal.on_event(lambda event: event.path.endswith("/heartbeat") and beats.set())
    async with await caracal.start_session(heartbeat_interval=0.02) as handle:
        await asyncio.wait_for(beats.wait(), 10)
    return {"after": stored(handle.session_id)["status"]}


@check
async def a_lost_lease_is_told_once():
    caracal, lost = client(), asyncio.Future()
    handle = await caracal.start_session(heartbeat_interval=0.02, on_lease_lost=lost.set_result)
    with operator() as ask:
        ask.delete(f"agents/{handle.session_id}")
    error = await asyncio.wait_for(lost, 10)
    await handle.aclose()
    return {"gone": raised(error)}


@check
async def another_process_attaches_and_the_first_is_fenced():
    caracal, other = client(), client()
    handle = await caracal.start_session(heartbeat_interval=0)
    attached = await other.attach_session(handle.session_id, heartbeat_interval=0)
    await attached.heartbeat()
    fenced = await refusal(handle.heartbeat())
    generations = [handle.lease_generation, attached.lease_generation]
    quiet = await refusal(handle.aclose())
    alive = stored(attached.session_id)["status"]
    async with other.bind(attached.context), other.session() as child:
        parent = stored(child.session_id)["parent_id"]
    await attached.aclose()
    gone = await refusal(other.attach_session(handle.session_id, heartbeat_interval=0))
    unknown = await refusal(other.attach_session("nobody", heartbeat_interval=0))
    foreign = client()
    theirs = await foreign.start_session(heartbeat_interval=0)
    strange = await refusal(helper().attach_session(theirs.session_id, heartbeat_interval=0))
    await theirs.aclose()
    return {
        "generations": generations,
        "fenced": fenced,
        "quiet": quiet,
        "alive": alive,
        "parent": parent == handle.session_id,
        "after": stored(handle.session_id)["status"],
        "gone": gone,
        "unknown": unknown,
        "strange": strange,
    }


@check
async def a_session_that_an_operator_ended_ends_quietly():
    caracal = client()
    async with caracal.session() as ctx:
        with operator() as ask:
            answered = ask.delete(f"agents/{ctx.session_id}").status_code
    return {"answered": answered, "status": stored(ctx.session_id)["status"]}


@check
async def children_end_with_their_parent():
    caracal = client()
    parent = await caracal.start_session(heartbeat_interval=0)
    async with caracal.bind(parent.context):
        child = await caracal.start_session(heartbeat_interval=0)
        async with caracal.session() as inner:
            await parent.aclose()
    beat = await refusal(child.heartbeat())
    quiet = await refusal(child.aclose())
    async with caracal.session():
        under_task = await refusal(caracal.start_session(heartbeat_interval=0))
    return {
        "after": [stored(one)["status"] for one in (child.session_id, inner.session_id)],
        "beat": beat,
        "quiet": quiet,
        "under_task": under_task,
    }


@check
async def what_a_start_may_not_ask_for_is_refused():
    caracal = client()
    long = await refusal(caracal.session(ttl_seconds=10_000_000).__aenter__())
    labels = await refusal(caracal.session(labels=["x" * 65]).__aenter__())
    metadata = await refusal(caracal.session(metadata={"x": "y" * 20_000}).__aenter__())
    record = await refusal(caracal.session(subject_authority_record_id="someone").__aenter__())
    return {"long": long, "labels": labels, "metadata": metadata, "record": record}


@check
async def the_coordinators_calls_can_be_made_one_by_one():
    caracal = client()
    coordinator, token = caracal.config.coordinator, caracal.config.subject_token
    asked = advanced.StartSessionRequest(
        zone_id=ZONE, application_id=APPLICATION, lifecycle=advanced.Lifecycle.SERVICE
    )
    begun = await advanced.start_coordinator_session(coordinator, token, asked)
    where = (coordinator, token, ZONE, begun.session_id)
    beat = await advanced.heartbeat_session(*where, begun.lease_generation)
    lease = await advanced.acquire_session_lease(*where)
    fenced = await refusal(advanced.terminate_session(*where, begun.lease_generation))
    ended = await refusal(advanced.terminate_session(*where, lease.lease_generation))
    again = await refusal(advanced.terminate_session(*where, lease.lease_generation))
    unnamed = await advanced.start_coordinator_session(coordinator, token, asked)
    forced = await refusal(advanced.terminate_session(coordinator, token, ZONE, unnamed.session_id))
    unproven = await refusal(advanced.start_coordinator_session(coordinator, "a.b.c", asked))
    elsewhere = await refusal(
        advanced.start_coordinator_session(
            coordinator,
            token,
            advanced.StartSessionRequest(zone_id="nowhere", application_id=APPLICATION),
        )
    )
    foreign = await refusal(
        advanced.start_coordinator_session(
            coordinator,
            token,
            advanced.StartSessionRequest(zone_id=ZONE, application_id="somebody"),
        )
    )
    return {
        "beat": [beat.status, beat.lease_generation, bool(beat.heartbeat_deadline_at)],
        "lease": [lease.status, lease.lease_generation],
        "fenced": fenced,
        "ended": ended,
        "again": again,
        "forced": forced,
        "unproven": unproven,
        "elsewhere": elsewhere,
        "foreign": foreign,
    }


@check
async def context_is_carried_in_headers():
    caracal = client()
    async with caracal.session() as ctx:
        headers = advanced.to_headers(advanced.to_envelope(ctx))
        headers["authorization"] = f"Bearer {ctx.subject_token}"
        read = advanced.from_headers(headers)
        back = advanced.from_envelope(read, zone_id=ZONE, application_id=APPLICATION)
        with_hop = advanced.with_overrides(hop=3)
        inside = advanced.bind(with_hop, advanced.current).hop

        async def hop():
            return advanced.current().hop

        later = await advanced.abind(with_hop, hop())
        trace = advanced.parse_traceparent(headers["traceparent"])
        baggage = advanced.parse_baggage(headers["baggage"])
        own = await caracal.aheaders()
    return {
        "session": back.session_id == ctx.session_id,
        "trace": trace.trace_id == ctx.trace_id,
        "baggage": sorted(baggage),
        "hops": [inside, later],
        "authorization": own["authorization"].startswith("Bearer "),
    }


@check
async def events_tell_what_was_asked_of_the_services():
    caracal, seen = client(), []
    remove = caracal.on_event(seen.append)
    async with caracal.session():
        await refusal(caracal.delegate(to_session_id="nobody", scopes=[READ], ttl_seconds=60))
    remove()
    before = len(seen)
    async with caracal.session():
        pass
    return {
        "types": [[event.type, event.ok] for event in seen],
        "methods": [event.method for event in seen if event.type == "coordinator.call"],
        "refused": [[event.status, event.code] for event in seen if not event.ok],
        "removed": len(seen) == before,
    }


tell()
