"""What an agent's author writes; the types that their checker is to find are stated."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import assert_type

import httpx

import caracal
from caracal import AsyncCaracal, Caracal
from caracal.authority.mandates import Mandate as VerifiedMandate
from caracal.sdk import (
    AsyncSession,
    CaracalError,
    Configuration,
    Delegation,
    Mandate,
    NarrowableMandate,
    Secret,
    Session,
)
from caracal.verify import UNTIL_EXPIRY, AsyncVerifier, NotVerified, Principal, Verifier
from caracal.verify.refusals import Code

assert_type(caracal.Caracal.from_env(), Caracal)


def agent(configuration: Configuration, environment: Mapping[str, str]) -> None:
    assert_type(Caracal.from_env(environment), Caracal)
    with Caracal(configuration) as client:
        assert_type(client, Caracal)
        with client.session(scopes=["a:read"], ttl=timedelta(minutes=1)) as session:
            assert_type(session, Session)
            mandate = session.mandate("resource://a", ["a:read"])
            assert_type(mandate, Mandate)
            assert_type(mandate.token, Secret)
            assert_type(session.narrowable("resource://a"), NarrowableMandate)
            handed = session.delegate(
                "id", to_application="id", resources=[], scopes=[], ttl=timedelta(minutes=1)
            )
            assert_type(handed, Delegation)
            with httpx.Client(transport=session.transport("resource://a")) as http:
                http.get("/")


async def task(configuration: Configuration) -> None:
    async with AsyncCaracal(configuration) as client, client.session() as session:
        assert_type(session, AsyncSession)
        assert_type(await session.mandate("resource://a", ["a:read"]), Mandate)
        async with httpx.AsyncClient(transport=session.transport("resource://a")) as http:
            await http.get("/")


def server(header: str | None) -> Principal:
    verifier = Verifier(
        issuer="https://caracal.example",
        audience="resource://a",
        zone_id="01J00000000000000000000000",
        revocations=UNTIL_EXPIRY,
        scopes=["a:read"],
    )
    assert_type(verifier.require(max_hops=1), Verifier)
    try:
        principal = verifier.authorize(header)
    except NotVerified as refused:
        assert_type(refused.code, Code)
        assert_type(refused.retry_after, int | None)
        raise
    assert_type(principal, Principal)
    assert_type(principal.scopes, frozenset[str])
    assert_type(principal.session_id, str | None)
    assert_type(principal.expires_at, datetime)
    assert_type(principal.mandate, VerifiedMandate)
    return principal


async def served(verifier: AsyncVerifier, token: str) -> None:
    assert_type(await verifier.verify(token), Principal)


def told(error: CaracalError) -> tuple[str, float | None]:
    return error.fix, error.retry_after
