"""What verification answers: for each check whether it holds, and else the reason by name."""

from enum import StrEnum

import msgspec


class Check(StrEnum):
    """What is looked at. Names are what `--accept-unchecked` and `--json` use: never reused."""

    SUMS = "sums"
    MANIFEST = "manifest"
    SBOM = "sbom"
    IMAGES = "images"
    SIGNATURE = "signature"
    PROVENANCE = "provenance"
    FRESHNESS = "freshness"
    ATTESTATIONS = "attestations"


class Reason(StrEnum):
    """Why a release is refused. Names are for programs: never reused for something else."""

    ADDED_FILE = "added_file"
    CHANGED_FILE = "changed_file"
    MISSING_FILE = "missing_file"
    SWAPPED_FILE = "swapped_file"
    WRONG_ALGORITHM = "wrong_algorithm"
    MALFORMED = "malformed"
    MANIFEST_DISAGREES = "manifest_disagrees"
    SBOM_MISSING = "sbom_missing"
    SBOM_DISAGREES = "sbom_disagrees"
    IMAGE_CHANGED = "image_changed"
    NO_SIGNATURE = "no_signature"
    BAD_SIGNATURE = "bad_signature"
    NO_LOG_ENTRY = "no_log_entry"
    BAD_LOG_ENTRY = "bad_log_entry"
    EXPIRED_CERTIFICATE = "expired_certificate"
    UNTRUSTED_CERTIFICATE = "untrusted_certificate"
    OTHER_ISSUER = "other_issuer"
    OTHER_REPOSITORY = "other_repository"
    OTHER_WORKFLOW = "other_workflow"
    OTHER_TAG = "other_tag"
    OTHER_COMMIT = "other_commit"
    OTHER_BUILDER = "other_builder"
    PROVENANCE_DISAGREES = "provenance_disagrees"
    OTHER_VERSION = "other_version"
    DOWNGRADED = "downgraded"
    REPLAYED = "replayed"
    REISSUED = "reissued"


class Outcome(StrEnum):
    """Where a check ended."""

    HOLDS = "holds"
    REFUSED = "refused"
    UNCHECKED = "unchecked"
    ABSENT = "absent"
    """There is nothing to check, and nothing that has to be there."""


class Refusal(msgspec.Struct, frozen=True):
    """One thing that is wrong: why, with which file or field, and in words."""

    reason: Reason
    subject: str
    says: str


class Finding(msgspec.Struct, frozen=True):
    """What a check answered; `says` is what was seen, or why it could not be looked at."""

    check: Check
    outcome: Outcome
    says: str
    refusals: tuple[Refusal, ...] = ()


class ReleaseRefused(Exception):
    """A step ends at the first thing that is wrong, because what follows would rest on it."""

    def __init__(self, reason: Reason, subject: str, says: str) -> None:
        super().__init__(f"{reason}: {subject}: {says}")
        self.refusal = Refusal(reason, subject, says)


class TrustRootUnreadable(Exception):
    """The trust root's file is missing or is not a Sigstore TrustedRoot."""
