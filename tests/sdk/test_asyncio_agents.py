"""The client for asyncio does what the one for threads does, in one event loop."""

import asyncio
from datetime import timedelta

import httpx
import pytest

from caracal import AsyncCaracal
from caracal.sdk import AccessDenied, DelegationEnded, LeaseLost, SessionEnded, UnexpectedAnswer
from tests.sdk.breaking import breaking_proxy
from tests.sdk.clients import configured, live_sessions, status
from tests.support.deployment import API, READ, WRITE

MINUTE = timedelta(minutes=1)
QUICK = timedelta(seconds=0.05)


async def test_a_session_calls_and_narrows_and_ends(acaracal, zone):
    async with acaracal.session(scopes=[READ, WRITE], resources=[API], max_hops=2) as outer:
        async with acaracal.session(scopes=[READ], resources=[API]) as inner:
            async with httpx.AsyncClient(transport=inner.transport(API)) as http:
                assert (await http.get("/json")).status_code == 200
            with pytest.raises(AccessDenied):
                await inner.mandate(API, [WRITE])
        assert status(zone, inner.id) == "terminated"
        assert (await outer.mandate(API)).scopes.render() == f"{READ} {WRITE}"
    assert live_sessions(zone) == set()
    with pytest.raises(SessionEnded):
        await outer.mandate(API)


async def test_many_requests_share_one_transport(acaracal, zone):
    receipts: list[str] = []
    transport = acaracal.transport(API, scopes=[READ], receipts=receipts)
    async with httpx.AsyncClient(transport=transport) as http:
        answers = await asyncio.gather(*(http.get("/json") for _ in range(8)))
        assert {answer.status_code for answer in answers} == {200}
        assert len(live_sessions(zone)) == 2
        with pytest.raises(AccessDenied):
            await http.post("/json")
    assert live_sessions(zone) == set()
    assert len(set(receipts)) == 9
    assert (await acaracal.receipt(receipts[0])).entry


async def test_what_is_delegated_is_accepted(acaracal, zone):
    async with (
        AsyncCaracal(configured(zone, "helper")) as helper,
        helper.session() as theirs,
        acaracal.session() as ours,
    ):
        handed = await ours.delegate(
            theirs.id,
            to_application=theirs.application_id,
            resources=[API],
            scopes=[READ],
            ttl=MINUTE,
        )
        acting = await theirs.accept(handed.id)
        assert await acting.mandate(API)
        await ours.revoke(handed.id)
        with pytest.raises(DelegationEnded):
            await theirs.accept(handed.id)
        await ours.end()
        assert status(zone, ours.id) == "terminated"


async def test_a_cancelled_task_ends_its_session(acaracal, zone):
    begun = asyncio.Event()

    async def work():
        async with acaracal.session():
            begun.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await begun.wait()
    assert live_sessions(zone)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert live_sessions(zone) == set()


async def test_a_service_is_kept_alive_until_it_is_taken_over(acaracal, zone):
    lost = asyncio.Queue()
    async with (
        AsyncCaracal(configured(zone)) as successor,
        acaracal.service(heartbeat_every=QUICK, when_lost=lost.put_nowait) as service,
        acaracal.session(scopes=[READ], resources=[API]) as task,
    ):
        assert await task.mandate(API)
        async with successor.attach(service.id) as taken:
            assert taken.id == service.id
            assert isinstance(await asyncio.wait_for(lost.get(), 10), LeaseLost)
            assert isinstance(service.lost, LeaseLost)
            with pytest.raises(LeaseLost):
                await task.mandate(API)
            assert status(zone, service.id) == "active"
        assert status(zone, service.id) == "terminated"


async def test_heartbeats_that_do_not_come_through_are_followed_by_more(zone):
    with breaking_proxy(zone.deployment.running.control) as proxy:
        busy = b"HTTP/1.1 400 No\r\nContent-Length: 2\r\n\r\n{}"
        failing = [1, 2, 3]
        proxy.answers = lambda line: (
            busy if "heartbeat" in line and failing and failing.pop() else None
        )
        client = AsyncCaracal(configured(zone, sts_url=proxy.url))
        async with client, client.service(heartbeat_every=QUICK) as service:
            began = service.standing.lease_until
            async with asyncio.timeout(10):
                while service.standing.lease_until == began:
                    await asyncio.sleep(0.01)
            assert service.lost is None
    assert not failing


async def test_a_user_signs_in(deployment, provider):
    zone = deployment.zone(subject_issuers=[provider.trust])
    async with AsyncCaracal(configured(zone)) as client:
        user = await client.sign_in(provider.token("ben"), lifetime=MINUTE * 5)
        async with client.session(scopes=[READ], resources=[API], user=user) as session:
            assert await session.mandate(API)


async def test_a_gateway_that_is_none_is_not_believed(zone, upstream):
    async with AsyncCaracal(configured(zone, gateway_url=upstream.url)) as client:
        transport = client.transport(API, scopes=[READ])
        async with httpx.AsyncClient(transport=transport) as http:
            with pytest.raises(UnexpectedAnswer):
                await http.get("/json")
        with pytest.raises(SessionEnded):
            await transport.handle_async_request(httpx.Request("GET", "http://x/"))
