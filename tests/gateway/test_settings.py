"""What an operator sets about the Gateway is checked at the start."""

from datetime import timedelta

import pytest

from caracal_server.gateway.settings import GatewaySettings


@pytest.mark.parametrize(
    "wrong",
    [
        {"issuer": ""},
        {"issuer": "https://caracal.example/"},
        {"minimum_remaining": timedelta(seconds=-1)},
        {"minimum_remaining": timedelta(seconds=601)},
        {"max_request_bytes": 0},
        {"max_inspected_bytes": 1023},
        {"max_header_bytes": 1023},
        {"max_in_flight": 0},
        {"caller_idle": timedelta()},
    ],
)
def test_a_setting_out_of_bounds_is_refused_by_name(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        GatewaySettings(**({"issuer": "https://caracal.example"} | wrong))
