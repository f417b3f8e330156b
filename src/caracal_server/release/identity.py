"""Who may build a release: the workflow, at the tag and the commit, on the forge's own machines."""

from importlib.metadata import PackageNotFoundError, metadata

import msgspec

ISSUER = "https://token.actions.githubusercontent.com"
WORKFLOW = ".github/workflows/release.yml"
RUNNER = "github-hosted"

_SOURCE = "Source, "


class Expected(msgspec.Struct, frozen=True):
    """What the caller pins; an empty commit pins none beyond what the manifest states."""

    repository: str
    workflow: str = WORKFLOW
    issuer: str = ISSUER
    commit: str = ""

    def builder(self, version: str, commit: str) -> "Builder":
        """The one builder that may have made this version from this commit."""
        return Builder(
            issuer=self.issuer,
            repository=self.repository.rstrip("/"),
            workflow=self.workflow,
            ref=f"refs/tags/v{version}",
            commit=commit,
        )


class Builder(msgspec.Struct, frozen=True):
    """An identity as a certificate states it."""

    issuer: str
    repository: str
    workflow: str
    ref: str
    commit: str
    runner: str = RUNNER

    @property
    def identity(self) -> str:
        """The certificate's subject: the workflow file at the tag."""
        return f"{self.repository}/{self.workflow}@{self.ref}"


class Signed(msgspec.Struct, frozen=True):
    """A payload whose signature, certificate and log entry were verified; time in seconds since 1970."""

    payload: bytes
    log_index: int
    signed_at: int


def official_repository() -> str:
    """The repository that this installation's metadata names as its source; empty when it names none."""
    try:
        links = metadata("caracal").get_all("Project-URL") or ()
    except PackageNotFoundError:
        return ""
    return next((link.removeprefix(_SOURCE) for link in links if link.startswith(_SOURCE)), "")
