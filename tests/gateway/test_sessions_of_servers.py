"""The table of sessions stays small, and forgets what was used longest ago."""

from types import SimpleNamespace

from caracal.authority.outcomes import Reason
from caracal_server.gateway.server_sessions import MAX_OF_CALLER, MAX_SESSIONS, ServerSessions


def call(application: str):
    mandate = SimpleNamespace(
        zone_id="z", application_id=application, subject=application, subject_issuer=""
    )
    return SimpleNamespace(mandate=mandate, resource=SimpleNamespace(id="r"))


def named(number: int) -> list[tuple[bytes, bytes]]:
    return [(b"mcp-session-id", b"%d" % number)]


def test_only_so_many_sessions_are_remembered():
    sessions = ServerSessions()
    callers = [f"c{number}" for number in range(MAX_SESSIONS // MAX_OF_CALLER)]
    for at, caller in enumerate(callers):
        for number in range(MAX_OF_CALLER):
            assert sessions.claim(call(caller), named(at * MAX_OF_CALLER + number)) is None
    assert sessions.claim(call(callers[0]), named(0)) is None
    assert sessions.claim(call("another"), named(MAX_SESSIONS)) is None
    assert len(sessions) == MAX_SESSIONS
    refused = sessions.claim(call("another"), named(0))
    assert refused is not None
    assert refused.reason is Reason.MCP_SESSION_FOREIGN
    assert sessions.claim(call("another"), named(1)) is None


def test_a_caller_who_names_many_sessions_takes_nobody_elses():
    """A session that is forgotten is whose it is named next."""
    sessions = ServerSessions()
    sessions.answered(call("victim"), 200, named(0))
    for number in range(1, MAX_SESSIONS + 10):
        assert sessions.claim(call("flooder"), named(number)) is None
    assert len(sessions) == MAX_OF_CALLER + 1
    refused = sessions.claim(call("flooder"), named(0))
    assert refused is not None
    assert refused.reason is Reason.MCP_SESSION_FOREIGN


def test_an_answer_that_fails_begins_no_session():
    sessions = ServerSessions()
    sessions.answered(call("a"), 400, named(1))
    sessions.answered(call("a"), 200, [*named(1), *named(2)])
    assert len(sessions) == 0
