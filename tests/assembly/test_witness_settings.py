"""A policy that can not be used keeps a server from starting, and says where it is wrong."""

from contextlib import AsyncExitStack

import pytest

from caracal_server.assembly.settings import SettingInvalid, read_settings
from caracal_server.assembly.witnesses import witnesses
from tests.evidence.witnesses import witness

KEY = witness(1)[0].render()
USABLE = f"witness a {KEY} https://w.example\nquorum a\n"


async def made(tmp_path, policy: str | None = USABLE, **given: str):
    if policy is not None:
        file = tmp_path / "policy"
        file.write_text(policy)
        given["CARACAL_WITNESS_POLICY_FILE"] = str(file)
    async with AsyncExitStack() as stack:
        return witnesses(read_settings(given), stack)


async def test_without_a_policy_nobody_is_asked(tmp_path):
    assert await made(tmp_path, None) is None


async def test_what_is_set_is_what_holds(tmp_path):
    found, _ = await made(tmp_path)
    assert (found.required, found.refusing, found.stale.total_seconds()) == (False, False, 60)
    more = {
        "CARACAL_WITNESS_MODE": "require",
        "CARACAL_WITNESS_REFUSE": "true",
        "CARACAL_WITNESS_STALE_SECONDS": "7",
    }
    found, _ = await made(tmp_path, **more)
    assert (found.required, found.refusing, found.stale.total_seconds()) == (True, True, 7)


@pytest.mark.parametrize(
    ("policy", "given", "what"),
    [
        (None, {"CARACAL_WITNESS_MODE": "require"}, "needs CARACAL_WITNESS_POLICY_FILE"),
        (USABLE, {"CARACAL_WITNESS_MODE": "maybe"}, "report or require"),
        (USABLE, {"CARACAL_WITNESS_REFUSE": "true"}, "needs CARACAL_WITNESS_MODE=require"),
        (USABLE + "quorum a\n", {}, "line 3: a second quorum"),
        (f"witness a {KEY}\nquorum a\n", {}, "no URL for the witness 'a'"),
    ],
)
async def test_what_can_not_hold_is_refused(tmp_path, policy, given, what):
    with pytest.raises(SettingInvalid, match=what):
        await made(tmp_path, policy, **given)
