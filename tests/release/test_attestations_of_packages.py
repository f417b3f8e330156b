"""PEP 740 attestations that lie beside the wheel and the sdist.

The `pypi-attestations` library verifies only against Sigstore's public instance; what is tested here is its reading of
an attestation, and our verification of it against a trust root of our own.
"""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from pypi_attestations import Attestation, AttestationType
from sigstore.models import Bundle

from caracal_server.release.findings import Check, Finding, Outcome, Reason
from caracal_server.release.manifest import Kind
from tests.support.release import LocalRelease, digest

PUBLISH = AttestationType.PYPI_PUBLISH_V1.value


def attest(release: LocalRelease, kind: Kind, **changes: object) -> None:
    """Put beside an artifact what the publishing workflow would have made for it."""
    artifact = release.path(kind)
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": artifact.name, "digest": {"sha256": digest(artifact)}}],
        "predicateType": PUBLISH,
        "predicate": None,
    } | changes
    bundle = release.sigstore.sign(json.dumps(statement).encode(), release.workflow)
    attestation = Attestation.from_bundle(Bundle.from_json(bundle)).model_dump_json()
    (release.dist / f"{artifact.name}.publish.attestation").write_text(attestation)


def found(release: LocalRelease) -> Finding:
    return next(one for one in release.verify().findings if one.check is Check.ATTESTATIONS)


def reasons(release: LocalRelease) -> set[Reason]:
    return {refusal.reason for refusal in found(release).refusals}


def test_good_attestations_hold_and_count_as_part_of_the_release(release: LocalRelease):
    attest(release, Kind.WHEEL)
    attest(release, Kind.SDIST)
    report = release.verify()
    assert report.verified()
    assert found(release).outcome is Outcome.HOLDS
    assert found(release).says.endswith(": 2")


def test_the_attestation_of_another_file_is_refused(release: LocalRelease):
    attest(release, Kind.WHEEL, subject=[{"name": "other.whl", "digest": {"sha256": "0" * 64}}])
    assert reasons(release) == {Reason.PROVENANCE_DISAGREES}


def test_an_attestation_by_another_repository_is_refused(release: LocalRelease):
    own = release.workflow
    release.workflow = replace(own, repository="https://github.com/attacker/caracal")
    attest(release, Kind.WHEEL)
    release.workflow = own
    assert reasons(release) == {Reason.OTHER_REPOSITORY}


def test_an_attestation_that_says_something_else_is_refused(release: LocalRelease):
    attest(release, Kind.WHEEL, predicateType="https://example.com/other")
    assert reasons(release) == {Reason.MALFORMED}


def _forge(document: dict) -> None:
    document["envelope"]["signature"] = document["envelope"]["statement"]


def _forget_the_log(document: dict) -> None:
    document["verification_material"]["transparency_entries"] = []


@pytest.mark.parametrize(
    ("edit", "reason"), [(_forge, Reason.BAD_SIGNATURE), (_forget_the_log, Reason.MALFORMED)]
)
def test_a_broken_attestation_is_refused(
    release: LocalRelease, edit: Callable[[dict], None], reason: Reason
):
    attest(release, Kind.WHEEL)
    file = release.dist / f"{release.path(Kind.WHEEL).name}.publish.attestation"
    document = json.loads(file.read_text())
    edit(document)
    file.write_text(json.dumps(document))
    assert reasons(release) == {reason}
    assert not release.verify().verified()


def test_an_attestation_of_nothing_in_the_release_is_an_added_file(release: LocalRelease):
    (release.dist / "other.whl.publish.attestation").write_text("{}")
    sums = next(one for one in release.verify().findings if one.check is Check.SUMS)
    assert {one.reason for one in sums.refusals} == {Reason.ADDED_FILE}
