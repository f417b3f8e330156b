"""A peer listener answers who proves to be a peer, and each only what its role needs."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import pytest

from caracal.authority.events import ENTRY_FORMAT, Entry, Kind
from caracal.authority.outcomes import Unavailable
from caracal.wire.upstream_url import UpstreamUrl
from caracal_server.adapters.clock import SystemClock
from caracal_server.adapters.entropy import SystemEntropy
from caracal_server.adapters.http.client import PooledUpstreamClient
from caracal_server.adapters.http.egress import EgressGuard, PrivateEgress
from caracal_server.adapters.peers.channel import PeerChannel
from caracal_server.adapters.peers.keys import PeerKeys
from caracal_server.ports.upstream import UpstreamTimeouts
from caracal_server.web.peers.messages import Done, EvidenceBatch, Recorded, encode
from caracal_server.web.peers.proofs import (
    WINDOW_US,
    Claim,
    SeenRequests,
    digest_of,
    render_claim,
    request_mac,
)
from caracal_server.web.peers.services import PERMISSIONS, Ask, Service
from tests.support.apart import Apart, provision
from tests.support.raw_http import head, send_raw

QUICK = UpstreamTimeouts(total=timedelta(seconds=20))


@pytest.fixture
async def client() -> AsyncIterator[PooledUpstreamClient]:
    client = PooledUpstreamClient(EgressGuard(PrivateEgress.parse("127.0.0.1")), timeouts=QUICK)
    yield client
    await client.aclose()


def keys_of(services: Apart, service: Service) -> PeerKeys:
    data = services[service].data
    return PeerKeys.load(service, data / "keys" / "peer.key", data / "peers")


def channel(
    services: Apart,
    client: PooledUpstreamClient,
    me: Service,
    peer: Service,
    key: bytes | None = None,
) -> PeerChannel:
    return PeerChannel(
        me=me,
        peer=peer,
        key=keys_of(services, me).sending[peer] if key is None else key,
        url=UpstreamUrl.parse(f"http://127.0.0.1:{services[peer].peer}"),
        client=client,
        clock=SystemClock(),
        entropy=SystemEntropy(),
    )


FORBIDDEN = [
    (caller, ask)
    for ask, permission in PERMISSIONS.items()
    for caller in Service
    if caller not in permission.callers and caller is not permission.of
]


@pytest.mark.parametrize(("caller", "ask"), FORBIDDEN)
async def test_a_service_is_not_answered_what_its_role_does_not_need(services, client, caller, ask):
    peer = PERMISSIONS[ask].of
    with pytest.raises(Unavailable, match=f"{caller} may not ask for {ask}"):
        await channel(services, client, caller, peer).ask(ask, Done(), Done)


async def test_a_gateway_can_neither_read_nor_add_signing_keys_nor_end_what_an_application_holds():
    for ask in (
        Ask.LOAD_SIGNING_KEYS,
        Ask.ADD_SIGNING_KEY,
        Ask.ROTATE_ZONE_KEY,
        Ask.REMOVE_APPLICATION,
    ):
        assert (Service.GATEWAY, ask) in FORBIDDEN


async def test_a_service_records_only_what_is_its_own_to_record(services, client):
    audit = channel(services, client, Service.GATEWAY, Service.AUDIT)
    entry = Entry(format=ENTRY_FORMAT, kind=Kind.EXCHANGE, zone="system", at=1, request="forged")
    with pytest.raises(Unavailable, match="gateway may not record exchange"):
        await audit.ask(Ask.APPEND_EVIDENCE, EvidenceBatch((entry,)), Recorded)


async def test_a_wrong_key_is_not_accepted(services, client):
    control = channel(services, client, Service.STS, Service.CONTROL, key=bytes(32))
    with pytest.raises(Unavailable, match="does not accept who asks"):
        await control.ask(Ask.LOAD_SIGNING_KEYS, Done(), Done)


async def test_the_key_for_one_peer_is_not_accepted_by_another(services, client):
    key = keys_of(services, Service.STS).sending[Service.AUDIT]
    control = channel(services, client, Service.STS, Service.CONTROL, key=key)
    with pytest.raises(Unavailable, match="does not accept who asks"):
        await control.ask(Ask.LOAD_SIGNING_KEYS, Done(), Done)


async def test_keys_of_another_deployment_are_not_accepted(services, client, tmp_path):
    provision(tmp_path / "other")
    data = tmp_path / "other" / "sts"
    keys = PeerKeys.load(Service.STS, data / "keys" / "peer.key", data / "peers")
    control = channel(
        services, client, Service.STS, Service.CONTROL, key=keys.sending[Service.CONTROL]
    )
    with pytest.raises(Unavailable, match="does not accept who asks"):
        await control.ask(Ask.LOAD_SIGNING_KEYS, Done(), Done)


class Asking:
    """One question of the STS to Control as bytes, to be sent as they are or changed."""

    def __init__(self, services: Apart) -> None:
        self.url = f"http://127.0.0.1:{services['control'].peer}"
        self.key = keys_of(services, Service.STS).sending[Service.CONTROL]
        self.path = Ask.LOAD_SIGNING_KEYS.path
        self.at_us = SystemClock().now_us()
        self.nonce = SystemEntropy().token_bytes(16).hex().encode()
        self.caller = Service.STS

    def send(self, *, path: str | None = None, body: bytes | None = None, **headers: str) -> int:
        said = encode(Done())
        digest = digest_of(said)
        mac = request_mac(
            self.key, self.caller, Service.CONTROL, self.path, self.at_us, self.nonce, digest
        )
        claim = render_claim(Claim(self.caller, self.at_us, self.nonce, digest, mac)).decode()
        answer = httpx.post(
            self.url + (path or self.path),
            content=said if body is None else body,
            headers={"caracal-peer": claim} | headers,
            trust_env=False,
        )
        if answer.status_code == 401:
            assert answer.json() == {"error": "unproven"}
        return answer.status_code


@pytest.fixture
def asking(services) -> Asking:
    return Asking(services)


def test_a_question_is_answered_once(asking):
    assert asking.send() == 200
    assert asking.send() == 401


def test_a_proof_is_good_for_no_other_path_and_no_other_body(asking):
    assert asking.send(path=Ask.ADD_SIGNING_KEY.path) == 401
    assert asking.send(path=f"{asking.path}?") == 200  # an empty query is no query
    assert asking.send(body=b'{"other":1}') == 401


@pytest.mark.parametrize("seconds", [-31, 31])
def test_a_question_from_too_far_away_in_time_is_not_answered(asking, seconds):
    asking.at_us += seconds * 1_000_000
    assert abs(seconds) * 1_000_000 > WINDOW_US
    assert asking.send() == 401


@pytest.mark.parametrize(
    "header",
    [
        "",
        "1",
        "1 sts 1 00 00",
        "1 sts 1 " + "0" * 32 + " " + "0" * 64,
        "2 sts 1 " + "0" * 32 + " " + "0" * 64 + " " + "0" * 64,
        "1 nobody 1 " + "0" * 32 + " " + "0" * 64 + " " + "0" * 64,
    ],
)
def test_whoever_proves_nothing_learns_nothing(asking, header):
    assert asking.send(**{"caracal-peer": header}) == 401


def test_nothing_of_an_unproven_question_is_waited_for(services):
    answer = send_raw(
        f"http://127.0.0.1:{services['control'].peer}",
        head(
            f"POST {Ask.LOAD_SIGNING_KEYS.path} HTTP/1.1",
            "Host: control",
            "Content-Length: 1000000",
            "caracal-peer: 1 sts 1 " + "0" * 32 + " " + "0" * 64 + " " + "0" * 64,
        ),
    )
    assert answer.statuses == [401]
    assert answer.closed


async def test_what_was_asked_of_the_run_before_is_not_answered_by_the_next():
    clock = SystemClock()
    seen = SeenRequests(clock.now_us())
    before = Claim(Service.STS, clock.now_us() - 1_000_000, b"0" * 32, b"0" * 64, b"0" * 64)
    assert not seen.timely(before, clock.now_us())
    assert not seen.first(before, clock.now_us())


def test_nobody_speaks_as_the_one_that_is_asked(asking):
    asking.caller = Service.CONTROL
    assert asking.send() == 401


def test_the_public_listeners_answer_no_peer(services):
    for service in services.services.values():
        for ask in Ask:
            answer = httpx.post(service.url + ask.path, json={}, trust_env=False)
            assert answer.status_code >= 400, (service.service, ask)


def test_no_log_holds_a_proof_or_a_key(services):
    logs = services.logs()
    assert not re.search(r"[0-9a-f]{64} *$", logs, re.MULTILINE)
    assert "caracal-peer" not in logs
