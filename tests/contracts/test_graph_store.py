"""What a `GraphStore` promises."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from caracal.authority.constraints import Constraints
from caracal.authority.delegation import Delegation, DelegationStatus
from caracal.authority.grants import Grant
from caracal.authority.graph import GraphChange
from caracal.authority.identifiers import ApplicationId, DelegationId, RecordId, SessionId, ZoneId
from caracal.authority.mandates import Hop
from caracal.authority.outcomes import Unavailable
from caracal.authority.resources import ResourceUri
from caracal.authority.revocation import RETENTION, AnchorKind, Revocation
from caracal.authority.scopes import ScopeSet
from caracal.authority.sessions import Lifecycle, Session, Status
from caracal.authority.subjects import User
from caracal_server.adapters.sql.graph import SqlGraphStore
from caracal_server.adapters.sql.graph_rows import label_marks, labels_text
from caracal_server.ports.graph import DelegationQuery, IdempotencyReceipt, SessionQuery

AT = datetime(2026, 5, 4, 3, 2, 1, 987654, tzinfo=UTC)
LONG_AGO = AT - timedelta(days=300)


@pytest.fixture
def store(database):
    return SqlGraphStore(database)


def session_of(zone_id, number: int, **changes) -> Session:
    own = SessionId(f"{zone_id}-{number:03}")
    session = Session(
        id=own,
        zone_id=zone_id,
        application_id=ApplicationId("application"),
        path=(own,),
        record=RecordId("record"),
        lifecycle=Lifecycle.TASK,
        labels=("batch", 'a "quoted", one'),
        status=Status.ACTIVE,
        started_at=AT,
        ttl=timedelta(seconds=90, microseconds=7),
        metadata='{"note": "ü"}',
    )
    return replace(session, **changes)


def delegation_of(zone_id, number: int, **changes) -> Delegation:
    own = DelegationId(f"{zone_id}-{number:03}")
    source, target = (SessionId(f"{zone_id}-{n:03}") for n in (0, 1))
    delegation = Delegation(
        id=own,
        zone_id=zone_id,
        source=source,
        target=target,
        issuer=ApplicationId("issuer"),
        receiver=ApplicationId("receiver"),
        path=(DelegationId("root"), own),
        chain=(
            Hop(ApplicationId("issuer"), source, DelegationId("root")),
            Hop(ApplicationId("other"), None, None),
        ),
        grant=Grant(
            ScopeSet.of("orders:read", "orders:write"),
            Constraints(
                frozenset({ResourceUri("https://a.example"), ResourceUri("https://b.example")}),
                hops=3,
                max_ttl=timedelta(minutes=5),
                budget=7,
                reason="because",
            ),
            AT + timedelta(hours=1),
        ),
        status=DelegationStatus.ACTIVE,
        created_at=AT,
    )
    return replace(delegation, **changes)


SERVICE = {
    "lifecycle": Lifecycle.SERVICE,
    "ttl": None,
    "lease_expires_at": AT + timedelta(minutes=2),
    "lease_generation": 4,
    "last_heartbeat_at": AT,
    "health": "degraded",
    "labels": (),
}


async def test_sessions_come_back_as_they_were_saved(store, zone_id):
    child = session_of(zone_id, 2)
    sessions = (
        session_of(zone_id, 0),
        session_of(zone_id, 1, **SERVICE, status=Status.SUSPENDED),
        replace(
            child,
            path=(SessionId(f"{zone_id}-000"), child.id),
            user=User("https://id.example", "auth0|名前 "),
        ),
    )
    await store.save(zone_id, GraphChange(sessions=sessions))

    assert (await store.load(zone_id, revoked_after=LONG_AGO)).sessions == sessions
    for session in sessions:
        assert await store.session(zone_id, session.id) == session
    assert await store.session(ZoneId("another"), sessions[0].id) is None


async def test_delegations_come_back_as_they_were_saved(store, zone_id):
    broad = Grant(ScopeSet.of("a"), Constraints(None), AT + timedelta(hours=1))
    none_at_all = Grant(ScopeSet.of("a"), Constraints(frozenset()), AT + timedelta(hours=1))
    delegations = (
        delegation_of(zone_id, 0),
        delegation_of(zone_id, 1, grant=broad, chain=()),
        delegation_of(zone_id, 2, grant=none_at_all),
    )
    await store.save(zone_id, GraphChange(delegations=delegations, epoch=3))

    loaded = await store.load(zone_id, revoked_after=LONG_AGO)
    assert loaded.delegations == delegations
    assert loaded.epoch == 3
    assert await store.delegations(zone_id, DelegationQuery()) == delegations[::-1]


async def test_only_what_is_live_is_loaded(store, zone_id):
    ended = session_of(
        zone_id, 1, status=Status.TERMINATED, ended_at=AT, end_reason="done", version=2
    )
    live = session_of(zone_id, 2)
    to_live = delegation_of(
        zone_id, 0, target=live.id, status=DelegationStatus.REVOKED, revoked_at=AT
    )
    to_ended = delegation_of(zone_id, 1, status=DelegationStatus.REVOKED, revoked_at=AT)
    active = delegation_of(zone_id, 2)
    long_over = delegation_of(zone_id, 3, grant=replace(active.grant, expires_at=AT))
    await store.save(zone_id, GraphChange((ended, live), (to_live, to_ended, active, long_over)))

    loaded = await store.load(zone_id, revoked_after=AT)

    assert loaded.sessions == (live,)
    assert loaded.delegations == (to_live, active)
    assert await store.session(zone_id, ended.id) == ended


async def test_a_late_write_never_undoes_a_newer_one(store, zone_id):
    newer = GraphChange(
        (session_of(zone_id, 0, version=5, status=Status.SUSPENDED),),
        (delegation_of(zone_id, 0, version=5, status=DelegationStatus.REVOKED, revoked_at=AT),),
        (Revocation(AnchorKind.SESSION, "anchor", AT, "newer"),),
        epoch=9,
    )
    older = GraphChange(
        (session_of(zone_id, 0, version=4),),
        (delegation_of(zone_id, 0, version=4),),
        (Revocation(AnchorKind.SESSION, "anchor", AT - timedelta(seconds=1), "older"),),
        epoch=8,
    )
    await store.save(zone_id, newer)
    await store.save(zone_id, older)

    loaded = await store.load(zone_id, revoked_after=LONG_AGO)
    assert loaded.sessions == newer.sessions
    assert await store.delegations(zone_id, DelegationQuery()) == newer.delegations
    assert loaded.revocations == newer.revocations
    assert loaded.epoch == 9


async def test_whatever_the_order_of_writers_the_newest_version_stays(store, zone_id):
    versions = [session_of(zone_id, 0, version=n, end_reason=str(n)) for n in range(1, 13)]

    await asyncio.gather(
        *(store.save(zone_id, GraphChange((one,))) for one in versions[::2] + versions[1::2])
    )

    assert await store.session(zone_id, versions[0].id) == versions[-1]


async def test_revocations_are_kept_until_they_are_lifted(store, zone_id, entropy):
    kept = Revocation(AnchorKind.APPLICATION, "application", AT, "stolen")
    lifted = Revocation(AnchorKind.SESSION, "application", AT, "suspended")
    other = ZoneId(entropy.new_id())
    await store.save(zone_id, GraphChange(revocations=(kept, lifted)))
    await store.save(other, GraphChange(revocations=(kept,)))
    await store.save(zone_id, GraphChange(lifted=((lifted.kind, lifted.anchor),)))
    await store.save(zone_id, GraphChange(lifted=((lifted.kind, lifted.anchor),)))

    assert (await store.load(zone_id, revoked_after=LONG_AGO)).revocations == (kept,)
    assert (await store.load(other, revoked_after=LONG_AGO)).revocations == (kept,)
    assert (await store.load(zone_id, revoked_after=AT)).revocations == ()


async def test_a_change_is_stored_whole_or_not_at_all(store, zone_id, entropy):
    foreign = session_of(ZoneId(entropy.new_id()), 1)

    with pytest.raises(ValueError, match="one zone"):
        await store.save(zone_id, GraphChange((session_of(zone_id, 0), foreign), epoch=2))
    stored = receipt_of(zone_id)
    await store.save(zone_id, GraphChange(), stored)
    with pytest.raises(Unavailable):
        await store.save(zone_id, GraphChange((session_of(zone_id, 0),), epoch=2), stored)

    loaded = await store.load(zone_id, revoked_after=LONG_AGO)
    assert (loaded.sessions, loaded.epoch) == ((), 0)


async def test_sessions_are_found_by_any_of_their_traits_newest_first(store, zone_id):
    root = session_of(zone_id, 0, labels=("nightly",))
    child = session_of(zone_id, 1, labels=("Nightly", ","), status=Status.SUSPENDED)
    child = replace(child, path=(root.id, child.id))
    service = session_of(zone_id, 2, **SERVICE, application_id=ApplicationId("other"))
    await store.save(zone_id, GraphChange((root, child, service)))

    async def found(**filters):
        return await store.sessions(zone_id, SessionQuery(**filters))

    assert await found() == (service, child, root)
    assert await found(status=Status.SUSPENDED) == (child,)
    assert await found(lifecycle=Lifecycle.SERVICE) == (service,)
    assert await found(application_id=ApplicationId("other")) == (service,)
    assert await found(parent_id=root.id) == (child,)
    assert await found(label="nightly") == (root,)
    assert await found(label=",") == (child,)
    assert await found(label="night") == ()
    assert await found(status=Status.ACTIVE, application_id=ApplicationId("application")) == (root,)
    assert await found(limit=2) == (service, child)
    assert await found(limit=2, cursor=child.id) == (root,)


async def test_delegations_are_found_by_any_of_their_traits_newest_first(store, zone_id):
    first = delegation_of(zone_id, 0)
    second = delegation_of(zone_id, 1, source=first.target, target=first.source)
    revoked = delegation_of(zone_id, 2, status=DelegationStatus.REVOKED, revoked_at=AT)
    other = delegation_of(zone_id, 3, issuer=ApplicationId("x"), receiver=ApplicationId("issuer"))
    await store.save(zone_id, GraphChange((), (first, second, revoked, other)))

    async def found(**filters):
        return await store.delegations(zone_id, DelegationQuery(**filters))

    assert await found(source=first.source) == (other, revoked, first)
    assert await found(target=first.source) == (second,)
    assert await found(application_id=ApplicationId("issuer")) == (other, revoked, second, first)
    assert await found(application_id=ApplicationId("x")) == (other,)
    assert await found(active_at=AT) == (other, second, first)
    assert await found(active_at=first.grant.expires_at) == ()
    assert await found(limit=1, cursor=other.id) == (revoked,)


def receipt_of(zone_id, **changes) -> IdempotencyReceipt:
    receipt = IdempotencyReceipt(
        zone_id=zone_id,
        operation="session.start",
        scope="application",
        key_digest="key",
        request_digest="request",
        status=201,
        body=b'{"id": "1"}\x00',
        result_id="1",
        expires_at=AT + timedelta(hours=24),
    )
    return replace(receipt, **changes)


async def test_a_receipt_is_found_by_its_key_and_nothing_less(store, zone_id):
    receipt = receipt_of(zone_id)
    await store.save(zone_id, GraphChange(), receipt)

    assert await store.receipt(zone_id, "session.start", "application", "key") == receipt
    assert await store.receipt(zone_id, "session.start", "application", "other") is None
    assert await store.receipt(zone_id, "session.start", "other", "key") is None
    assert await store.receipt(zone_id, "other", "application", "key") is None
    assert await store.receipt(ZoneId("other"), "session.start", "application", "key") is None


async def test_of_requests_that_race_with_one_key_exactly_one_takes_effect(store, zone_id):
    async def start(number: int) -> None:
        await store.save(
            zone_id,
            GraphChange((session_of(zone_id, number),)),
            receipt_of(
                zone_id,
                result_id=str(number),
                expires_at=AT + timedelta(hours=24, milliseconds=number),
            ),
        )

    outcomes = await asyncio.gather(*(start(n) for n in range(8)), return_exceptions=True)

    assert outcomes.count(None) == 1
    assert sum(isinstance(outcome, Unavailable) for outcome in outcomes) == 7
    stored = await store.receipt(zone_id, "session.start", "application", "key")
    assert stored.result_id == str(outcomes.index(None))
    assert len((await store.load(zone_id, revoked_after=LONG_AGO)).sessions) == 1


async def test_a_receipt_that_expired_gives_way_to_a_new_one(store, zone_id):
    await store.save(zone_id, GraphChange(), receipt_of(zone_id))
    later = receipt_of(zone_id, result_id="2", expires_at=AT + timedelta(hours=49))
    await store.save(zone_id, GraphChange(), later)

    assert await store.receipt(zone_id, "session.start", "application", "key") == later


async def test_expired_receipts_and_revocations_are_dropped_a_few_at_a_time(
    sqlite_database, zone_id
):
    store = SqlGraphStore(sqlite_database)
    now = AT + timedelta(days=2)
    for number in range(5):
        await store.save(zone_id, GraphChange(), receipt_of(zone_id, key_digest=str(number)))
    kept = receipt_of(zone_id, key_digest="kept", expires_at=now + timedelta(seconds=1))
    await store.save(zone_id, GraphChange(), kept)
    young = Revocation(AnchorKind.SUBJECT, "young", now - RETENTION + timedelta(seconds=1), "")
    old = Revocation(AnchorKind.SUBJECT, "old", now - RETENTION, "")
    await store.save(zone_id, GraphChange(revocations=(young, old)))
    assert await store.receipt_count(zone_id, "application", now=AT) == 6
    assert await store.receipt_count(zone_id, "application", now=now) == 1

    dropped = [await store.drop_expired(now=now, limit=4) for _ in range(3)]

    assert dropped == [4, 2, 0]
    assert await store.receipt(zone_id, "session.start", "application", "kept") == kept
    assert await store.receipt(zone_id, "session.start", "application", "0") is None
    assert (await store.load(zone_id, revoked_after=LONG_AGO)).revocations == (young,)


# Text in which quotes, escapes and separators meet often.
_LABEL = st.text(st.sampled_from('"\\[],\nx'), max_size=4) | st.text(max_size=6)


@given(st.lists(_LABEL, max_size=5), _LABEL)
@example(['"x'], "x")
@example(['"'], "")
def test_a_label_stands_within_the_stored_labels_exactly_when_it_is_one_of_them(labels, label):
    text = labels_text(tuple(labels))
    assert any(mark in text for mark in label_marks(label)) == (label in labels)
