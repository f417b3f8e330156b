"""A Sigstore bundle verifies offline against the trust root that is given, and against no other."""

import base64
import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from caracal_server.release.findings import Reason, ReleaseRefused, TrustRootUnreadable
from caracal_server.release.identity import Builder, Expected, Signed
from caracal_server.release.keyless import open_verifier
from tests.support.sigstore import ISSUED, Sigstore, Workflow
from tests.support.timestamps import TimestampAuthority

STATEMENT = json.dumps(
    {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "a.txt", "digest": {"sha256": "0" * 64}}],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {},
    }
).encode()
BUILDER = Expected(Workflow().repository).builder("1.2.3", Workflow().commit)
SIGSTORE = Sigstore()
BUNDLE = SIGSTORE.sign(STATEMENT)

Verify = Callable[[bytes, Builder], Signed]


@pytest.fixture(scope="module")
def verify(tmp_path_factory: pytest.TempPathFactory) -> Verify:
    file = tmp_path_factory.mktemp("trust") / "trusted_root.json"
    file.write_bytes(SIGSTORE.trusted_root())
    return open_verifier(file)


def refused(verify: Verify, bundle: bytes, builder: Builder = BUILDER) -> Reason:
    with pytest.raises(ReleaseRefused) as raised:
        verify(bundle, builder)
    return raised.value.refusal.reason


def edited(*path: str | int, to: object) -> bytes:
    bundle = json.loads(BUNDLE)
    *way, last = path
    place = bundle
    for step in way:
        place = place[step]
    place[last] = to
    return json.dumps(bundle).encode()


def test_a_good_bundle_gives_back_what_was_signed_and_when(verify: Verify):
    signed = verify(BUNDLE, BUILDER)
    assert signed.payload == STATEMENT
    assert 0 <= signed.signed_at - ISSUED.timestamp() <= 600


def test_a_bundle_of_another_sigstore_is_refused(verify: Verify):
    assert refused(verify, Sigstore().sign(STATEMENT)) is Reason.UNTRUSTED_CERTIFICATE


def test_the_public_trust_root_is_read_and_does_not_vouch_for_ours():
    store = files("sigstore") / "_store" / "https%3A%2F%2Ftuf-repo-cdn.sigstore.dev"
    public = open_verifier(Path(str(store / "trusted_root.json")))
    assert refused(public, BUNDLE) is Reason.UNTRUSTED_CERTIFICATE


def test_a_certificate_that_no_certificate_log_has_seen_is_refused(tmp_path: Path):
    document = json.loads(SIGSTORE.trusted_root())
    document["ctlogs"] = json.loads(Sigstore().trusted_root())["ctlogs"]
    root = tmp_path / "trusted_root.json"
    root.write_text(json.dumps(document))
    assert refused(open_verifier(root), BUNDLE) is Reason.UNTRUSTED_CERTIFICATE


def test_a_log_that_nobody_trusts_is_refused(tmp_path: Path):
    document = json.loads(SIGSTORE.trusted_root())
    document["tlogs"] = json.loads(Sigstore().trusted_root())["tlogs"]
    root = tmp_path / "trusted_root.json"
    root.write_text(json.dumps(document))
    assert refused(open_verifier(root), BUNDLE) is Reason.BAD_LOG_ENTRY


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        (("inclusionProof", "rootHash"), Reason.BAD_LOG_ENTRY),
        (("inclusionProof", "hashes", 0), Reason.BAD_LOG_ENTRY),
        (("inclusionPromise", "signedEntryTimestamp"), Reason.BAD_LOG_ENTRY),
        (("canonicalizedBody",), Reason.BAD_LOG_ENTRY),
    ],
)
def test_a_log_entry_that_is_not_the_one_proven_is_refused(
    verify: Verify, path: tuple[str | int, ...], reason: Reason
):
    entry = ("verificationMaterial", "tlogEntries", 0)
    other = base64.b64encode(b"\x01" * 32).decode()
    assert refused(verify, edited(*entry, *path, to=other)) is reason


def test_the_log_entry_of_another_signature_is_refused(verify: Verify):
    other = json.loads(SIGSTORE.sign(STATEMENT))["verificationMaterial"]["tlogEntries"]
    assert refused(verify, edited("verificationMaterial", "tlogEntries", to=other)) is (
        Reason.BAD_SIGNATURE
    )


def test_another_payload_under_the_same_signature_is_refused(verify: Verify):
    payload = base64.b64encode(STATEMENT.replace(b"a.txt", b"b.txt")).decode()
    assert refused(verify, edited("dsseEnvelope", "payload", to=payload)) is Reason.BAD_SIGNATURE


