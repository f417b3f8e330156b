"""T2: a mandate that the zone's key did not sign, in every disguise."""

import base64
import hashlib
import hmac
import json

import pytest
from joserfc import jws
from joserfc.jwk import ECKey

from tests.support.deployment import reason

REFUSED = {"mandate_malformed", "mandate_signature", "mandate_key_unknown", "mandate_algorithm"}


def decoded(part: str) -> dict:
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def encoded(document: dict | bytes) -> str:
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def changed(token: str, *, header: dict | None = None, claims: dict | None = None) -> str:
    """The token with other members and the signature that it had."""
    first, second, signature = token.split(".")
    return ".".join(
        (
            encoded(decoded(first) | (header or {})),
            encoded(decoded(second) | (claims or {})),
            signature,
        )
    )


def unsigned(token: str, algorithm: str) -> str:
    return changed(token, header={"alg": algorithm}).rpartition(".")[0] + "."


def signed_with_the_public_key(token: str, key: dict[str, str]) -> str:
    """The published key as if it were a shared secret."""
    body = changed(token, header={"alg": "HS256"}).rpartition(".")[0]
    secret = ECKey.import_key(key).as_pem(private=False)
    return f"{body}.{encoded(hmac.new(secret, body.encode(), hashlib.sha256).digest())}"


def signed_by_another(token: str, **header: object) -> str:
    first, second, _ = token.split(".")
    key = ECKey.generate_key("P-256")
    more = {
        name: key.as_dict(private=False) if name == "jwk" else it for name, it in header.items()
    }
    payload = base64.urlsafe_b64decode(second + "=" * (-len(second) % 4))
    registry = jws.JWSRegistry(algorithms=["ES256"], strict_check_header=False)
    return jws.serialize_compact(decoded(first) | more, payload, key, registry=registry)


FORGERIES = {
    "alg none": lambda token, _key: unsigned(token, "none"),
    "alg None": lambda token, _key: unsigned(token, "None"),
    "an empty signature": lambda token, _key: token.rpartition(".")[0] + ".",
    "the public key as a secret": signed_with_the_public_key,
    "another key under the same kid": lambda token, _key: signed_by_another(token),
    "another key that it brings along": lambda token, _key: signed_by_another(token, jwk=True),
    "another key to be fetched": lambda token, _key: signed_by_another(
        token, jku="http://127.0.0.1:1/keys"
    ),
    "a kid that is a path": lambda token, _key: changed(token, header={"kid": "../../dev/null"}),
    "more scopes": lambda token, _key: changed(token, claims={"scope": "api:read api:write"}),
    "a later end": lambda token, _key: changed(token, claims={"exp": 4_000_000_000}),
    "another use": lambda token, _key: changed(token, claims={"use": "gateway", "jti": "new"}),
    "a signature of zeros": lambda token, _key: f"{token.rpartition('.')[0]}.{encoded(bytes(64))}",
    "a flipped bit": lambda token, _key: (
        token[:-3] + ("A" if token[-3] != "A" else "Q") + token[-2:]
    ),
    "a fourth part": lambda token, _key: token + ".e30",
    "white space": lambda token, _key: token.replace(".", ". ", 1),
    "no token at all": lambda _token, _key: "null",
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forged_mandate_opens_nothing(shared_authority, upstream, forgery):
    authority = shared_authority
    zone = authority.agent.zone
    token = authority.mint()
    forged = FORGERIES[forgery](token, zone.keys()[0])
    assert forged != token
    answer = authority.use(forged, "/json", "POST" if forgery == "more scopes" else "GET")
    assert answer.status_code == 401
    assert reason(answer) in REFUSED
    assert not upstream.by_request(answer.headers["x-request-id"])
    steered = zone.deployment.http.get(
        f"{zone.deployment.running.control}/zones/{zone.id}/agents",
        headers={"authorization": f"Bearer {forged}"},
    )
    assert steered.status_code in (400, 401)
    # The forgery did not spend the real one.
    assert authority.use(token, "/json").status_code == 200
