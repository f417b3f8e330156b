"""Every check of a release, in order; one that rests on another is not run when that one was refused."""

from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from pathlib import Path

import msgspec

from caracal_server.release import bom, manifest, oci, provenance, sums, versions
from caracal_server.release.findings import Check, Finding, Outcome, Reason, Refusal, ReleaseRefused
from caracal_server.release.identity import Builder, Expected, Signed
from caracal_server.release.manifest import Manifest
from caracal_server.release.sums import ATTESTATION_SUFFIX, BUNDLE, Release

MAX_BUNDLE_BYTES = 16 * 1024 * 1024

Verify = Callable[[bytes, Builder], Signed]


class Trust(msgspec.Struct, frozen=True):
    """What the verdict rests on: whom to believe, and which release may be the answer."""

    expected: Expected
    root: Path | None
    wanted: versions.Wanted


class Report(msgspec.Struct, frozen=True):
    """The verdict on a release, with everything it rests on."""

    version: str
    commit: str
    sums_sha256: str
    findings: tuple[Finding, ...]

    @property
    def vouched(self) -> bool:
        """Whether its builder's signature and provenance hold, so that its version is no mere claim."""
        held = {one.check for one in self.findings if one.outcome is Outcome.HOLDS}
        return {Check.SIGNATURE, Check.PROVENANCE} <= held

    def verified(self, accepted: Iterable[Check] = ()) -> bool:
        """Whether everything holds, but for what the caller accepts unchecked."""
        excused = frozenset(accepted)
        return all(
            one.outcome in {Outcome.HOLDS, Outcome.ABSENT}
            or (one.outcome is Outcome.UNCHECKED and one.check in excused)
            for one in self.findings
        )


def verify(root: Path, trust: Trust) -> Report:
    """Run every check on a directory."""
    try:
        release = sums.open_release(root)
    except ReleaseRefused as refused:
        finding = _refused(Check.SUMS, [refused.refusal])
        return Report("", "", "", (finding, *_unreached(Check.SUMS)))
    files = f"files that are what SHA256SUMS lists, and no others: {len(release.listed)}"
    first = _judge(Check.SUMS, files, lambda: sums.compare(release))
    if not all(release.found.values()):
        return Report("", "", release.sums_digest, (first, *_unreached(Check.SUMS)))
    try:
        described = manifest.read_manifest(release)
    except ReleaseRefused as refused:
        second = _refused(Check.MANIFEST, [refused.refusal])
        return Report(
            "", "", release.sums_digest, (first, second, *_unreached(Check.SUMS, Check.MANIFEST))
        )
    return Report(
        described.version,
        described.commit,
        release.sums_digest,
        (first, *_rest(release, described, trust)),
    )


def _rest(release: Release, described: Manifest, trust: Trust) -> Iterator[Finding]:
    count = len(described.artifacts)
    yield _judge(
        Check.MANIFEST,
        f"artifacts: {count}, images: {len(described.images)}, as listed",
        lambda: manifest.compare(described, release),
    )
    yield _judge(
        Check.SBOM,
        "CycloneDX and SPDX agree for every artifact; for command and images also with what is inside",
        lambda: bom.compare(described, release),
    )
    yield _check_images(release, described)
    yield from _check_signature(release, described, trust)
    yield _check_age(release, described, trust.wanted)


def _check_images(release: Release, described: Manifest) -> Finding:
    if not described.images:
        return Finding(Check.IMAGES, Outcome.ABSENT, "the release has no images")
    archives = sorted({image.archive for image in described.images})

    def differences() -> Iterator[Refusal]:
        for name in archives:
            inside = [image for image in described.images if image.archive == name]
            yield from oci.compare(release.root / name, inside)

    says = f"images with the digest stated, down to their layers: {len(described.images)}"
    return _judge(Check.IMAGES, says, differences)


