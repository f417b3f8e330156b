"""Delegations between sessions and applications with the published SDK."""

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta

from caracalai import Authority, DelegationConstraints
from caracalai.advanced import (
    DelegationRequest,
    create_delegation,
    get_inbound_delegation,
    list_inbound_delegations,
)
from caracalai_oauth import decode_jwt_payload
from telling import (
    API,
    APPLICATION,
    HELPER,
    READ,
    WRITE,
    ZONE,
    check,
    client,
    helper,
    raised,
    refusal,
    tell,
    without_context,
)

WITHIN = {"resource_id": API, "ttl_seconds": 300}


@contextlib.asynccontextmanager
async def pair():
    """Two root sessions, one of each application; the first is bound."""
    one, other = client(), helper()
    receiver = await other.start_session(heartbeat_interval=0)
    async with one.session() as source:
        yield one, source, other, receiver
    await receiver.aclose()


async def minted(caracal, ctx, scopes, **more):
    return await asyncio.to_thread(caracal.mint_mandate, API, scopes, ctx=ctx, **more)


@check
async def what_one_application_hands_another_can_be_used():
    async with pair() as (one, source, other, receiver):
        made = await one.delegate(
            to_session_id=receiver.session_id, to_application_id=HELPER, scopes=[READ], **WITHIN
        )
        events = []
        other.on_event(events.append)
        async with (
            other.bind(receiver.context),
            other.accept_delegation(made.delegation_id, validate=True) as ctx,
        ):
            mandate = await minted(other, ctx, [READ])
            answer = await other.fetch(API, "/json", scopes=[READ])
            hop, parent = ctx.hop, ctx.parent_delegation_id
        said = decode_jwt_payload(mandate.token)
        return {
            "scopes": made.scopes,
            "expires": bool(datetime.fromisoformat(made.expires_at).tzinfo),
            "hop": hop,
            "parent": parent,
            "status": answer.status_code,
            "claims": {
                "use": said["use"],
                "hop_count": said["hop_count"],
                "path": said["delegation_path"] == [made.delegation_id],
                "edge": said["delegation_edge_id"] == made.delegation_id,
                "session": said["agent_session_id"] == receiver.session_id,
                "source": said["source_session_id"] == source.session_id,
                "target": said["target_session_id"] == receiver.session_id,
                "chain": [hop["application_id"] for hop in said["delegation_chain"]]
                == [APPLICATION, HELPER],
            },
            "event": [event.ok for event in events if event.type == "delegation.accept"],
        }


@check
async def accepting_what_is_not_live_fails():
    async with pair() as (one, _, other, receiver):
        made = await one.delegate(
            to_session_id=receiver.session_id, to_application_id=HELPER, scopes=[READ], **WITHIN
        )

        async def accept(delegation_id):
            async with (
                other.bind(receiver.context),
                other.accept_delegation(delegation_id, validate=True),
            ):
                pass

        live = await refusal(accept(made.delegation_id))
        unknown = await refusal(accept("nothing"))
        await one.revoke_delegation(made.delegation_id)
        revoked = await refusal(accept(made.delegation_id))
        again = await refusal(one.revoke_delegation(made.delegation_id))
        nothing = await refusal(one.revoke_delegation("nothing"))
        async with other.bind(receiver.context), other.accept_delegation(made.delegation_id) as ctx:
            mint = await refusal(minted(other, ctx, [READ]))
    return {
        "live": live,
        "unknown": unknown,
        "revoked": revoked,
        "again": again,
        "nothing": nothing,
        "mint": mint,
    }


@check
async def inbound_delegations_are_listed():
    async with pair() as (one, _, other, receiver):
        made = [
            await one.delegate(
                to_session_id=receiver.session_id, to_application_id=HELPER, scopes=[s], **WITHIN
            )
            for s in (READ, WRITE)
        ]
        bearer = other.config.subject_token
        asked = (other.config.coordinator, bearer, ZONE, receiver.session_id)
        listed = await list_inbound_delegations(*asked)
        one_of_them = await get_inbound_delegation(*asked, made[0].delegation_id)
        await one.revoke_delegation(made[0].delegation_id)
        after = await list_inbound_delegations(*asked)
        gone = await refusal(get_inbound_delegation(*asked, made[0].delegation_id))
        unknown = await refusal(get_inbound_delegation(*asked, "nothing"))
        foreign = await refusal(
            list_inbound_delegations(
                one.config.coordinator, one.config.subject_token, ZONE, receiver.session_id
            )
        )
    ids = [item.delegation_id for item in made]
    return {
        "listed": sorted(item.delegation_id for item in listed) == sorted(ids),
        "status": {item.status for item in listed},
        "expires": all(datetime.fromisoformat(item.expires_at).tzinfo for item in listed),
        "one": [one_of_them.delegation_id == ids[0], one_of_them.status],
        "after": {item.delegation_id == ids[0]: item.status for item in after},
        "gone": gone,
        "unknown": unknown,
        "foreign": foreign,
    }


