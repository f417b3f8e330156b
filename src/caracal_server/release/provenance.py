"""SLSA provenance v1, an in-toto Statement v1: what was built, by whom, from what.

The build type is the forge's own for a workflow run (actions.github.io/buildtypes/workflow/v1), so that
other verifiers read it too. What a statement says of its builder is believed only as far as the
certificate says the same.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

import msgspec

from caracal_server.release.documents import decode
from caracal_server.release.findings import Reason, Refusal
from caracal_server.release.identity import Builder
from caracal_server.release.sums import SUMS, Release

STATEMENT: Literal["https://in-toto.io/Statement/v1"] = "https://in-toto.io/Statement/v1"
PREDICATE: Literal["https://slsa.dev/provenance/v1"] = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "https://actions.github.io/buildtypes/workflow/v1"

_Digests = Mapping[str, str]


class Subject(msgspec.Struct, frozen=True):
    """A file and its digests by algorithm."""

    name: str
    digest: _Digests


class Workflow(msgspec.Struct, frozen=True):
    """The workflow that ran."""

    ref: str
    repository: str
    path: str


class ExternalParameters(msgspec.Struct, frozen=True):
    """What whoever started the build could choose."""

    workflow: Workflow


class Dependency(msgspec.Struct, frozen=True):
    """What went into the build: the source, and the locks that fix everything else."""

    uri: str
    digest: _Digests


class BuildDefinition(msgspec.Struct, frozen=True, rename="camel"):
    """How it was built."""

    build_type: str
    external_parameters: ExternalParameters
    internal_parameters: Mapping[str, str]
    resolved_dependencies: tuple[Dependency, ...]


class BuilderId(msgspec.Struct, frozen=True):
    """Who built it."""

    id: str


class RunMetadata(msgspec.Struct, frozen=True, rename="camel"):
    """Which run it was."""

    invocation_id: str


class RunDetails(msgspec.Struct, frozen=True):
    """The run."""

    builder: BuilderId
    metadata: RunMetadata


class Provenance(msgspec.Struct, frozen=True, rename="camel"):
    """The predicate."""

    build_definition: BuildDefinition
    run_details: RunDetails


class Statement(msgspec.Struct, frozen=True, rename="camel"):
    """The statement, as it is signed."""

    type: Literal["https://in-toto.io/Statement/v1"] = msgspec.field(name="_type")
    subject: tuple[Subject, ...]
    predicate_type: Literal["https://slsa.dev/provenance/v1"]
    predicate: Provenance


def parse_statement(payload: bytes) -> Statement:
    """Parse a statement.

    Raises:
        ReleaseRefused: it is not a SLSA provenance statement.
    """
    return decode(payload, Statement, "provenance")


def state(
    subjects: Mapping[str, str],
    builder: Builder,
    invocation: str,
    locks: Iterable[Dependency] = (),
    epoch: int = 0,
) -> bytes:
    """Render the statement about files by their SHA-256, built by `builder`."""
    source = Dependency(f"git+{builder.repository}@{builder.ref}", {"gitCommit": builder.commit})
    definition = BuildDefinition(
        BUILD_TYPE,
        ExternalParameters(Workflow(builder.ref, builder.repository, builder.workflow)),
        {"SOURCE_DATE_EPOCH": str(epoch), "runner_environment": builder.runner},
        (source, *locks),
    )
    statement = Statement(
        STATEMENT,
        tuple(Subject(name, {"sha256": subjects[name]}) for name in sorted(subjects)),
        PREDICATE,
        Provenance(definition, RunDetails(BuilderId(builder.identity), RunMetadata(invocation))),
    )
    return msgspec.json.encode(statement, order="deterministic")


def subjects_of(release: Release) -> dict[str, str]:
    """What a release's provenance is about: every listed file, and the list."""
    return {**release.listed, SUMS: release.sums_digest}


def compare(statement: Statement, release: Release, builder: Builder) -> Iterator[Refusal]:
    """Yield where the statement is not about this release, or not by this builder."""
    yield from _compare_subjects(statement, release)
    predicate = statement.predicate
    definition = predicate.build_definition
    ran = definition.external_parameters.workflow
    commits = {
        one.digest.get("gitCommit")
        for one in definition.resolved_dependencies
        if one.uri == f"git+{builder.repository}@{builder.ref}"
    }
    for reason, said, expected in (
        (Reason.PROVENANCE_DISAGREES, definition.build_type, BUILD_TYPE),
        (Reason.OTHER_REPOSITORY, ran.repository, builder.repository),
        (Reason.OTHER_TAG, ran.ref, builder.ref),
        (Reason.OTHER_WORKFLOW, ran.path, builder.workflow),
        (Reason.OTHER_BUILDER, predicate.run_details.builder.id, builder.identity),
    ):
        if said != expected:
            yield Refusal(reason, "provenance", f"it says {said}, and not {expected}")
    if commits != {builder.commit}:
        yield Refusal(Reason.OTHER_COMMIT, "provenance", f"not built from {builder.commit}")


def _compare_subjects(statement: Statement, release: Release) -> Iterator[Refusal]:
    expected = subjects_of(release)
    stated = {one.name: one.digest for one in statement.subject}
    if len(stated) != len(statement.subject):
        yield Refusal(Reason.PROVENANCE_DISAGREES, "provenance", "two subjects share a name")
    for name in sorted(expected):
        digests = stated.get(name)
        if digests is None:
            yield Refusal(Reason.PROVENANCE_DISAGREES, name, "the provenance is not about it")
        elif "sha256" not in digests:
            algorithms = ", ".join(sorted(digests)) or "nothing"
            yield Refusal(Reason.WRONG_ALGORITHM, name, f"its provenance has only {algorithms}")
        elif digests["sha256"] != expected[name]:
            yield Refusal(Reason.PROVENANCE_DISAGREES, name, "its provenance has another digest")
    for name in sorted(set(stated) - set(expected)):
        yield Refusal(Reason.PROVENANCE_DISAGREES, name, "attested, and not part of the release")