def _check_signature(release: Release, described: Manifest, trust: Trust) -> Iterator[Finding]:
    verifier = _open_verifier(trust)
    if isinstance(verifier, str):
        for check in (Check.SIGNATURE, Check.PROVENANCE, Check.ATTESTATIONS):
            yield Finding(check, Outcome.UNCHECKED, verifier)
        return
    builder = trust.expected.builder(described.version, trust.expected.commit or described.commit)
    try:
        signed = verifier(_read_bundle(release), builder)
    except ReleaseRefused as refused:
        yield _refused(Check.SIGNATURE, [refused.refusal])
        yield Finding(Check.PROVENANCE, Outcome.UNCHECKED, "the signature does not hold")
    else:
        says = f"signed by {builder.identity}, entry {signed.log_index} of the log"
        yield Finding(Check.SIGNATURE, Outcome.HOLDS, says)
        yield _judge(
            Check.PROVENANCE,
            f"all files were built from {builder.commit}",
            lambda: _compare_provenance(signed, release, described, builder),
        )
    yield _check_attestations(release, builder, verifier)


def _compare_provenance(
    signed: Signed, release: Release, described: Manifest, builder: Builder
) -> Iterator[Refusal]:
    if described.commit != builder.commit:
        yield Refusal(Reason.OTHER_COMMIT, manifest.MANIFEST, f"it says {described.commit}")
    statement = provenance.parse_statement(signed.payload)
    yield from provenance.compare(statement, release, builder)


def _open_verifier(trust: Trust) -> Verify | str:
    """A verifier, or why there is none."""
    if trust.root is None:
        return "no trust root was given: --trust-root"
    if not trust.expected.repository:
        return "no repository was given: --repository"
    try:
        keyless = import_module("caracal_server.release.keyless")
    except ImportError as fault:
        return f"{fault.name} is not installed: pip install 'caracal[release]'"
    opened: Verify = keyless.open_verifier(trust.root)
    return opened


def _read_bundle(release: Release) -> bytes:
    try:
        return sums.read_plain(release.root / BUNDLE, MAX_BUNDLE_BYTES)
    except OSError as fault:
        raise ReleaseRefused(Reason.NO_SIGNATURE, BUNDLE, f"{fault.strerror}") from None


def _check_attestations(release: Release, builder: Builder, verifier: Verify) -> Finding:
    count = sum(name.endswith(ATTESTATION_SUFFIX) for name in release.found)
    if not count:
        return Finding(Check.ATTESTATIONS, Outcome.ABSENT, "no PEP 740 attestation lies beside it")
    try:
        attestations = import_module("caracal_server.release.attestations")
    except ImportError as fault:
        return Finding(Check.ATTESTATIONS, Outcome.UNCHECKED, f"{fault.name} is not installed")
    return _judge(
        Check.ATTESTATIONS,
        f"PEP 740 attestations that hold: {count}",
        lambda: attestations.compare(release, builder, verifier),
    )


def _check_age(release: Release, described: Manifest, wanted: versions.Wanted) -> Finding:
    if wanted.says_nothing:
        says = "nothing says how new it must be: --version, --not-older-than or --state"
        return Finding(Check.FRESHNESS, Outcome.UNCHECKED, says)
    return _judge(
        Check.FRESHNESS,
        f"{described.version} is not older than asked for or seen",
        lambda: versions.compare_age(described.version, release.sums_digest, wanted),
    )


def _judge(check: Check, says: str, differences: Callable[[], Iterable[Refusal]]) -> Finding:
    found: list[Refusal] = []
    try:
        found.extend(differences())
    except ReleaseRefused as refused:
        found.append(refused.refusal)
    return _refused(check, found) if found else Finding(check, Outcome.HOLDS, says)


def _refused(check: Check, refusals: list[Refusal]) -> Finding:
    reasons = ", ".join(dict.fromkeys(one.reason for one in refusals))
    return Finding(check, Outcome.REFUSED, reasons, tuple(refusals))


def _unreached(*reached: Check) -> Iterator[Finding]:
    for check in Check:
        if check not in reached:
            yield Finding(check, Outcome.UNCHECKED, "what it rests on does not hold")
