"""Less usual flows of the published clients."""

import pytest


@pytest.fixture(scope="module")
def said(program, provider, guarded_server):
    tokens = {"ID_TOKEN": provider.token("ann"), "OTHER_ID_TOKEN": provider.token("dan")}
    return program("edges.py", **tokens)


def test_a_prefix_with_a_path_is_the_resources_own_base(said):
    targets = said["a_prefix_with_a_path_is_the_resources_own_base"]
    assert targets == ["/echo/x", "/echo/x/y?z=1", "/echo", "/echo"]


def test_names_and_texts_need_not_be_ascii(said):
    found = said["names_and_texts_need_not_be_ascii"]
    assert found["labels"] == ["grün"]
    assert found["metadata"] == {"ключ": ["值", None, 1.5, True], "task": "Übersetzung ✓"}
    assert found["target"] == "/echo/gr%C3%BCn%20%E2%9C%93?q=%C3%BC"
    assert found["body"] == '{"t":"✓"}'


def test_a_key_whose_session_ended_starts_no_other(said):
    found = said["a_key_whose_session_ended_starts_no_other"]
    assert (found["status"], found["code"]) == (409, "idempotency_result_inactive")


def test_an_application_may_name_its_own_record(said):
    assert said["an_application_may_name_its_own_record"] is True


def test_mandates_of_a_user_are_verified_too(said):
    assert said["mandates_of_a_user_are_verified_too"] == ["user", "ann", "user", "ann", True]


def test_a_service_for_a_user_ends_with_their_proof(said):
    found = said["a_service_for_a_user_ends_with_their_proof"]
    assert (found["status"], found["code"]) in {
        (409, "session_not_live"),
        (404, "session_not_found"),
    }


def test_many_sessions_live_at_once(said):
    assert said["many_sessions_live_at_once"] == [200] * 25


def test_whatever_is_refused_is_refused_in_json(said):
    found = said["what_the_gateway_itself_answers_is_json"]
    assert [status for status, _, _ in found] == [401, 405, 415, 404, 401, 404, 401]
    assert all(kind == "application/json" for _, kind, _ in found)
    assert all(members == ["error", "error_description"] for _, _, members in found)
