"""Settings are read once, checked, and documented."""

from datetime import timedelta

import pytest

from caracal_server.assembly.settings import SETTINGS, SettingInvalid, read_settings
from tools.generate_settings import PAGE, render


def test_every_setting_has_a_default_that_is_valid():
    assert set(read_settings({})) == {setting.name for setting in SETTINGS}


def test_the_table_in_the_operations_page_is_current():
    page = PAGE.read_text(encoding="utf-8")
    assert render(page) == page
    assert all(setting.variable in page for setting in SETTINGS)


@pytest.mark.parametrize(
    ("variable", "value", "allowed"),
    [
        ("CARACAL_MAX_IN_FLIGHT", "0", "whole number from 1"),
        ("CARACAL_MAX_IN_FLIGHT", "many", "whole number from 1"),
        ("CARACAL_MINIMUM_REMAINING_SECONDS", "601", "seconds from 0 to 600"),
        ("CARACAL_MINIMUM_REMAINING_SECONDS", "soon", "seconds from 0 to 600"),
        ("CARACAL_TRUST_FORWARDED", "yes", "true or false"),
        ("CARACAL_ISSUER", "https://caracal.example/", "without a trailing slash"),
        ("CARACAL_ISSUER", "caracal.example", "an http(s) URL"),
        ("CARACAL_CA_FILE", "/nowhere/ca.pem", "a file that exists"),
        ("CARACAL_LOG_FORMAT", "xml", "text or json"),
        ("CARACAL_PRIVATE_EGRESS_HOSTS", "10.0.0.0/99", "10.0.0.0/99"),
        # With a colon it could be a resource of a zone, too.
        ("CARACAL_CONTROL_AUDIENCE", "urn:control", "letters, digits and . _ -"),
        ("CARACAL_LOG_ORIGIN", "two words", "a host"),
    ],
)
def test_a_value_that_can_not_be_used_is_named_with_what_can(variable, value, allowed):
    with pytest.raises(SettingInvalid) as caught:
        read_settings({variable: value})
    assert str(caught.value).startswith(variable)
    assert allowed in str(caught.value)


def test_values_are_read_into_their_types():
    values = read_settings(
        {
            "CARACAL_CONNECT_TIMEOUT_SECONDS": "2.5",
            "CARACAL_TRUST_FORWARDED": "true",
            "CARACAL_CA_FILE": __file__,
            "CARACAL_ISSUER": "https://caracal.example",
        }
    )
    assert values["CONNECT_TIMEOUT_SECONDS"] == timedelta(seconds=2.5)
    assert values["TRUST_FORWARDED"] is True
    assert values["CA_FILE"].is_file()
