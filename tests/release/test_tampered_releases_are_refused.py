"""Whatever is planted in a release, verification refuses it and names the reason.

Where an attacker could also write `release.json` and `SHA256SUMS` anew, the test does that as well: what is left
to catch them is the signature.
"""

import json
import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from caracal_server.release.findings import Check, Outcome, Reason
from caracal_server.release.manifest import MANIFEST, Kind
from caracal_server.release.sums import BUNDLE, SUMS
from caracal_server.release.verification import Report, verify
from tests.support.release import LocalRelease, build


def reasons(report: Report, check: Check | None = None) -> set[Reason]:
    assert not report.verified()
    return {
        refusal.reason
        for finding in report.findings
        if check in {None, finding.check}
        for refusal in finding.refusals
    }


def test_a_release_that_nobody_touched_verifies(release: LocalRelease):
    report = release.verify()
    assert report.verified()
    outcomes = {finding.check: finding.outcome for finding in report.findings}
    absent = {check for check, outcome in outcomes.items() if outcome is Outcome.ABSENT}
    assert outcomes.keys() == set(Check)
    assert absent == {Check.ATTESTATIONS}


@pytest.mark.parametrize("kind", [Kind.WHEEL, Kind.SDIST, Kind.CLI, Kind.IMAGES, Kind.CHART])
def test_a_changed_byte_is_refused(release: LocalRelease, kind: Kind):
    file = release.path(kind)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    assert Reason.CHANGED_FILE in reasons(release.verify(), Check.SUMS)


def test_a_changed_byte_is_refused_when_the_lists_are_written_anew(release: LocalRelease):
    file = release.path(Kind.SDIST)
    file.write_bytes(file.read_bytes() + b"!")
    release.list_again()
    found = reasons(release.verify(), Check.PROVENANCE)
    assert found == {Reason.PROVENANCE_DISAGREES}


def test_a_swapped_file_is_refused(release: LocalRelease):
    wheel, sdist = release.path(Kind.WHEEL), release.path(Kind.SDIST)
    one, other = wheel.read_bytes(), sdist.read_bytes()
    wheel.write_bytes(other)
    sdist.write_bytes(one)
    assert reasons(release.verify(), Check.SUMS) == {Reason.SWAPPED_FILE}
    release.list_again()
    assert reasons(release.verify(), Check.PROVENANCE) == {Reason.PROVENANCE_DISAGREES}


def test_a_release_of_another_repository_is_refused(release: LocalRelease):
    release.workflow = replace(release.workflow, repository="https://github.com/attacker/caracal")
    release.sign_again()
    assert reasons(release.verify()) == {Reason.OTHER_REPOSITORY}


def test_a_release_by_another_workflow_is_refused(release: LocalRelease):
    release.workflow = replace(release.workflow, path=".github/workflows/test.yml")
    release.sign_again()
    assert reasons(release.verify()) == {Reason.OTHER_WORKFLOW}


@pytest.mark.parametrize("after", [timedelta(hours=1), timedelta(minutes=-1)])
def test_a_signature_outside_its_certificate_s_lifetime_is_refused(
    release: LocalRelease, after: timedelta
):
    release.sign_again(after=after)
    assert reasons(release.verify()) == {Reason.EXPIRED_CERTIFICATE}


def test_a_signature_that_no_log_has_recorded_is_refused(release: LocalRelease):
    release.edit_bundle(lambda bundle: bundle["verificationMaterial"].update(tlogEntries=[]))
    assert reasons(release.verify()) == {Reason.NO_LOG_ENTRY}


def test_an_older_version_than_asked_for_is_refused(release: LocalRelease):
    assert reasons(release.verify(at_least="1.2.4")) == {Reason.DOWNGRADED}
    assert reasons(release.verify(exactly="1.3.0")) == {Reason.OTHER_VERSION}


def test_an_added_file_is_refused(release: LocalRelease):
    (release.dist / "install-me.sh").write_text("exit 0\n")
    assert reasons(release.verify()) == {Reason.ADDED_FILE}
    release.sum_again()
    assert reasons(release.verify()) >= {Reason.MANIFEST_DISAGREES, Reason.PROVENANCE_DISAGREES}


def test_a_link_in_place_of_a_file_is_refused(release: LocalRelease, tmp_path: Path):
    wheel = release.path(Kind.WHEEL)
    wheel.rename(tmp_path / "elsewhere.whl")
    wheel.symlink_to(tmp_path / "elsewhere.whl")
    assert reasons(release.verify(), Check.SUMS) == {Reason.ADDED_FILE}


