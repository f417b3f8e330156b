"""Keyless signatures: a Sigstore bundle, verified offline against a trust root that the caller names.

This is the only module that knows the `sigstore` library. What the library refuses is given a name by
looking at the bundle once more; the verdict itself is always the library's.
"""

from base64 import b64decode
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from cryptography.x509 import Certificate, load_der_x509_certificate
from sigstore.errors import CertValidationError, Error, VerificationError
from sigstore.models import Bundle, TrustedRoot
from sigstore.verify import Verifier
from sigstore.verify.policy import (
    Identity,
    OIDCBuildConfigURI,
    OIDCBuildSignerURI,
    OIDCIssuerV2,
    OIDCRunnerEnvironment,
    OIDCSourceRepositoryDigest,
    OIDCSourceRepositoryRef,
    OIDCSourceRepositoryURI,
    VerificationPolicy,
)

from caracal_server.release.documents import decode
from caracal_server.release.findings import Reason, ReleaseRefused, TrustRootUnreadable
from caracal_server.release.identity import Builder, Signed

PAYLOAD_TYPE = "application/vnd.in-toto+json"
MAX_BUNDLE_BYTES = 4 * 1024 * 1024

_OUTDATED = "not valid at validation time"
_LIBRARY_SAYS = (
    ("invalid log entry", Reason.BAD_LOG_ENTRY),
    ("failed to verify SCT", Reason.UNTRUSTED_CERTIFICATE),
)


class _LogEntry(msgspec.Struct, frozen=True, rename="camel"):
    integrated_time: int = 0
    log_index: int = 0


class _RawCertificate(msgspec.Struct, frozen=True, rename="camel"):
    raw_bytes: str


class _Material(msgspec.Struct, frozen=True, rename="camel"):
    certificate: _RawCertificate
    tlog_entries: tuple[_LogEntry, ...] = ()


class _Outline(msgspec.Struct, frozen=True, rename="camel"):
    """As much of a bundle as it takes to name what is wrong with it."""

    verification_material: _Material


class _Refused(VerificationError):
    """The certificate is genuine and is someone else's."""

    def __init__(self, reason: Reason, says: str) -> None:
        super().__init__(says)
        self.reason = reason


class _Pinned:
    """Demands the whole identity, and names the first part of it that differs."""

    def __init__(self, builder: Builder) -> None:
        self._parts: tuple[tuple[Reason, VerificationPolicy], ...] = (
            (Reason.OTHER_ISSUER, OIDCIssuerV2(builder.issuer)),
            (Reason.OTHER_REPOSITORY, OIDCSourceRepositoryURI(builder.repository)),
            (Reason.OTHER_TAG, OIDCSourceRepositoryRef(builder.ref)),
            (Reason.OTHER_COMMIT, OIDCSourceRepositoryDigest(builder.commit)),
            (Reason.OTHER_WORKFLOW, Identity(identity=builder.identity)),
            (Reason.OTHER_WORKFLOW, OIDCBuildSignerURI(builder.identity)),
            (Reason.OTHER_WORKFLOW, OIDCBuildConfigURI(builder.identity)),
            (Reason.OTHER_BUILDER, OIDCRunnerEnvironment(builder.runner)),
        )

    def verify(self, cert: Certificate) -> None:
        """Raise unless every part holds."""
        for reason, part in self._parts:
            try:
                part.verify(cert)
            except VerificationError as fault:
                raise _Refused(reason, str(fault)) from None


def open_verifier(trust_root: Path) -> Callable[[bytes, Builder], Signed]:
    """Read a trust root once, for any number of bundles.

    Raises:
        TrustRootUnreadable: the file is missing or malformed.
    """
    try:
        verifier = Verifier(trusted_root=TrustedRoot.from_file(str(trust_root)))
    except (OSError, ValueError, Error) as fault:
        raise TrustRootUnreadable(f"{trust_root}: {_first_line(fault)}") from None
    return lambda raw, builder: _verify(verifier, raw, builder)


def _verify(verifier: Verifier, raw: bytes, builder: Builder) -> Signed:
    outline = _outline(raw)
    try:
        kind, payload = verifier.verify_dsse(Bundle.from_json(raw), _Pinned(builder))
    except _Refused as fault:
        raise ReleaseRefused(fault.reason, "certificate", _first_line(fault)) from None
    except CertValidationError as fault:
        reason = _certificate_reason(outline, fault)
        raise ReleaseRefused(reason, "certificate", _first_line(fault)) from None
    except Error as fault:
        raise ReleaseRefused(_reason(fault), "bundle", _first_line(fault)) from None
    except Exception as fault:  # noqa: BLE001 (the library lets out whatever the bytes provoke in others)
        raise ReleaseRefused(Reason.MALFORMED, "bundle", _first_line(fault)) from None
    if kind != PAYLOAD_TYPE:
        raise ReleaseRefused(Reason.BAD_SIGNATURE, "bundle", f"it signs a {kind}")
    entry = outline.verification_material.tlog_entries[0]
    return Signed(payload, entry.log_index, entry.integrated_time)


def _outline(raw: bytes) -> _Outline:
    if len(raw) > MAX_BUNDLE_BYTES:
        raise ReleaseRefused(Reason.MALFORMED, "bundle", f"more than {MAX_BUNDLE_BYTES} bytes")
    outline = decode(raw, _Outline, "bundle", strict=False)
    if not outline.verification_material.tlog_entries:
        raise ReleaseRefused(
            Reason.NO_LOG_ENTRY, "bundle", "no transparency log has recorded this signature"
        )
    return outline


def _certificate_reason(outline: _Outline, fault: CertValidationError) -> Reason:
    material = outline.verification_material
    if not material.tlog_entries[0].integrated_time:  # a timestamp authority gave the time
        outdated = _OUTDATED in str(fault)
        return Reason.EXPIRED_CERTIFICATE if outdated else Reason.UNTRUSTED_CERTIFICATE
    certificate = load_der_x509_certificate(b64decode(material.certificate.raw_bytes))
    signed = datetime.fromtimestamp(material.tlog_entries[0].integrated_time, UTC)
    if certificate.not_valid_before_utc <= signed <= certificate.not_valid_after_utc:
        return Reason.UNTRUSTED_CERTIFICATE
    return Reason.EXPIRED_CERTIFICATE


def _reason(fault: Error) -> Reason:
    says = str(fault)
    for start, reason in _LIBRARY_SAYS:
        if says.startswith(start):
            return reason
    return Reason.BAD_SIGNATURE


def _first_line(fault: Exception) -> str:
    return (str(fault).strip() or type(fault).__name__).splitlines()[0][:300]
