"""The published SDK is configured in each of its ways and gets through."""

import pytest

WORKS = [200, True]


@pytest.fixture(scope="module")
def said(program):
    return program("bootstrapping.py")


@pytest.mark.parametrize(
    "way",
    [
        "from_a_secret_in_a_file",
        "from_a_file_of_resources",
        "in_production_over_loopback",
    ],
)
def test_a_client_works_however_it_was_configured(said, way):
    assert said[way] == WORKS


def test_the_environment_and_a_profile_are_read(said):
    assert said["from_the_environment"] == {"works": WORKS, "identity": True}
    assert said["from_a_profile"] == {"works": WORKS, "detected": WORKS, "bound": True}


def test_credentials_are_asked_for_at_every_exchange(said):
    found = said["from_a_resolver_of_credentials"]
    assert found["identity"]
    assert found["none"]["raised"] == "CredentialsUnavailableError"
    assert (found["wrong"]["raised"], found["wrong"]["http_status"]) == ("AccessDenied", 401)
    assert found["again"]["raised"] is None


def test_a_session_mandate_of_ours_bootstraps_a_client_without_a_secret(said):
    found = said["from_a_bootstrap_token"]
    assert found["session"]
    assert found["mint"]["raised"] == "RuntimeError"


def test_resources_that_the_zone_does_not_have_are_left_out(said):
    found = said["resources_that_are_not_all_there"]
    assert found["session"]
    assert found["none"]["raised"] == "AccessDenied"


def test_a_wrong_credential_has_its_exception(said):
    found = said["what_is_wrong_with_the_credential_is_told"]
    raised = {name: (one["raised"], one["http_status"]) for name, one in found.items()}
    assert raised.pop("zone") == ("ZoneMismatch", 403)
    assert set(raised.values()) == {("AccessDenied", 401)}
    assert all(one["request_id"] and not one["is_retryable"] for one in found.values())


def test_services_that_do_not_answer_are_told_apart_from_refusals(said):
    found = said["services_that_are_not_there_are_told"]
    assert {one["raised"] for one in found.values()} == {"ConnectError"}