@pytest.mark.parametrize("name", [SUMS, BUNDLE, MANIFEST, "cli", "images", "more"])
@pytest.mark.timeout(20)
def test_a_fifo_in_place_of_a_file_is_refused_and_not_waited_for(release: LocalRelease, name: str):
    kinds = {kind.value for kind in (Kind.CLI, Kind.IMAGES)}
    file = release.path(Kind(name)) if name in kinds else release.dist / name
    file.unlink(missing_ok=True)
    os.mkfifo(file)
    expected = Reason.MALFORMED if name == SUMS else Reason.ADDED_FILE
    assert reasons(release.verify(), Check.SUMS) == {expected}


def test_an_archive_of_images_that_holds_no_image_stated_is_refused(release: LocalRelease):
    bare = msgspec.structs.replace(release.manifest, images=())
    (release.dist / MANIFEST).write_bytes(msgspec.json.encode(bare))
    release.sum_again()
    release.sign_again()
    assert reasons(release.verify(), Check.MANIFEST) == {Reason.MANIFEST_DISAGREES}


@pytest.mark.parametrize("kind", [Kind.WHEEL, Kind.CLI])
@pytest.mark.parametrize("suffix", [".cdx.json", ".spdx.json"])
def test_an_altered_bill_of_materials_is_refused(release: LocalRelease, kind: Kind, suffix: str):
    file = release.dist / (release.path(kind).name + suffix)
    file.write_text(file.read_text().replace("0.28.1", "0.28.2"))
    assert Reason.CHANGED_FILE in reasons(release.verify(), Check.SUMS)
    release.list_again()
    release.sign_again()
    assert reasons(release.verify()) == {Reason.SBOM_DISAGREES}


def test_an_old_release_replayed_as_the_newest_is_refused(tmp_path: Path):
    (tmp_path / "old").mkdir()
    old = build(tmp_path / "old", "1.2.2")
    state = tmp_path / "seen.json"
    state.write_text(json.dumps({"version": "1.2.3", "sums_sha256": "0" * 64}))
    assert old.verify(exactly="1.2.2").verified()
    assert reasons(old.verify(state=state)) == {Reason.REPLAYED}


def test_an_old_release_relabelled_as_new_is_refused(release: LocalRelease):
    file = release.dist / MANIFEST
    file.write_text(file.read_text().replace('"version":"1.2.3"', '"version":"9.9.9"'))
    release.sum_again()
    assert Reason.OTHER_TAG in reasons(release.verify(exactly="9.9.9"), Check.SIGNATURE)


def test_a_version_issued_twice_is_refused(release: LocalRelease, tmp_path: Path):
    state = tmp_path / "seen.json"
    state.write_text(json.dumps({"version": release.version, "sums_sha256": "0" * 64}))
    assert reasons(release.verify(state=state)) == {Reason.REISSUED}


def test_digests_of_another_algorithm_are_refused(release: LocalRelease):
    def weaken(statement: dict) -> None:
        for subject in statement["subject"]:
            subject["digest"] = {"sha1": "0" * 40}

    release.edit_statement(weaken)
    assert reasons(release.verify()) == {Reason.WRONG_ALGORITHM}
    sums = release.dist / SUMS
    sums.write_text(
        "".join(f"{'0' * 128}  {line[66:]}\n" for line in sums.read_text().splitlines())
    )
    assert reasons(release.verify()) == {Reason.WRONG_ALGORITHM}


def test_a_missing_file_is_refused(release: LocalRelease):
    release.path(Kind.CHART).unlink()
    assert Reason.MISSING_FILE in reasons(release.verify(), Check.SUMS)


def test_a_missing_bill_is_refused(release: LocalRelease):
    name = release.path(Kind.SDIST).name + ".cdx.json"
    (release.dist / name).unlink()
    document = json.loads((release.dist / MANIFEST).read_text())
    document["artifacts"] = [one for one in document["artifacts"] if one["name"] != name]
    (release.dist / MANIFEST).write_text(json.dumps(document))
    release.sum_again()
    release.sign_again()
    assert reasons(release.verify()) == {Reason.SBOM_MISSING}


def test_a_missing_signature_is_refused(release: LocalRelease):
    (release.dist / BUNDLE).unlink()
    assert Reason.NO_SIGNATURE in reasons(release.verify(), Check.SIGNATURE)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"ref": "refs/heads/main"}, Reason.OTHER_TAG),
        ({"commit": "d" * 40}, Reason.OTHER_COMMIT),
        ({"issuer": "https://issuer.example"}, Reason.OTHER_ISSUER),
        ({"runner": "self-hosted"}, Reason.OTHER_BUILDER),
    ],
)
def test_a_certificate_for_anything_else_is_refused(
    release: LocalRelease, changes: dict[str, str], reason: Reason
):
    release.workflow = replace(release.workflow, **changes)
    release.sign_again()
    assert reasons(release.verify()) == {reason}


def _other_path(statement: dict) -> None:
    statement["predicate"]["buildDefinition"]["externalParameters"]["workflow"]["path"] = (
        "other.yml"
    )


