"""A small Sigstore of our own: a certificate authority, a certificate log and a transparency log.

What it issues has the shape that Fulcio and Rekor give it, so that the `sigstore` library verifies it with no
change but the trust root. The transparency log is a tree of `caracal.evidence`.
"""

import json
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from caracal.evidence.canonical import canonical_json
from caracal.evidence.checkpoints import Checkpoint
from caracal.evidence.notes import NoteSignature, SignedNote
from caracal.evidence.proofs import prove_inclusion
from caracal.evidence.tree import TreeState, leaf_hash
from tests.support.timestamps import TimestampAuthority

ISSUED = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
LIFETIME = timedelta(minutes=10)
PAYLOAD_TYPE = "application/vnd.in-toto+json"

_SCT_LIST = x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")
_FULCIO = "1.3.6.1.4.1.57264.1."
_ORIGIN = "log.example - 1"


@dataclass(frozen=True)
class Workflow:
    """The run that asks for a certificate, as the forge's identity token would describe it."""

    repository: str = "https://github.com/example/caracal"
    path: str = ".github/workflows/release.yml"
    ref: str = "refs/tags/v1.2.3"
    commit: str = "c" * 40
    issuer: str = "https://token.actions.githubusercontent.com"
    runner: str = "github-hosted"
    trigger: str = "push"

    @property
    def identity(self) -> str:
        return f"{self.repository}/{self.path}@{self.ref}"

    def extensions(self) -> Mapping[str, str]:
        return {
            "8": self.issuer,
            "9": self.identity,
            "10": self.commit,
            "11": self.runner,
            "12": self.repository,
            "13": self.commit,
            "14": self.ref,
            "18": self.identity,
            "19": self.commit,
            "20": self.trigger,
            "21": f"{self.repository}/actions/runs/1/attempts/1",
        }


def _spki(key: ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _b64(value: bytes) -> str:
    return b64encode(value).decode()


def _der_text(value: str) -> bytes:
    encoded = value.encode()
    size = len(encoded)
    head = bytes([size]) if size < 128 else bytes([0x81, size])
    return b"\x0c" + head + encoded


@dataclass
class Sigstore:
    """Everything a keyless signature rests on, with keys that live as long as the test."""

    authority: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )
    certificate_log: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )
    log_key: ed25519.Ed25519PrivateKey = field(default_factory=ed25519.Ed25519PrivateKey.generate)
    tree: TreeState = field(default_factory=TreeState)
    nodes: dict[tuple[int, int], bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a root of our own")])
        self.root = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self.authority.public_key())
            .serial_number(1)
            .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
            .not_valid_after(datetime(2100, 1, 1, tzinfo=UTC))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(self.authority.public_key()), False
            )
            .sign(self.authority, hashes.SHA256())
        )
        for number in range(5):
            self._append(b"someone else's entry %d" % number)

    def trusted_root(self, *stamps: TimestampAuthority) -> bytes:
        """What a verifier is given: the TrustedRoot document of the Sigstore protocols."""
        valid = {"start": "2020-01-01T00:00:00Z"}
        log, certificates = (
            _spki(self.log_key.public_key()),
            _spki(self.certificate_log.public_key()),
        )
        document = {
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [_log_instance("https://log.example", log, "PKIX_ED25519")],
            "certificateAuthorities": [
                {
                    "subject": {"organization": "example", "commonName": "a root of our own"},
                    "uri": "https://ca.example",
                    "certChain": {
                        "certificates": [{"rawBytes": _b64(self.root.public_bytes(Encoding.DER))}]
                    },
                    "validFor": valid,
                }
            ],
            "ctlogs": [
                _log_instance("https://ct.example", certificates, "PKIX_ECDSA_P256_SHA_256")
            ],
            "timestampAuthorities": [one.document() for one in stamps],
        }
        return json.dumps(document).encode()

    def sign(
        self,
        statement: bytes,
        workflow: Workflow | None = None,
        *,
        after: timedelta = timedelta(minutes=1),
    ) -> bytes:
        """Sign a statement the way a release does; `after` is how long the certificate has existed."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._issue(key, workflow or Workflow())
        signature = key.sign(_pae(statement), ec.ECDSA(hashes.SHA256()))
        entry = self._log(_body_v1(statement, signature, certificate), "dsse", ISSUED + after)
        return _bundle(statement, signature, certificate, entry)

    def sign_with_timestamp(
        self, statement: bytes, authority: TimestampAuthority, issued: datetime, workflow: Workflow
    ) -> bytes:
        """Sign in the newer form: the log gives no time, a timestamp authority does, by this machine's clock."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._issue(key, workflow, issued)
        signature = key.sign(_pae(statement), ec.ECDSA(hashes.SHA256()))
        entry = self._log(_body_v2(statement, signature, certificate), "hashedrekord", None)
        stamp = _b64(authority.stamp(signature))
        return _bundle(statement, signature, certificate, entry, stamp)

    def _issue(
        self, key: ec.EllipticCurvePrivateKey, workflow: Workflow, issued: datetime = ISSUED
    ) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(self.root.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(issued)
            .not_valid_after(issued + LIFETIME)
            .add_extension(_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.authority.public_key()),
                False,
            )
            .add_extension(
                x509.SubjectAlternativeName([x509.UniformResourceIdentifier(workflow.identity)]),
                critical=True,
            )
        )
        issuer = x509.UnrecognizedExtension(
            x509.ObjectIdentifier(f"{_FULCIO}1"), workflow.issuer.encode()
        )
        builder = builder.add_extension(issuer, critical=False)
        for arc, value in workflow.extensions().items():
            oid = x509.ObjectIdentifier(_FULCIO + arc)
            builder = builder.add_extension(
                x509.UnrecognizedExtension(oid, _der_text(value)), False
            )
        precertificate = builder.sign(self.authority, hashes.SHA256())
        stamps = self._stamp_certificate(precertificate.tbs_certificate_bytes)
        return builder.add_extension(x509.UnrecognizedExtension(_SCT_LIST, stamps), False).sign(
            self.authority, hashes.SHA256()
        )

    def _stamp_certificate(self, certificate: bytes) -> bytes:
        """The extension with the certificate log's promise (RFC 6962 sections 3.2 and 3.3)."""
        at = int(ISSUED.timestamp() * 1000).to_bytes(8)
        issuer = sha256(_spki(self.authority.public_key())).digest()
        entry = b"\x00\x01" + issuer + len(certificate).to_bytes(3) + certificate + b"\x00\x00"
        signed = b"\x00\x00" + at + entry
        signature = self.certificate_log.sign(signed, ec.ECDSA(hashes.SHA256()))
        log = sha256(_spki(self.certificate_log.public_key())).digest()
        stamp = (
            b"\x00" + log + at + b"\x00\x00" + b"\x04\x03" + len(signature).to_bytes(2) + signature
        )
        stamps = len(stamp).to_bytes(2) + stamp
        stamps = len(stamps).to_bytes(2) + stamps
        return (
            b"\x04"
            + (bytes([len(stamps)]) if len(stamps) < 128 else bytes([0x81, len(stamps)]))
            + stamps
        )

    def _append(self, entry: bytes) -> int:
        self.tree, grown = self.tree.grow([leaf_hash(entry)])
        self.nodes |= {(node.level, node.index): node.hash for node in grown}
        return self.tree.size - 1

    def _log(self, body: bytes, kind: str, at: datetime | None) -> dict[str, object]:
        """Append an entry and prove it; with a time, promise it too, as the older form does."""
        index = self._append(body)
        log_id = sha256(_spki(self.log_key.public_key())).digest()
        proof = prove_inclusion(index, self.tree.size, lambda *at: self.nodes[at])
        entry: dict[str, object] = {
            "logIndex": str(index),
            "logId": {"keyId": _b64(log_id)},
            "kindVersion": {"kind": kind, "version": "0.0.1" if at else "0.0.2"},
            "inclusionProof": {
                "logIndex": str(index),
                "rootHash": _b64(self.tree.root()),
                "treeSize": str(self.tree.size),
                "hashes": [_b64(value) for value in proof.hashes],
                "checkpoint": {"envelope": self._checkpoint(log_id)},
            },
            "canonicalizedBody": _b64(body),
        }
        if at is None:
            return entry
        seconds = int(at.timestamp())
        promised = {
            "body": _b64(body),
            "integratedTime": seconds,
            "logID": log_id.hex(),
            "logIndex": index,
        }
        promise = {"signedEntryTimestamp": _b64(self.log_key.sign(canonical_json(promised)))}
        return entry | {"integratedTime": str(seconds), "inclusionPromise": promise}

    def _checkpoint(self, log_id: bytes) -> str:
        text = Checkpoint(_ORIGIN, self.tree.size, self.tree.root()).render()
        signature = NoteSignature("log.example", log_id[:4], self.log_key.sign(text.encode()))
        return SignedNote(text, (signature,)).render()


