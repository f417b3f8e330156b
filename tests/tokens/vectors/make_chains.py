"""Make chains.json: mandates and the links that narrow them, built without the product's code.

    python -m tests.tokens.vectors.make_chains

The keys are for tests only: their scalars are SHA-256 of the names that stand beside them.
"""

import hashlib
import json
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from tests.tokens.vectors.make_mandates import (
    ISSUED,
    ISSUER,
    KID,
    SCALAR,
    _gateway,
    _sign,
    _text,
)

FILE = Path(__file__).with_name("chains.json")
LINK = {"alg": "ES256", "typ": "caracal-narrowing+jwt"}
ZONE_KEY = ec.derive_private_key(SCALAR, ec.SECP256R1())


def holder(name: str) -> ec.EllipticCurvePrivateKey:
    scalar = int.from_bytes(hashlib.sha256(f"caracal test holder {name}".encode()).digest())
    return ec.derive_private_key(scalar, ec.SECP256R1())


def cnf(name: str) -> dict:
    point = holder(name).public_key().public_numbers()
    x, y = (_text(number.to_bytes(32)) for number in (point.x, point.y))
    return {"jwk": {"crv": "P-256", "kty": "EC", "x": x, "y": y}}


def root() -> str:
    claims = _gateway() | {"target": ["res://a", "res://b"]}
    header = {"alg": "ES256", "kid": KID, "typ": "at+jwt"}
    return _sign(ZONE_KEY, header, claims | {"cnf": cnf("parent"), "hand_ons": 2})


def link(before: str, key: str, **stated: object) -> str:
    claims = {
        "prev": _text(hashlib.sha256(before.encode()).digest()),
        "jti": f"by-{key}",
        "iat": ISSUED,
        "exp": ISSUED + 300,
        "scope": "read",
        "target": ["res://a"],
    }
    return _sign(holder(key), LINK, claims | stated)


def _accepted() -> dict[str, tuple[list[str], dict]]:
    first = root()
    own = link(first, "parent", scope="read write", target=["res://a", "res://b"], exp=ISSUED + 900)
    handed = link(first, "parent", cnf=cnf("child"), hand_ons=1)
    again = link(handed, "child", cnf=cnf("grandchild"), exp=ISSUED + 200)
    return {
        "closed by the holder, with all of it": (
            [first, own],
            {"scope": "read write", "target": ["res://a", "res://b"], "exp": ISSUED + 900},
        ),
        "closed by the holder, narrower": (
            [first, link(first, "parent")],
            {"scope": "read", "target": ["res://a"], "exp": ISSUED + 300},
        ),
        "handed on twice": (
            [first, handed, again, link(again, "grandchild", exp=ISSUED + 100)],
            {"scope": "read", "target": ["res://a"], "exp": ISSUED + 100},
        ),
    }


def _refused() -> dict[str, tuple[list[str], str]]:
    first = root()
    closed = link(first, "parent")
    handed = link(first, "parent", cnf=cnf("child"))
    deeper = link(handed, "child", cnf=cnf("grandchild"))
    header = {"alg": "ES256", "kid": KID, "typ": "at+jwt"}
    other = _sign(ZONE_KEY, header, _gateway() | {"jti": "another", "cnf": cnf("parent")})
    return {
        "the bound mandate alone": ([first], "narrowing_unfinished"),
        "handed on and not closed": ([first, handed], "narrowing_unfinished"),
        "a link after the closing one": (
            [first, closed, link(closed, "parent")],
            "narrowing_broken",
        ),
        "a link of another mandate": ([other, closed], "narrowing_broken"),
        "a link left out": ([first, link(handed, "child")], "mandate_signature"),
        "signed by another holder": ([first, link(first, "child")], "mandate_signature"),
        "another scope": ([first, link(first, "parent", scope="read drop")], "narrowing_widens"),
        "another target": ([first, link(first, "parent", target=["res://c"])], "narrowing_widens"),
        "a later end": ([first, link(first, "parent", exp=ISSUED + 901)], "narrowing_widens"),
        "handed on too often": (
            [first, handed, deeper, link(deeper, "grandchild")],
            "narrowing_too_deep",
        ),
        "hops without a holder": ([first, link(first, "parent", hand_ons=1)], "mandate_malformed"),
        "an unknown claim": ([first, link(first, "parent", aud="x")], "mandate_malformed"),
    }


def document() -> str:
    return json.dumps(
        {
            "keys": "mandates.json has the zone's",
            "issuer": ISSUER,
            "zone_id": "zone-1",
            "holders": {name: cnf(name)["jwk"] for name in ("parent", "child", "grandchild")},
            "accepted": [
                {"name": name, "chain": "~".join(parts), "means": means}
                for name, (parts, means) in _accepted().items()
            ],
            "refused": [
                {"name": name, "chain": "~".join(parts), "reason": reason}
                for name, (parts, reason) in _refused().items()
            ],
        },
        indent=2,
    )


if __name__ == "__main__":
    FILE.write_text(document() + "\n")