def _other_builder(statement: dict) -> None:
    statement["predicate"]["runDetails"]["builder"]["id"] = "https://builder.example"


def _other_source(statement: dict) -> None:
    statement["predicate"]["buildDefinition"]["resolvedDependencies"] = []


def _one_less(statement: dict) -> None:
    statement["subject"].pop()


def _one_more(statement: dict) -> None:
    statement["subject"].append({"name": "more", "digest": {"sha256": "0" * 64}})


def _not_provenance(statement: dict) -> None:
    statement["predicateType"] = "https://example.com/other"


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (_other_path, Reason.OTHER_WORKFLOW),
        (_other_builder, Reason.OTHER_BUILDER),
        (_other_source, Reason.OTHER_COMMIT),
        (_one_less, Reason.PROVENANCE_DISAGREES),
        (_one_more, Reason.PROVENANCE_DISAGREES),
        (_not_provenance, Reason.MALFORMED),
    ],
)
def test_provenance_that_says_something_else_is_refused(
    release: LocalRelease, edit, reason: Reason
):
    release.edit_statement(edit)
    assert reasons(release.verify(), Check.PROVENANCE) == {reason}


@pytest.mark.parametrize(
    ("before", "old", "new"),
    [
        (b'"Entrypoint":["/bin/x"]', b"/bin/x", b"/bin/y"),
        (b'"org.opencontainers.image.ref.name":"gateway"', b"gateway", b"gatewax"),
        (b'"imageLayoutVersion"', b"", b""),
    ],
)
def test_an_image_that_is_not_the_one_stated_is_refused(
    release: LocalRelease, before: bytes, old: bytes, new: bytes
):
    archive = release.path(Kind.IMAGES)
    content = archive.read_bytes()
    at = content.index(before)
    changed = content[:at] + content[at:].replace(old, new, 1) if old else content[: at // 2]
    archive.write_bytes(changed)
    release.list_again()
    release.sign_again()
    assert reasons(release.verify(), Check.IMAGES) == {Reason.IMAGE_CHANGED}


def test_a_manifest_of_another_format_is_refused_and_nothing_rests_on_it(release: LocalRelease):
    file = release.dist / MANIFEST
    file.write_text(file.read_text().replace("caracal-release/1", "caracal-release/2"))
    release.sum_again()
    report = release.verify()
    assert reasons(report) == {Reason.MALFORMED}
    outcomes = {finding.check: finding.outcome for finding in report.findings}
    assert outcomes[Check.MANIFEST] is Outcome.REFUSED
    assert outcomes[Check.SIGNATURE] is Outcome.UNCHECKED
    assert not report.verified(accepted=set(Check))


def _name_twice(document: dict) -> None:
    document["components"].append(document["components"][0])


def _name_nothing(document: dict) -> None:
    del document["components"][0]["purl"]


def _say_nothing_of_the_subject(document: dict) -> None:
    document["metadata"]["component"]["hashes"] = []


@pytest.mark.parametrize("edit", [_name_twice, _name_nothing, _say_nothing_of_the_subject])
def test_a_bill_that_leaves_open_what_it_means_is_refused(release: LocalRelease, edit):
    file = release.dist / (release.path(Kind.WHEEL).name + ".cdx.json")
    document = json.loads(file.read_text())
    edit(document)
    file.write_text(json.dumps(document))
    release.list_again()
    release.sign_again()
    assert reasons(release.verify()) == {Reason.MALFORMED}


def test_a_bill_of_another_artifact_is_refused(release: LocalRelease):
    wheel, sdist = release.path(Kind.WHEEL).name, release.path(Kind.SDIST).name
    other = (release.dist / f"{sdist}.spdx.json").read_bytes()
    (release.dist / f"{wheel}.spdx.json").write_bytes(other)
    release.list_again()
    release.sign_again()
    assert reasons(release.verify()) == {Reason.SBOM_DISAGREES}


def test_an_spdx_document_about_two_things_is_refused(release: LocalRelease):
    file = release.dist / (release.path(Kind.WHEEL).name + ".spdx.json")
    document = json.loads(file.read_text())
    document["relationships"].append(
        document["relationships"][0] | {"relatedSpdxElement": document["packages"][1]["SPDXID"]}
    )
    file.write_text(json.dumps(document))
    release.list_again()
    release.sign_again()
    assert reasons(release.verify()) == {Reason.MALFORMED}


def test_a_commit_that_the_caller_names_must_be_the_one(release: LocalRelease):
    trust = release.trust()
    for commit, verified in (("c" * 40, True), ("d" * 40, False)):
        expected = msgspec.structs.replace(trust.expected, commit=commit)
        report = verify(release.dist, msgspec.structs.replace(trust, expected=expected))
        assert report.verified() is verified
    assert reasons(report) == {Reason.OTHER_COMMIT}
