"""PEP 740 attestations of the wheel and the sdist, verified like the release's own signature."""

from collections.abc import Callable, Iterator
from typing import Literal

import msgspec
from pypi_attestations import Attestation, AttestationType

from caracal_server.release.documents import decode
from caracal_server.release.findings import Reason, Refusal, ReleaseRefused
from caracal_server.release.identity import Builder, Signed
from caracal_server.release.provenance import Subject
from caracal_server.release.sums import ATTESTATION_SUFFIX, Release, read_plain

MAX_ATTESTATION_BYTES = 1024 * 1024


class _Publication(msgspec.Struct, frozen=True, rename="camel"):
    type: Literal["https://in-toto.io/Statement/v1"] = msgspec.field(name="_type")
    subject: tuple[Subject, ...]
    predicate_type: str


def compare(
    release: Release, builder: Builder, verify: Callable[[bytes, Builder], Signed]
) -> Iterator[Refusal]:
    """Yield which attestations do not hold for the file they stand beside."""
    for name in sorted(release.found):
        attested = name.removesuffix(ATTESTATION_SUFFIX)
        if attested == name or attested not in release.listed:
            continue
        try:
            raw = read_plain(release.root / name, MAX_ATTESTATION_BYTES)
            _verify_one(raw, attested, release.listed[attested], builder, verify)
        except ReleaseRefused as refused:
            found = refused.refusal
            yield Refusal(found.reason, name, found.says)


def _verify_one(
    raw: bytes,
    name: str,
    digest: str,
    builder: Builder,
    verify: Callable[[bytes, Builder], Signed],
) -> None:
    try:
        bundle = Attestation.model_validate_json(raw).to_bundle().to_json()
    except Exception as fault:  # noqa: BLE001 (the library lets out whatever the bytes provoke in others)
        says = (str(fault) or type(fault).__name__).splitlines()[0]
        raise ReleaseRefused(Reason.MALFORMED, name, says) from None
    signed = verify(bundle.encode(), builder)
    said = decode(signed.payload, _Publication, name)
    if said.predicate_type != AttestationType.PYPI_PUBLISH_V1.value:
        raise ReleaseRefused(Reason.MALFORMED, name, "it attests something other than publication")
    if [(one.name, one.digest.get("sha256")) for one in said.subject] != [(name, digest)]:
        raise ReleaseRefused(
            Reason.PROVENANCE_DISAGREES, name, "the attestation is about another file"
        )
