"""Who asks is proven by a secret, failures are held off, and secrets are seen nowhere."""

import time
from dataclasses import replace
from datetime import timedelta

import pytest
import structlog

from caracal.authority.events import Verdict
from caracal.tokens.client_secrets import generated_secret, hash_generated
from caracal.tokens.secret import Secret
from caracal_server.ports.zones import RetiringSecret
from caracal_server.sts.settings import StsSettings
from tests.sts.world import sts
from tests.support.zone import ALPHA, BETA, OTHER_ZONE, PEPPER, SECRETS, record

WRONG = "cs_" + "w" * 43
BROUGHT = Secret("correct horse battery staple")


async def test_a_secret_that_a_person_brought_proves_its_application():
    async with sts() as world:
        hashed = await world.argon2.hash(BROUGHT)
        world.zone.install(record(secrets={ALPHA: hashed}))
        assert (await world.mint(client_secret=BROUGHT.reveal())).status == 200
        assert (await world.mint(client_secret="incorrect")).error[2] == "client_secret_wrong"


async def test_a_secret_before_proves_its_application_until_the_overlap_ends():
    async with sts() as world:
        before, hashed = SECRETS[ALPHA], record().secret_hashes[ALPHA]
        renewed = generated_secret(b"r" * 32)
        until = world.zone.clock.now() + timedelta(seconds=30)
        world.zone.install(
            replace(
                record(secrets={ALPHA: hash_generated(renewed, PEPPER)}),
                retiring_secrets={ALPHA: RetiringSecret(hashed, until)},
            )
        )
        for secret in (before, renewed):
            assert (await world.mint(client_secret=secret.reveal())).status == 200
        assert (await world.mint(client_secret=WRONG)).error[2] == "client_secret_wrong"
        world.zone.clock.move(seconds=30)
        answer = await world.mint(client_secret=before.reveal())
        assert answer.error[2] == "client_secret_wrong"
        assert (await world.mint(client_secret=renewed.reveal())).status == 200


async def test_a_stored_secret_that_can_not_be_read_proves_nobody():
    async with sts() as world:
        for stored in ("sha1$abc", "hmac-sha256$short", "argon2id$nonsense"):
            world.zone.install(record(secrets={ALPHA: stored}))
            assert (await world.mint()).error[2] == "client_secret_wrong"


async def test_too_many_failures_hold_an_application_off_for_as_long_as_is_said():
    async with sts(max_failures=3) as world:
        for _ in range(3):
            assert (await world.mint(client_secret=WRONG)).error[0] == 401
        answer = await world.mint(client_secret=WRONG)
        assert answer.error == (429, "provider_rate_limited", "client_throttled")
        assert answer.header("retry-after") == "60"
        world.zone.clock.move(seconds=20)
        answer = await world.mint(client_secret=WRONG)
        assert (answer.status, answer.header("retry-after")) == (429, "40")
        # Held off, a failure is no news: the one that crossed the line is the last on record.
        assert len(world.decisions) == 4
        other = await world.mint(application_id=BETA, client_secret=WRONG)
        assert other.error[0] == 401
        world.zone.clock.move(seconds=41)
        assert (await world.mint(client_secret=WRONG)).error[0] == 401


async def test_nobody_can_lock_out_an_application_whose_secret_can_not_be_guessed():
    async with sts(max_failures=1) as world:
        for _ in range(5):
            await world.mint(client_secret=WRONG)
        assert (await world.mint(client_secret=WRONG)).status == 429
        assert (await world.mint()).status == 200


async def test_a_held_off_application_costs_no_slow_hash():
    async with sts(max_failures=1) as world:
        world.zone.install(record(secrets={ALPHA: await world.argon2.hash(BROUGHT)}))
        for _ in range(2):
            await world.mint(client_secret="incorrect")
        world.argon2.close()  # from here on, hashing would fail
        assert (await world.mint(client_secret=BROUGHT.reveal())).status == 429


async def test_the_right_secret_in_the_wrong_zone_counts_as_no_guess():
    async with sts(max_failures=1) as world:
        for _ in range(5):
            assert (await world.mint(zone_id=OTHER_ZONE)).error[2] == "client_zone_mismatch"


async def test_a_flood_of_failures_is_recorded_within_bounds_and_then_summed_up():
    async with sts() as world:
        for number in range(300):
            await world.mint(application_id=f"app-{number}", client_secret=WRONG)
        assert len(world.decisions) == 20
        assert world.registry.get_sample_value("caracal_sts_refusals_unrecorded_total") == 280
        assert (await world.mint()).status == 200
        assert world.decisions[-1].verdict is Verdict.ALLOW
        world.zone.clock.move(seconds=2)
        await world.mint(client_secret=WRONG)
        assert "280 refusals before this one were not recorded" in world.decisions[-1].detail


async def test_a_failure_waits_for_no_disk():
    async with sts() as world:
        world.log.fails, world.log.full = "before", True
        assert (await world.mint(client_secret=WRONG)).error[2] == "client_secret_wrong"
        assert world.registry.get_sample_value("caracal_sts_refusals_unrecorded_total") == 1


async def test_an_unknown_application_takes_as_long_as_a_known_one():
    async with sts(max_failures=10_000) as world:

        async def fastest(**changes: str) -> float:
            best = 1.0
            for _ in range(50):
                before = time.perf_counter()
                await world.mint(client_secret=WRONG, **changes)
                best = min(best, time.perf_counter() - before)
            return best

        known, unknown = await fastest(), await fastest(application_id="app-none")
        assert 1 / 3 < known / unknown < 3


async def test_a_secret_is_in_no_log_no_entry_and_no_answer():
    secret = SECRETS[ALPHA].reveal()
    with structlog.testing.capture_logs() as logs:
        async with sts() as world:
            answers = [await world.mint(), await world.mint(client_secret=WRONG)]
            answers.append(await world.mint(client_secret=secret, zone_id=OTHER_ZONE))
            world.log.fails = "oddly"
            answers.append(await world.mint())
            world.log.fails = "before"
            answers.append(await world.mint())
            token = answers[0].json["access_token"]
            shown = f"{logs} {world.log.entries} {answers[1:]}"
    assert logs
    for hidden in (secret, WRONG, token, "a secret in an exception"):
        assert hidden not in shown
    assert secret.encode() not in answers[0].body


@pytest.mark.parametrize(
    "wrong",
    [
        {"issuer": ""},
        {"issuer": "https://caracal.example/"},
        {"max_failures": 0},
        {"max_failures": 10_001},
        {"max_form_bytes": 1023},
        {"max_form_bytes": 1024 * 1024 + 1},
        {"max_in_flight": 0},
    ],
)
def test_a_setting_out_of_bounds_is_refused_by_name(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        StsSettings(**({"issuer": "https://caracal.example"} | wrong))
