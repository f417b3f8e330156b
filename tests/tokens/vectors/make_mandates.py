"""Make mandates.json: signed mandates built from plain dictionaries, without the product's code.

    python tests/tokens/vectors/make_mandates.py

The key is for tests only. Signatures follow RFC 6979, so the same file comes out every time.
"""

import base64
import json
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

FILE = Path(__file__).with_name("mandates.json")
SCALAR = 0x51F1A1BDB5D0C1A7E0F5E6D4C3B2A19080706050403020100F0E0D0C0B0A0908
KID = "01JKEY0000000000000000001A"
ISSUER = "https://sts.example.com"
ISSUED = 1_767_225_600  # 2026-01-01T00:00:00Z


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _sign(key: ec.EllipticCurvePrivateKey, header: dict, claims: dict) -> str:
    signed = f"{_text(_json(header))}.{_text(_json(claims))}"
    method = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)
    r, s = decode_dss_signature(key.sign(signed.encode(), method))
    return f"{signed}.{_text(r.to_bytes(32) + s.to_bytes(32))}"


def _identity(use: str, audience: str, application: str, **more: object) -> dict:
    return {
        "iss": ISSUER,
        "sub": application,
        "aud": [audience],
        "exp": ISSUED + 900,
        "iat": ISSUED,
        "jti": f"jti-{use}",
        "zone_id": "zone-1",
        "client_id": application,
        **more,
    }


def _session() -> dict:
    return {
        **_identity("session", ISSUER, "app-1", scope="agent:lifecycle"),
        "sid": "r1",
        "root_sid": "r1",
        "use": "session",
        "sub_type": "application",
        "target": ["res://a", "res://b"],
    }


def _federated() -> dict:
    return {
        **_identity("user", ISSUER, "app-1"),
        "sub": "auth0|user 9",
        "sid": "r2",
        "root_sid": "r2",
        "use": "session",
        "sub_type": "user",
        "sub_iss": "https://id.example",
        "act": {"sub": "app-1"},
    }


def _gateway() -> dict:
    return {
        **_identity("gateway", ISSUER, "app-1", scope="read write"),
        "sid": "r3",
        "root_sid": "r3",
        "use": "gateway",
        "sub_type": "application",
        "target": ["res://a"],
        "agent_session_id": "C",
        "session_ancestors": ["P"],
        "delegation_edge_id": "E",
        "source_session_id": "P",
        "target_session_id": "C",
        "delegation_path": ["E"],
        "delegation_chain": [
            {"application_id": "app-1", "agent_session_id": "P", "delegation_edge_id": "E"},
            {"application_id": "app-1", "agent_session_id": "C"},
        ],
        "hop_count": 1,
        "delegation_graph_epoch": 17,
        "act": {"sub": "app-1"},
    }


def _resource_two_hops() -> dict:
    return {
        **_identity("resource", "res://a", "app-3", scope="read"),
        "sid": "r4",
        "root_sid": "r3",
        "use": "resource",
        "sub_type": "application",
        "target": ["res://a"],
        "agent_session_id": "S3",
        "session_ancestors": ["S1", "S2"],
        "delegation_edge_id": "E2",
        "source_session_id": "S2",
        "target_session_id": "S3",
        "delegation_path": ["E1", "E2"],
        "delegation_chain": [
            {"application_id": "app-1", "agent_session_id": "S1", "delegation_edge_id": "E1"},
            {"application_id": "app-2", "agent_session_id": "S2", "delegation_edge_id": "E2"},
            {"application_id": "app-3", "agent_session_id": "S3"},
        ],
        "hop_count": 2,
        "delegation_graph_epoch": 4,
        "act": {"sub": "app-3", "act": {"sub": "app-2", "act": {"sub": "app-1"}}},
    }


def document() -> str:
    key = ec.derive_private_key(SCALAR, ec.SECP256R1())
    point = key.public_key().public_numbers()
    jwk = {
        "kty": "EC",
        "crv": "P-256",
        "use": "sig",
        "kid": KID,
        "alg": "ES256",
        "x": _text(point.x.to_bytes(32)),
        "y": _text(point.y.to_bytes(32)),
    }
    header = {"alg": "ES256", "kid": KID, "typ": "at+jwt"}
    cases = {
        "a session mandate of an application": _session(),
        "a session mandate of a federated user": _federated(),
        "a gateway mandate with one hop": _gateway(),
        "a resource mandate with two hops": _resource_two_hops(),
    }
    return json.dumps(
        {
            "private_scalar": f"{SCALAR:064x}",
            "public_jwk": jwk,
            "issuer": ISSUER,
            "zone_id": "zone-1",
            "mandates": [
                {"name": name, "claims": claims, "token": _sign(key, header, claims)}
                for name, claims in cases.items()
            ],
        },
        indent=2,
    )


if __name__ == "__main__":
    FILE.write_text(document() + "\n")
