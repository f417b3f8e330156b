"""What traits make of an application, and that a slip in one is never without effect."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caracal.authority.control_keys import (
    ControlKey,
    InvalidTrait,
    control_key,
    decide_control,
)
from caracal.authority.outcomes import Reason, Refused
from caracal.authority.scopes import ScopeSet
from caracal.authority.zones import Application

READ = "control:scope:control:zone:read"


def test_an_application_without_control_traits_is_no_control_key():
    assert control_key(()) is None
    assert control_key(("team:blue", "controls")) is None


def test_traits_say_what_a_control_key_may_ask_for():
    key = control_key(
        (
            "team:blue",
            "control:invoke",
            READ,
            "control:max-ttl:60",
            "control:expires:2030-01-31T12:00:00Z",
        )
    )
    assert key == ControlKey(
        ScopeSet.of("control:zone:read"),
        timedelta(seconds=60),
        datetime(2030, 1, 31, 12, tzinfo=UTC),
    )
    bare = control_key(("control:invoke",))
    assert bare == ControlKey(ScopeSet.of(), timedelta(seconds=900))
    assert control_key(("control:invoke", "control:max-ttl:900")) == bare


@pytest.mark.parametrize(
    "traits",
    [
        (READ,),
        ("control:max-ttl:60",),
        ("caracal.sys:operator",),
        ("control:invoke", "control:invok"),
        ("control:invoke", "control:"),
        ("control:invoke", "control:scope:orders:read"),
        ("control:invoke", "control:scope:"),
        ("control:invoke", "control:scope:control:" + "x" * 121),
        *(
            ("control:invoke", f"control:max-ttl:{text}")
            for text in ("59", "901", "", "1e2", "-60")
        ),
        *(
            ("control:invoke", f"control:expires:{text}")
            for text in ("", "2030-01-31", "2030-02-30T12:00:00Z", "2030-01-31T12:00:00+01:00")
        ),
        ("control:invoke", "control:max-ttl:60", "control:max-ttl:61"),
        (
            "control:invoke",
            "control:expires:2030-01-31T12:00:00Z",
            "control:expires:2031-01-31T12:00:00Z",
        ),
    ],
)
def test_a_slip_is_refused(traits):
    with pytest.raises(InvalidTrait):
        control_key(traits)


KEY = Application(
    "a",
    "ci",
    traits=("control:invoke", READ, "control:max-ttl:300", "control:expires:2030-01-01T00:00:00Z"),
)
BEFORE = datetime(2029, 12, 31, 23, 59, 59, tzinfo=UTC)


def decided(caller=KEY, scopes="control:zone:read", seconds=None, now=BEFORE):
    lifetime = None if seconds is None else timedelta(seconds=seconds)
    outcome = decide_control(caller, ScopeSet.parse(scopes), lifetime, now=now)
    return outcome.reason if isinstance(outcome, Refused) else (outcome - now).total_seconds()


def test_a_control_key_gets_what_its_traits_name_for_as_long_as_they_say():
    assert decided() == 300
    assert decided(seconds=60) == 60
    assert decided(seconds=3600) == 300
    unlimited = Application("a", "ci", traits=("control:invoke", READ))
    assert decided(unlimited) == 900


def test_a_control_key_gets_nothing_else():
    assert decided(scopes="control:zone:read control:zone:write") is Reason.CONTROL_SCOPE_EXCEEDED
    assert decided(scopes="") is Reason.SCOPE_MISSING
    assert decided(seconds=3601) is Reason.LIFETIME_TOO_LONG
    assert decided(now=BEFORE + timedelta(seconds=1)) is Reason.CONTROL_KEY_EXPIRED
    assert decided(Application("a", "agent")) is Reason.CONTROL_KEY_REQUIRED
    spoilt = Application("a", "ci", traits=(*KEY.traits, "control:no-such-limit"))
    assert decided(spoilt) is Reason.CONTROL_KEY_REQUIRED


_parts = st.sampled_from(
    ["control:", "scope:", "max-ttl:", "expires:", "invoke", "60", "2030-01-01T00:00:00Z", "x"]
)


@given(st.lists(st.lists(_parts, max_size=4).map("".join), max_size=4))
@settings(max_examples=100)
def test_whatever_the_traits_a_key_asks_for_control_scopes_only(traits):
    try:
        key = control_key(tuple(traits))
    except InvalidTrait:
        return
    if key is not None:
        assert "control:invoke" in traits
        assert all(scope.startswith("control:") for scope in key.scopes)
        assert key.max_lifetime <= timedelta(seconds=900)
