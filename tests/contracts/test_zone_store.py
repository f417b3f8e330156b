"""What a `ZoneStore` promises."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from caracal.authority.identifiers import ApplicationId, ProviderId, ResourceId
from caracal.authority.mcp import NameRule, NameTable, ResourceKind
from caracal.authority.outcomes import Unavailable
from caracal.authority.resources import (
    Enforcement,
    OperationTable,
    Resource,
    ResourceUri,
    parse_operation,
)
from caracal.authority.scopes import Scope, ScopeSet
from caracal.authority.subjects import SubjectIssuer
from caracal.authority.tool_pins import Pinning, ToolPin
from caracal.authority.zones import Application, CredentialKind, Provider
from caracal_server.adapters.sql.zones import SqlZoneStore
from caracal_server.ports.zones import PolicyVersion, ZoneRecord

AT = datetime(2026, 5, 4, 3, 2, 1, 987654, tzinfo=UTC)


@pytest.fixture
def store(database):
    return SqlZoneStore(database)


def zone_of(zone_id, **changes) -> ZoneRecord:
    record = ZoneRecord(
        id=zone_id,
        name="shop",
        revision=1,
        created_at=AT,
        applications=(
            Application(ApplicationId(f"{zone_id}-b"), "beta", expires_at=AT),
            Application(
                ApplicationId(f"{zone_id}-a"),
                "alpha",
                enabled=False,
                traits=("control:invoke", "x"),
                keys=('{"kty":"EC"}',),
                redirect_uris=("http://127.0.0.1/a", "https://b.example/c"),
                metadata_hosts=("c.example",),
                takes_registrations=True,
            ),
        ),
        providers=(
            Provider(
                id=ProviderId(f"{zone_id}-p"),
                name="orders",
                kind=CredentialKind.API_KEY,
                header=None,
                query_parameter="key",
                allowed_hosts=frozenset({"b.example", "a.example"}),
                forward_identity=True,
            ),
            Provider(ProviderId(f"{zone_id}-q"), "none", CredentialKind.NONE),
        ),
        resources=(
            Resource(
                id=ResourceId(f"{zone_id}-r"),
                identifier=ResourceUri("https://orders.example/"),
                name="orders",
                upstream_url="https://orders.example/v1",
                provider_id=ProviderId(f"{zone_id}-p"),
                scopes=ScopeSet.of("orders:write", "orders:read"),
                operations=OperationTable(
                    (
                        parse_operation("POST", "/orders/{id}/{rest*}", Scope("orders:write")),
                        parse_operation("GET", "/orders", Scope("orders:read")),
                    )
                ),
                enforcement=Enforcement.ENFORCED,
            ),
            Resource(
                id=ResourceId(f"{zone_id}-s"),
                identifier=ResourceUri("https://tickets.example/"),
                name="tickets",
                upstream_url="https://tickets.example/mcp",
                provider_id=None,
                scopes=ScopeSet.of("tickets:read"),
                operations=OperationTable(()),
                enforcement=Enforcement.ENFORCED,
                kind=ResourceKind.MCP,
                tools=NameTable((NameRule("search", Scope("tickets:read")),)),
                prompts=NameTable((NameRule("*", Scope("tickets:read")),)),
                contents=NameTable((NameRule("file:///a*", Scope("tickets:read")),)),
                definitions=Pinning.ACCEPTED,
                record_arguments=True,
            ),
        ),
        policy=PolicyVersion("sha256:1", "permit (principal, action, resource);", AT),
        secret_hashes={ApplicationId(f"{zone_id}-a"): "hmac-sha256$x"},
        sealed_credentials={ProviderId(f"{zone_id}-p"): b"\x01\x00\xff"},
        credential_fingerprints={ProviderId(f"{zone_id}-p"): "fingerprint"},
        subject_issuers=(
            SubjectIssuer("https://b.example", "https://b.example/keys", "app"),
            SubjectIssuer("https://a.example", "https://a.example/keys?", "https://app.example"),
        ),
        tool_pins=(
            ToolPin(
                resource=ResourceId(f"{zone_id}-s"),
                tool="search",
                digest="1",
                text='{"name":"search"}',
                held="2",
                held_text='{"name":"search","title":"other"}',
                seen_at=AT,
                accepted_by="op",
            ),
            ToolPin(resource=ResourceId(f"{zone_id}-s"), tool="b", seen_at=AT),
        ),
    )
    return replace(record, **changes)


async def loaded(store, zone_id) -> ZoneRecord | None:
    return next((one for one in await store.load_all() if one.id == zone_id), None)


async def test_a_zone_comes_back_as_it_was_saved(store, zone_id):
    await store.save(zone_of(zone_id), expected_revision=0)

    assert await loaded(store, zone_id) == zone_of(zone_id)


async def test_a_zone_is_replaced_whole(store, zone_id):
    await store.save(zone_of(zone_id), expected_revision=0)
    bare = zone_of(
        zone_id,
        name="bare",
        revision=2,
        applications=(),
        providers=(),
        resources=(),
        policy=None,
        secret_hashes={},
        sealed_credentials={},
        credential_fingerprints={},
        subject_issuers=(),
        tool_pins=(),
    )
    await store.save(bare, expected_revision=1)

    assert await loaded(store, zone_id) == bare


async def test_a_zone_of_hundreds_of_parts_keeps_their_order(store, zone_id):
    applications = tuple(
        Application(ApplicationId(f"{zone_id}-{n}"), f"application {n}") for n in range(300, 0, -1)
    )
    record = zone_of(zone_id, applications=applications, secret_hashes={})
    await store.save(record, expected_revision=0)

    assert await loaded(store, zone_id) == record


@pytest.mark.parametrize("expected", [0, 2, 7])
async def test_a_zone_at_another_revision_is_not_replaced(store, zone_id, expected):
    await store.save(zone_of(zone_id), expected_revision=0)

    with pytest.raises(Unavailable):
        await store.save(zone_of(zone_id, revision=8, name="other"), expected_revision=expected)

    assert await loaded(store, zone_id) == zone_of(zone_id)


async def test_of_many_saves_at_one_revision_exactly_one_succeeds(store, zone_id):
    await store.save(zone_of(zone_id), expected_revision=0)
    outcomes = await asyncio.gather(
        *(
            store.save(zone_of(zone_id, revision=2, name=f"name {n}"), expected_revision=1)
            for n in range(6)
        ),
        return_exceptions=True,
    )

    assert outcomes.count(None) == 1
    found = await loaded(store, zone_id)
    assert found == zone_of(zone_id, revision=2, name=f"name {outcomes.index(None)}")


async def test_a_revision_never_goes_back(store, zone_id):
    with pytest.raises(ValueError, match="only grows"):
        await store.save(zone_of(zone_id, revision=3), expected_revision=3)


async def test_policy_versions_are_kept_for_ever_and_never_change(store, zone_id):
    first, second = (
        PolicyVersion(f"sha256:{n}", f"policy {n}", AT.replace(hour=n)) for n in (1, 2)
    )
    await store.save(zone_of(zone_id, policy=first), expected_revision=0)
    await store.save(zone_of(zone_id, policy=second, revision=2), expected_revision=1)
    # Back to the first, which was made when it was made.
    again = replace(first, created_at=AT.replace(hour=9))
    await store.save(zone_of(zone_id, policy=again, revision=3), expected_revision=2)

    assert await store.policy_versions(zone_id) == (first, second)
    assert (await loaded(store, zone_id)).policy == first

    changed = zone_of(zone_id, policy=replace(first, text="other"), revision=4)
    with pytest.raises(ValueError, match="never changes"):
        await store.save(changed, expected_revision=3)
    assert await store.policy_versions(zone_id) == (first, second)
    assert (await loaded(store, zone_id)).revision == 3


async def test_an_application_lives_in_one_zone_only(store, zone_id, entropy):
    await store.save(zone_of(zone_id), expected_revision=0)
    other = type(zone_id)(entropy.new_id())
    stolen = zone_of(other, applications=zone_of(zone_id).applications, secret_hashes={})

    with pytest.raises(Unavailable):
        await store.save(stolen, expected_revision=0)

    assert await loaded(store, other) is None
    assert await loaded(store, zone_id) == zone_of(zone_id)


@pytest.mark.parametrize(
    "strays",
    [
        {"secret_hashes": {ApplicationId("stray"): "hash"}},
        {"sealed_credentials": {ProviderId("stray"): b"sealed"}},
        {"credential_fingerprints": {ProviderId("stray"): "print"}},
    ],
)
async def test_a_secret_without_its_owner_is_not_silently_dropped(store, zone_id, strays):
    with pytest.raises(ValueError, match="belongs to"):
        await store.save(zone_of(zone_id, **strays), expected_revision=0)