@pytest.mark.parametrize("raw", [b"", b"{}", b"[]", b"\xff", b" " * 5_000_000])
def test_what_is_no_bundle_is_refused(verify: Verify, raw: bytes):
    assert refused(verify, raw) is Reason.MALFORMED


# A changed serial number can make a certificate that cryptography warns of; it is refused all the same.
@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
@settings(max_examples=100)
@given(at=st.integers(0, len(BUNDLE) - 1), to=st.integers(0, 255))
@example(at=0, to=0xFF)
@example(at=133, to=66)  # a certificate of a version that X.509 does not have
def test_a_bundle_with_any_byte_changed_says_the_same_or_is_refused(
    verify: Verify, at: int, to: int
):
    changed = BUNDLE[:at] + bytes([to]) + BUNDLE[at + 1 :]
    try:
        signed = verify(changed, BUILDER)
    except ReleaseRefused:
        return
    assert signed.payload == STATEMENT


@pytest.mark.parametrize("content", [b"", b"{}", b"not json"])
def test_what_is_no_trust_root_is_a_fault_and_not_a_verdict(tmp_path: Path, content: bytes):
    file = tmp_path / "trusted_root.json"
    file.write_bytes(content)
    with pytest.raises(TrustRootUnreadable):
        open_verifier(file)
    with pytest.raises(TrustRootUnreadable):
        open_verifier(tmp_path / "missing.json")


def test_the_library_s_own_command_agrees(tmp_path: Path):
    """The same bundle, judged by `sigstore verify identity`, as the page shows it."""
    artifact = tmp_path / "a.txt"
    artifact.write_text("content")
    digest = sha256(b"content").hexdigest()
    bundle = SIGSTORE.sign(STATEMENT.replace(b"0" * 64, digest.encode()))
    (tmp_path / "provenance.sigstore.json").write_bytes(bundle)
    config = tmp_path / "trust.json"
    service = {"url": "https://ca.example", "majorApiVersion": 1, "operator": "example"}
    config.write_text(
        json.dumps(
            {
                "mediaType": "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json",
                "trustedRoot": json.loads(SIGSTORE.trusted_root()),
                "signingConfig": {
                    "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
                    "caUrls": [service],
                    "rekorTlogUrls": [service],
                },
            }
        )
    )

    def judged(identity: str) -> int:
        words = [sys.executable, "-m", "sigstore", "--trust-config", str(config), "verify"]
        words += ["identity", "--bundle", str(tmp_path / "provenance.sigstore.json")]
        words += [
            "--cert-identity",
            identity,
            "--cert-oidc-issuer",
            Workflow().issuer,
            str(artifact),
        ]
        return subprocess.run(words, capture_output=True, check=False, timeout=60).returncode

    assert judged(BUILDER.identity) == 0
    assert judged(BUILDER.identity.replace("release.yml", "test.yml")) != 0


def stamped(authority: TimestampAuthority, since: timedelta) -> bytes:
    """A bundle whose only time is a timestamp of now, under a certificate issued so long before."""
    issued = datetime.now(UTC).replace(microsecond=0) - since
    return SIGSTORE.sign_with_timestamp(STATEMENT, authority, issued, Workflow())


def test_a_bundle_with_a_signed_timestamp_verifies_too(tmp_path: Path):
    authority = TimestampAuthority(tmp_path)
    root = tmp_path / "trusted_root.json"
    root.write_bytes(SIGSTORE.trusted_root(authority))
    verify = open_verifier(root)
    assert verify(stamped(authority, timedelta(minutes=1)), BUILDER).payload == STATEMENT
    ours = SIGSTORE.trusted_root(authority)
    other = json.loads(Sigstore().trusted_root()) | {
        name: json.loads(ours)[name] for name in ("tlogs", "ctlogs", "timestampAuthorities")
    }
    (tmp_path / "other.json").write_text(json.dumps(other))
    elsewhere = open_verifier(tmp_path / "other.json")
    assert refused(elsewhere, stamped(authority, timedelta(minutes=1))) is (
        Reason.UNTRUSTED_CERTIFICATE
    )
    late = stamped(authority, timedelta(hours=1))
    assert refused(verify, late) is Reason.EXPIRED_CERTIFICATE
    good = json.loads(stamped(authority, timedelta(minutes=1)))
    good["verificationMaterial"]["timestampVerificationData"] = {"rfc3161Timestamps": []}
    assert refused(verify, json.dumps(good).encode()) is Reason.BAD_SIGNATURE


def test_a_timestamp_of_an_authority_that_nobody_trusts_is_refused(verify: Verify, tmp_path: Path):
    authority = TimestampAuthority(tmp_path)
    assert refused(verify, stamped(authority, timedelta(minutes=1))) is Reason.BAD_SIGNATURE
