"""Settings are refused by name when they are out of bounds."""

from datetime import timedelta
from typing import Any

import pytest

from caracal_server.coordinator.settings import CoordinatorSettings
from tests.coordinator.world import ISSUER


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"issuer": ""}, "issuer"),
        ({"issuer": "https://caracal.example/"}, "issuer"),
        ({"request_timeout": timedelta(milliseconds=999)}, "request_timeout"),
        ({"request_timeout": timedelta(seconds=301)}, "request_timeout"),
        ({"max_body_bytes": 1023}, "max_body_bytes"),
        ({"max_body_bytes": 1024 * 1024 + 1}, "max_body_bytes"),
        ({"receipt_retention": timedelta(minutes=59)}, "retention"),
        ({"generated_receipt_retention": timedelta(days=91)}, "retention"),
        ({"max_receipts": 0}, "max_receipts"),
        ({"max_receipts": 1_000_001}, "max_receipts"),
        ({"sweep_interval": timedelta(milliseconds=9)}, "sweep_interval"),
        ({"sweep_interval": timedelta(milliseconds=1001)}, "sweep_interval"),
        ({"sweep_limit": 0}, "sweep_limit"),
        ({"sweep_limit": 100_001}, "sweep_limit"),
    ],
)
def test_a_setting_out_of_bounds_is_named(wrong: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        CoordinatorSettings(**({"issuer": ISSUER} | wrong))
    assert CoordinatorSettings(ISSUER).sweep_interval <= timedelta(seconds=1)
