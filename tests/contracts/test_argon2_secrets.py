"""Secrets that people brought are verified slowly once, then known for an hour."""

import asyncio
from datetime import timedelta

import pytest

from caracal.authority.outcomes import Reason, Unavailable
from caracal.tokens.secret import Secret
from caracal_server.adapters import argon2_secrets
from caracal_server.adapters.argon2_secrets import MAX_SECRET_BYTES, MAX_WAITING, Argon2Secrets
from tests.contracts.test_zone_signing_keys import SetClock


@pytest.fixture
def clock():
    return SetClock()


@pytest.fixture
def secrets(clock, entropy):
    made = Argon2Secrets(clock, entropy)
    yield made
    made.close()


async def test_a_secret_matches_its_own_hash_and_no_other(secrets):
    stored = await secrets.hash(Secret("correct horse"))

    assert stored.startswith("argon2id$v=19$m=19456,t=2,p=1$")
    assert await secrets.verify(stored, Secret("correct horse"))
    assert not await secrets.verify(stored, Secret("correct horsE"))
    assert not await secrets.verify(stored, Secret(""))


async def test_two_hashes_of_one_secret_differ(secrets):
    assert await secrets.hash(Secret("same")) != await secrets.hash(Secret("same"))


@pytest.mark.parametrize("stored", ["", "argon2id$", "argon2id$v=19$m=1$x", "hmac-sha256$x", "x"])
async def test_what_is_no_slow_hash_matches_nothing(secrets, stored):
    assert not await secrets.verify(stored, Secret("any"))


async def test_a_secret_that_is_too_long_costs_nothing(secrets):
    stored = await secrets.hash(Secret("x" * MAX_SECRET_BYTES))
    assert await secrets.verify(stored, Secret("x" * MAX_SECRET_BYTES))

    with pytest.raises(ValueError, match="1024 bytes"):
        await secrets.hash(Secret("x" * (MAX_SECRET_BYTES + 1)))
    assert not await secrets.verify(stored, Secret("x" * (MAX_SECRET_BYTES + 1)))


async def test_a_verified_secret_is_known_for_an_hour_and_a_wrong_one_never(secrets, clock):
    stored = await secrets.hash(Secret("right"))
    await secrets.verify(stored, Secret("right"))
    # Without threads only what is known already can be verified.
    secrets.close()

    assert await secrets.verify(stored, Secret("right"))
    with pytest.raises(RuntimeError):
        await secrets.verify(stored, Secret("wrong"))
    clock.instant += argon2_secrets.CACHE_TTL - timedelta(seconds=1)
    assert await secrets.verify(stored, Secret("right"))
    clock.instant += timedelta(seconds=1)
    with pytest.raises(RuntimeError):
        await secrets.verify(stored, Secret("right"))


async def test_a_replaced_secret_is_forgotten_with_its_hash(secrets):
    old, new = [await secrets.hash(Secret(text)) for text in ("old", "new")]
    await secrets.verify(old, Secret("old"))

    assert not await secrets.verify(new, Secret("old"))


async def test_too_many_at_once_are_turned_away_and_the_rest_is_served(secrets):
    stored = await secrets.hash(Secret("right"))
    outcomes = await asyncio.gather(
        *(secrets.verify(stored, Secret(f"wrong {n}")) for n in range(MAX_WAITING + 6)),
        return_exceptions=True,
    )

    refused = [outcome for outcome in outcomes if isinstance(outcome, Unavailable)]
    assert [outcome.reason for outcome in refused] == [Reason.OVERLOADED] * 6
    assert outcomes.count(False) == MAX_WAITING
    assert await secrets.verify(stored, Secret("right"))


async def test_the_event_loop_runs_on_while_secrets_are_checked(secrets):
    stored = await secrets.hash(Secret("right"))
    checking = asyncio.create_task(secrets.verify(stored, Secret("wrong")))
    turns = 0
    while not checking.done():
        await asyncio.sleep(0)
        turns += 1

    assert turns > 10
    assert not checking.result()