def _bundle(
    statement: bytes,
    signature: bytes,
    certificate: x509.Certificate,
    entry: dict[str, object],
    stamp: str = "",
) -> bytes:
    material: dict[str, object] = {
        "certificate": {"rawBytes": _b64(certificate.public_bytes(Encoding.DER))},
        "tlogEntries": [entry],
    }
    if stamp:
        material["timestampVerificationData"] = {"rfc3161Timestamps": [{"signedTimestamp": stamp}]}
    document = {
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": material,
        "dsseEnvelope": {
            "payload": _b64(statement),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [{"sig": _b64(signature)}],
        },
    }
    return json.dumps(document).encode()


def _body_v1(statement: bytes, signature: bytes, certificate: x509.Certificate) -> bytes:
    verifier = _b64(certificate.public_bytes(Encoding.PEM))
    spec = {
        "envelopeHash": {"algorithm": "sha256", "value": "0" * 64},
        "payloadHash": {"algorithm": "sha256", "value": sha256(statement).hexdigest()},
        "signatures": [{"signature": _b64(signature), "verifier": verifier}],
    }
    return json.dumps({"apiVersion": "0.0.1", "kind": "dsse", "spec": spec}).encode()


def _body_v2(statement: bytes, signature: bytes, certificate: x509.Certificate) -> bytes:
    verifier = {
        "x509Certificate": {"rawBytes": _b64(certificate.public_bytes(Encoding.DER))},
        "keyDetails": "PKIX_ECDSA_P256_SHA_256",
    }
    entry = {
        "data": {"algorithm": "SHA2_256", "digest": _b64(sha256(_pae(statement)).digest())},
        "signature": {"content": _b64(signature), "verifier": verifier},
    }
    document = {"apiVersion": "0.0.2", "kind": "hashedrekord", "spec": {"hashedRekordV002": entry}}
    return json.dumps(document).encode()


def _log_instance(url: str, key: bytes, details: str) -> dict[str, object]:
    return {
        "baseUrl": url,
        "hashAlgorithm": "SHA2_256",
        "publicKey": {
            "rawBytes": _b64(key),
            "keyDetails": details,
            "validFor": {"start": "2020-01-01T00:00:00Z"},
        },
        "logId": {"keyId": _b64(sha256(key).digest())},
    }


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _pae(payload: bytes) -> bytes:
    """What a DSSE signature covers (dsse protocol, version 1)."""
    return b"DSSEv1 %d %s %d %s" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload)
