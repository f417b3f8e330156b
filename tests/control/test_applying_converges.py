"""Whatever a zone was before: a document applied is the zone, and applied again it changes nothing."""

import asyncio
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from caracal.authority.zones import CredentialKind
from caracal_server.control.desired_zone import desire
from caracal_server.control.document_rules import parse_document
from caracal_server.control.zone_plan import SecretChanges, plan_zone
from tests.control.world import opened

NAMES = st.sampled_from(["a", "b", "c"])
SECRETS = st.sampled_from(["a first secret of 1", "a second secret of 2"])
OPERATIONS = st.dictionaries(
    st.sampled_from(["GET /a", "GET /a/{id}", "POST /a", "GET /b/{rest*}"]),
    st.sampled_from(["a:read", "a:write"]),
)


def _provider(name):
    def spelled(kind, secret, hosts, forward):
        provider = {"name": name, "kind": kind, "allowed_hosts": hosts, "forward_identity": forward}
        if kind in {"bearer_token", "api_key", "http_basic"}:
            provider["secret"] = secret
        if kind == "api_key":
            provider["query_parameter"] = "key"
        if kind == "http_basic":
            provider["username"] = "user"
        return provider

    return st.builds(
        spelled,
        st.sampled_from([kind.value for kind in CredentialKind]),
        SECRETS,
        st.sampled_from([[], ["a.example"], ["a.example", "b.example"]]),
        st.booleans(),
    )


def _application(name):
    return st.fixed_dictionaries(
        {"name": st.just(name)},
        optional={
            "secret": SECRETS,
            "enabled": st.booleans(),
            "traits": st.lists(st.sampled_from(["a", "b", "control:invoke"]), unique=True),
            "expires_at": st.sampled_from(["2031-01-01T00:00:00Z", "2032-01-01T00:00:00+01:00"]),
        },
    )


def _issuer(name):
    return st.fixed_dictionaries(
        {
            "issuer": st.just(f"https://{name}.example"),
            "jwks_url": st.sampled_from(["https://a.example/keys", "https://b.example/keys"]),
            "audience": st.sampled_from(["app", "https://app.example/"]),
        }
    )


@st.composite
def documents(draw):
    providers = [draw(_provider(name)) for name in draw(st.sets(NAMES))]
    resources = []
    for name in draw(st.sets(NAMES)):
        resource = {
            "identifier": f"resource://{name}",
            "upstream": draw(st.sampled_from(["https://a.example", "https://a.example/v1"])),
            "operations": draw(OPERATIONS),
            "scopes": draw(st.lists(st.sampled_from(["x", "y"]), unique=True)),
            "enforcement": draw(st.sampled_from(["enforced", "transport_uniform"])),
        }
        if providers and draw(st.booleans()):
            resource["provider"] = draw(st.sampled_from(providers))["name"]
        resources.append(resource)
    return {
        "zone": "shop",
        "applications": [draw(_application(name)) for name in draw(st.sets(NAMES))],
        "providers": providers,
        "subject_issuers": [draw(_issuer(name)) for name in draw(st.sets(NAMES))],
        "resources": draw(st.permutations(resources)),
    } | draw(st.sampled_from([{}, {"policy": "permit (principal, action, resource);"}]))


def test_every_drawn_document_will_do():
    @given(documents())
    @settings(max_examples=50)
    def check(data):
        parse_document(data)

    check()


@given(st.lists(documents(), min_size=2, max_size=3))
@settings(max_examples=8)
def test_an_apply_does_what_its_plan_said_and_then_nothing(bodies):
    async def run():
        with tempfile.TemporaryDirectory() as folder:
            async with opened(Path(folder)) as world:
                for body in bodies:
                    planned = (await world.put(body, "?plan=true")).json()
                    applied = await world.applied(body)
                    assert applied["changes"] == planned["changes"]
                    record = await world.record()
                    again = await world.applied(body)
                    assert again["changes"] == []
                    assert all("secret" not in entry for entry in again["applications"])
                    assert await world.record() == record
                    _require_exact(record, parse_document(body))
                    assert world.directory.zone(record.id).revision == record.revision

    asyncio.run(run())


def _require_exact(record, document):
    """Nothing of an earlier document is left, and every secret belongs to something."""
    assert plan_zone(desire(document, record, new_id=_never), record, SecretChanges()).changes == ()
    assert record.secret_hashes.keys() == {entry.id for entry in record.applications}
    with_secret = {entry.name for entry in document.providers if entry.secret is not None}
    sealed = {entry.id for entry in record.providers if entry.name in with_secret}
    assert record.sealed_credentials.keys() == record.credential_fingerprints.keys() == sealed


def _never():
    raise AssertionError("everything has an id already")
