"""Applications that sign: what one of them does keeps no other one out."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from caracal.authority.outcomes import Reason, Refused, Unavailable
from caracal.authority.zones import Application, Zone
from caracal.tokens.jws import RawToken
from caracal_server.sts.client_keys import SignedAuthentication
from caracal_server.sts.clients import ProvenClient
from caracal_server.sts.used_tokens import UsedTokens

SERVER = "https://sts.example/oauth/zones/shop"
KEY = ECKey.generate_key("P-256", {"kid": "one", "use": "sig", "alg": "ES256"})


def test_an_application_that_signs_without_end_uses_up_its_own_share_only():
    now = datetime(2026, 11, 25, 12, tzinfo=UTC)
    public = (json.dumps(KEY.as_dict(private=False)),)
    busy, other = (Application(id=name, name=name, keys=public) for name in ("busy", "other"))
    zone = Zone(
        id="shop", name="shop", revision=1, applications={one.id: one for one in (busy, other)}
    )
    signed = SignedAuthentication(now - timedelta(minutes=1))
    signed.used[zone.id, busy.id] = UsedTokens(2)

    def proven(application: Application, jti: str) -> ProvenClient | Refused:
        at = int(now.timestamp())
        claims = {"iss": application.id, "sub": application.id, "aud": SERVER, "jti": jti}
        token = jwt.encode({"alg": "ES256"}, claims | {"iat": at, "exp": at + 300}, KEY)
        return signed(zone, application.id, RawToken(token.encode()), audience=SERVER, now=now)

    assert isinstance(proven(busy, "a"), ProvenClient)
    assert isinstance(proven(busy, "b"), ProvenClient)
    with pytest.raises(Unavailable):
        proven(busy, "c")
    assert isinstance(proven(other, "a"), ProvenClient)
    again = proven(other, "a")
    assert isinstance(again, Refused)
    assert again.reason is Reason.CLIENT_ASSERTION_REPLAYED
