"""What `caracal version --json` prints: this version, and what it computes with."""

import ssl
from platform import python_version

import msgspec
from cryptography.hazmat.backends.openssl.backend import backend


class _Details(msgspec.Struct, frozen=True):
    version: str
    python: str
    openssl: str
    tls: str


def details(installed: str) -> str:
    """Render one line; `openssl` computes signatures and seals, `tls` is the interpreter's own."""
    found = _Details(
        installed, python_version(), backend.openssl_version_text(), ssl.OPENSSL_VERSION
    )
    return msgspec.json.encode(found).decode() + "\n"
