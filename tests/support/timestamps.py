"""A timestamp authority (RFC 3161) of our own: `openssl ts` with certificates made here."""

import subprocess
from base64 import b64encode
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_CONFIGURATION = """\
[tsa]
default_tsa = ours
[ours]
serial = {folder}/serial
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
ess_cert_id_alg = sha256
"""


@dataclass
class TimestampAuthority:
    """It stamps with the clock of this machine, as the real one does."""

    folder: Path
    chain: list[x509.Certificate] = field(default_factory=list)

    def __post_init__(self) -> None:
        root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        root = _certificate(
            "a root for stamps", root_key, "a root for stamps", root_key, stamps=False
        )
        leaf = _certificate(
            "an authority for stamps", key, "a root for stamps", root_key, stamps=True
        )
        self.chain = [leaf, root]
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (self.folder / "key.pem").write_bytes(pem)
        (self.folder / "leaf.pem").write_bytes(leaf.public_bytes(Encoding.PEM))
        (self.folder / "serial").write_text("01\n")
        (self.folder / "tsa.cnf").write_text(_CONFIGURATION.format(folder=self.folder))

    def stamp(self, message: bytes) -> bytes:
        """The response of the authority for a message, as DER."""
        (self.folder / "message").write_bytes(message)
        query, reply = self.folder / "query", self.folder / "reply"
        self._openssl(
            "-query", "-data", str(self.folder / "message"), "-sha256", "-cert", "-out", str(query)
        )
        self._openssl(
            "-reply", "-config", str(self.folder / "tsa.cnf"), "-queryfile", str(query),
            "-inkey", str(self.folder / "key.pem"), "-signer", str(self.folder / "leaf.pem"),
            "-out", str(reply),
        )  # fmt: skip
        return reply.read_bytes()

    def document(self) -> dict[str, object]:
        """The authority as a TrustedRoot names it."""
        return {
            "subject": {"organization": "example", "commonName": "an authority for stamps"},
            "uri": "https://stamps.example",
            "certChain": {
                "certificates": [
                    {"rawBytes": b64encode(one.public_bytes(Encoding.DER)).decode()}
                    for one in self.chain
                ]
            },
            "validFor": {"start": "2020-01-01T00:00:00Z"},
        }

    def _openssl(self, *words: str) -> None:
        subprocess.run(["openssl", "ts", *words], check=True, capture_output=True, timeout=30)


def _certificate(
    subject: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: str,
    issuer_key: ec.EllipticCurvePrivateKey,
    *,
    stamps: bool,
) -> x509.Certificate:
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2100, 1, 1, tzinfo=UTC))
        .add_extension(x509.BasicConstraints(ca=not stamps, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()),
            critical=False,
        )
    )
    if stamps:
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])
        builder = builder.add_extension(usage, critical=True)
    return builder.sign(issuer_key, hashes.SHA256())