@check
async def constraints_of_every_kind_hold():
    told = {}
    soon = (datetime.now(UTC) + timedelta(seconds=200)).isoformat()
    kinds = {
        "resources": DelegationConstraints(resources=[API]),
        "hops": DelegationConstraints(resources=[API], max_hops=2),
        "depth": DelegationConstraints(resources=[API], max_depth=3),
        "both": DelegationConstraints(resources=[API], max_hops=2, max_depth=2),
        "torn": DelegationConstraints(resources=[API], max_hops=2, max_depth=3),
        "ttl": DelegationConstraints(resources=[API], ttl_seconds=60),
        "expires": DelegationConstraints(resources=[API], expires_at=soon),
        "past": DelegationConstraints(resources=[API], expires_at="2020-01-01T00:00:00Z"),
        "approved": DelegationConstraints(resources=[API], policy_approved=True),
        "broad": DelegationConstraints(broad_reason="nightly work on everything"),
        "elsewhere": DelegationConstraints(resources=["resource://elsewhere"]),
        "none": None,
    }
    async with pair() as (one, _, other, receiver):
        for kind, constraints in kinds.items():
            asked = {
                "to_session_id": receiver.session_id,
                "to_application_id": HELPER,
                "scopes": [READ],
                "ttl_seconds": 300,
                "constraints": constraints,
            }
            try:
                made = await one.delegate(**asked)
            except Exception as error:  # noqa: BLE001
                told[kind] = raised(error)
                continue
            async with (
                other.bind(receiver.context),
                other.accept_delegation(made.delegation_id) as ctx,
            ):
                left = datetime.fromisoformat(made.expires_at) - datetime.now(UTC)
                told[kind] = {
                    "left": round(left.total_seconds(), -1),
                    "default": await _lifetime(other, ctx),
                    "long": await _lifetime(other, ctx, ttl_seconds=100),
                    "short": await _lifetime(other, ctx, ttl_seconds=50),
                }
    return told


async def _lifetime(caracal, ctx, **more):
    try:
        return (await minted(caracal, ctx, [READ], **more)).expires_in_seconds
    except Exception as error:  # noqa: BLE001
        return raised(error)


@check
async def what_is_handed_on_only_shrinks():
    one, other = client(), helper()
    told = {}
    async with one.session():
        with without_context():
            receiver = await other.start_session(heartbeat_interval=0)
        made = await one.delegate(
            to_session_id=receiver.session_id,
            to_application_id=HELPER,
            scopes=[READ],
            constraints=DelegationConstraints(max_hops=3),
            **WITHIN,
        )
        with without_context():
            third = await one.start_session(heartbeat_interval=0)
        async with other.bind(receiver.context), other.accept_delegation(made.delegation_id):
            onward = {"to_session_id": third.session_id, "to_application_id": APPLICATION}
            told["wider"] = await refusal(
                other.delegate(scopes=[READ, WRITE], resource_id=API, ttl_seconds=60, **onward)
            )
            told["longer"] = await refusal(
                other.delegate(scopes=[READ], resource_id=API, ttl_seconds=3000, **onward)
            )
            told["deeper"] = await refusal(
                other.delegate(
                    scopes=[READ],
                    resource_id=API,
                    ttl_seconds=60,
                    constraints=DelegationConstraints(max_hops=5),
                    **onward,
                )
            )
            second = await other.delegate(scopes=[READ], resource_id=API, ttl_seconds=60, **onward)
        async with one.bind(third.context), one.accept_delegation(second.delegation_id) as ctx:
            said = decode_jwt_payload((await minted(one, ctx, [READ])).token)
            told["hops"] = said["hop_count"]
            told["path"] = said["delegation_path"] == [made.delegation_id, second.delegation_id]
            told["status"] = (await one.fetch(API, "/json", scopes=[READ])).status_code
            await one.revoke_delegation(made.delegation_id)
            told["after"] = await refusal(minted(one, ctx, [READ]))
        await receiver.aclose()
        await third.aclose()
    return told


@check
async def a_chain_of_ten_hops_reaches_the_upstream():
    caracal, told = client(), {}
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(caracal.session())
        for hop in range(1, 11):
            narrow = Authority.narrow(
                [READ],
                ttl_seconds=600 - hop,
                resource_id=API,
                constraints=DelegationConstraints(max_hops=11 - hop),
            )
            held = await stack.enter_async_context(caracal.session(authority=narrow))
        told["hop"] = held.hop
        mandate = await minted(caracal, held, [READ])
        told["bytes"] = len(mandate.token)
        told["status"] = (await caracal.fetch(API, "/json", scopes=[READ])).status_code
        told["eleventh"] = await refusal(
            caracal.session(
                authority=Authority.narrow([READ], ttl_seconds=60, resource_id=API)
            ).__aenter__()
        )
    return told


@check
async def a_session_without_a_delegation_is_told_what_it_lacks():
    caracal = client()
    async with caracal.session() as ctx:
        mint = await refusal(minted(caracal, ctx, [READ]))
        call = await refusal(caracal.fetch(API, "/json", scopes=[READ]))
        elsewhere = await refusal(caracal.delegate(to_session_id="nobody", scopes=[READ], **WITHIN))
        foreign = await refusal(_foreign(caracal, ctx))
    unbound = await refusal(caracal.delegate(to_session_id="x", scopes=[READ], **WITHIN))
    return {
        "mint": mint,
        "call": call,
        "elsewhere": elsewhere,
        "foreign": foreign,
        "unbound": unbound,
    }


async def _foreign(caracal, ctx):
    """Hand on a session of somebody else."""
    other = helper()
    await create_delegation(
        other.config.coordinator,
        other.config.subject_token,
        DelegationRequest(
            zone_id=ZONE,
            issuer_application_id=HELPER,
            source_session_id=ctx.session_id,
            target_session_id=ctx.session_id,
            receiver_application_id=APPLICATION,
            scopes=[READ],
            resource_id=API,
            ttl_seconds=60,
        ),
    )


tell()
