"""Sessions, what they hold and hand on, over a started Caracal."""

from datetime import timedelta

import httpx
import pytest

from caracal import Caracal
from caracal.sdk import (
    AccessDenied,
    CredentialsRefused,
    DelegationEnded,
    InvalidRequest,
    Secret,
    SessionEnded,
)
from tests.sdk.clients import configured, live_sessions, status
from tests.support.deployment import API, READ, WRITE

MINUTE = timedelta(minutes=1)


def get(transport, path="/json"):
    with httpx.Client(transport=transport) as http:
        return http.get(path)


def test_a_session_that_names_scopes_calls_with_them_and_ends_with_its_block(caracal, zone):
    with caracal.session(scopes=[READ], resources=[API]) as session:
        answer = get(session.transport(API))
        assert answer.status_code == 200
        assert answer.json() == {"ok": True} or answer.json()
        assert status(zone, session.id) == "active"
        with pytest.raises(AccessDenied) as refused:
            session.mandate(API, [WRITE])
        assert refused.value.code == "delegation_scope_exceeded"
        assert refused.value.fix
        assert refused.value.request_id
    assert status(zone, session.id) == "terminated"
    assert live_sessions(zone) == set()
    with pytest.raises(SessionEnded, match="block has ended"):
        session.mandate(API)
