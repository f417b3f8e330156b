"""The table of sessions stays small, and forgets what was used longest ago."""

from types import SimpleNamespace

from caracal.authority.outcomes import Reason
from caracal_server.gateway.server_sessions import MAX_SESSIONS, ServerSessions


def call(application: str):
    mandate = SimpleNamespace(
        zone_id="z", application_id=application, subject=application, subject_issuer=""
    )
    return SimpleNamespace(mandate=mandate, resource=SimpleNamespace(id="r"))


def named(number: int) -> list[tuple[bytes, bytes]]:
    return [(b"mcp-session-id", b"%d" % number)]


def test_only_so_many_sessions_are_remembered():
    sessions = ServerSessions()
    sessions.answered(call("a"), 200, [(b"Mcp-Session-Id", b"0")])
    for number in range(1, MAX_SESSIONS):
        assert sessions.claim(call("a"), named(number)) is None
    assert sessions.claim(call("a"), named(0)) is None
    assert sessions.claim(call("b"), named(MAX_SESSIONS)) is None
    assert len(sessions) == MAX_SESSIONS
    refused = sessions.claim(call("b"), named(0))
    assert refused is not None
    assert refused.reason is Reason.MCP_SESSION_FOREIGN
    assert sessions.claim(call("b"), named(1)) is None


def test_an_answer_that_fails_begins_no_session():
    sessions = ServerSessions()
    sessions.answered(call("a"), 400, named(1))
    sessions.answered(call("a"), 200, [*named(1), *named(2)])
    assert len(sessions) == 0
