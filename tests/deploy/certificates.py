"""Certificates for peers, as an issuer in the cluster would put them into Secrets."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


def certificates(into: Path, hosts: Mapping[str, str]) -> dict[str, Path]:
    """A folder for each Secret, with `ca.crt`, `tls.crt` and `tls.key` for its host."""
    authority = ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "cluster")])
    root = _certificate(issuer, issuer, authority, authority, None)
    made = {}
    for secret, host in hosts.items():
        key = ec.generate_private_key(ec.SECP256R1())
        leaf = _certificate(
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host[:64])]),
            issuer,
            key,
            authority,
            host,
        )
        folder = into / secret
        folder.mkdir(parents=True)
        (folder / "ca.crt").write_bytes(root.public_bytes(Encoding.PEM))
        (folder / "tls.crt").write_bytes(leaf.public_bytes(Encoding.PEM))
        (folder / "tls.key").write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        )
        made[secret] = folder
    return made


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
    host: str | None,
) -> x509.Certificate:
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=host is None, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
    )
    if host is not None:
        names = x509.SubjectAlternativeName([x509.DNSName(host)])
        builder = builder.add_extension(names, critical=False)
    return builder.sign(signer, hashes.SHA256())
