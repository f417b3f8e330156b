"""What `SingleUse` promises: of any number of attempts, exactly one is the first."""

import asyncio
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from caracal.authority.identifiers import ApplicationId, MandateId, RecordId, SubjectId, ZoneId
from caracal.authority.mandates import (
    MAX_LIFETIME,
    Mandate,
    MandateClass,
    Origin,
    SubjectType,
)
from caracal.authority.outcomes import Unavailable
from caracal.authority.scopes import NO_SCOPES
from caracal_server.adapters.entropy import SystemEntropy
from caracal_server.adapters.memory.single_use import SingleUseInMemory
from caracal_server.ports.single_use import Claim

START = datetime(2026, 5, 4, 3, 2, 1, 500_400, tzinfo=UTC)
ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def id_minted_at(instant: datetime, rest: str = "0" * 16) -> str:
    milliseconds = (instant - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    return "".join(ALPHABET[milliseconds >> 5 * at & 31] for at in range(9, -1, -1)) + rest


def mandate(mandate_id: str, *, issued_at=START, lifetime=timedelta(minutes=15)) -> Mandate:
    return Mandate(
        id=MandateId(mandate_id),
        zone_id=ZoneId("zone"),
        mandate_class=MandateClass.GATEWAY,
        issuer="https://issuer.example",
        subject=SubjectId("subject"),
        subject_type=SubjectType.APPLICATION,
        application_id=ApplicationId("application"),
        audience=("https://gateway.example",),
        scopes=NO_SCOPES,
        resources=(),
        record=RecordId("record"),
        root_record=RecordId("record"),
        issued_at=issued_at.replace(microsecond=0),
        expires_at=issued_at.replace(microsecond=0) + lifetime,
    )


@pytest.fixture
def single_use():
    return SingleUseInMemory(started_at=START)


async def test_of_many_attempts_exactly_one_is_the_first(single_use):
    now = START + timedelta(seconds=5)
    spent = mandate(id_minted_at(now))
    claims = await asyncio.gather(*(single_use.claim(spent, now=now) for _ in range(50)))

    assert sorted(claims) == [Claim.FIRST] + [Claim.REPLAYED] * 49


@pytest.mark.parametrize(
    ("milliseconds", "expected"), [(-1, Claim.PREDATES_START), (1, Claim.FIRST)]
)
async def test_what_holders_narrowed_is_as_old_as_what_was_minted(
    single_use, milliseconds, expected
):
    minted = START + timedelta(milliseconds=milliseconds)
    narrowed = msgspec.structs.replace(
        mandate("a" * 43, issued_at=minted),
        origins=(Origin(id_minted_at(minted), "b" * 43), Origin("c" * 43, "d" * 43)),
    )
    assert await single_use.claim(narrowed, now=START + timedelta(seconds=5)) is expected


async def test_what_this_processs_entropy_minted_can_be_spent():
    started_at = datetime.now(UTC)
    single_use, entropy = SingleUseInMemory(started_at=started_at), SystemEntropy()
    now = datetime.now(UTC)
    # The millisecond the process started in is not told apart from the one before the start.
    while now - started_at < timedelta(milliseconds=2):
        now = datetime.now(UTC)
    for _ in range(100):
        fresh = mandate(entropy.new_id(), issued_at=now)
        assert await single_use.claim(fresh, now=now) is Claim.FIRST


@pytest.mark.parametrize(
    ("minted", "claim"),
    [
        (START - timedelta(seconds=1), Claim.PREDATES_START),
        (START - timedelta(milliseconds=1), Claim.PREDATES_START),
        (START, Claim.PREDATES_START),
        (START + timedelta(milliseconds=1), Claim.FIRST),
    ],
)
async def test_a_mandate_minted_before_the_start_is_refused_to_the_millisecond(
    single_use, minted, claim
):
    presented = mandate(id_minted_at(minted), issued_at=minted)

    assert await single_use.claim(presented, now=START + timedelta(seconds=1)) is claim


@pytest.mark.parametrize("foreign", ["a-foreign-id", "9" * 26, "i" * 26, "0" * 25, "A" * 26])
async def test_an_id_without_a_time_falls_back_on_whole_seconds(single_use, foreign):
    now = START + timedelta(seconds=9)
    same_second = mandate(foreign, issued_at=START + timedelta(microseconds=300_000))
    assert await single_use.claim(same_second, now=now) is Claim.PREDATES_START

    later = mandate(foreign, issued_at=START + timedelta(seconds=1))
    assert await single_use.claim(later, now=now) is Claim.FIRST


async def test_an_expired_mandate_is_never_the_first(single_use):
    expired = mandate(id_minted_at(START + timedelta(seconds=1)))

    claim = await single_use.claim(expired, now=expired.expires_at + timedelta(minutes=2))

    assert claim is Claim.REPLAYED


async def test_memory_is_bounded_and_freed_by_expiry():
    single_use = SingleUseInMemory(started_at=START, capacity=10)
    now = START + timedelta(seconds=1)

    async def spend(number: int, now: datetime) -> Claim:
        fresh = id_minted_at(now, f"{number:016}")
        return await single_use.claim(mandate(fresh, issued_at=now), now=now)

    assert [await spend(n, now) for n in range(10)] == [Claim.FIRST] * 10
    with pytest.raises(Unavailable):
        await spend(10, now)

    later = now + timedelta(hours=1)
    assert [await spend(n, later) for n in range(20, 30)] == [Claim.FIRST] * 10
    assert len(single_use) == 10


steps = st.lists(
    st.tuples(
        st.integers(0, 30),
        st.integers(0, 400),
        st.integers(1, int(MAX_LIFETIME.total_seconds())),
    ),
    max_size=80,
)


@given(steps)
def test_an_id_is_held_until_its_mandate_has_expired(sequence):
    """However claims and time interleave, no unexpired mandate is ever the first twice."""

    async def run() -> None:
        single_use = SingleUseInMemory(started_at=START)
        now = START + timedelta(seconds=1)
        minted: dict[int, Mandate] = {}
        claimed: set[int] = set()
        for number, seconds, lifetime in sequence:
            now += timedelta(seconds=seconds)
            fresh = mandate(
                id_minted_at(now, f"{number:016}"),
                issued_at=now,
                lifetime=timedelta(seconds=lifetime),
            )
            presented = minted.setdefault(number, fresh)
            if presented.expires_at <= now:
                continue
            claim = await single_use.claim(presented, now=now)
            assert claim is (Claim.REPLAYED if number in claimed else Claim.FIRST)
            claimed.add(number)

    asyncio.run(run())
