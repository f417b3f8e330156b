"""`caracal release`: verify what was downloaded before anything of it runs."""

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from caracal_server.cli.failures import CommandFailed, ExitCode
from caracal_server.cli.options import JsonOption
from caracal_server.cli.output import print_json, print_table, say
from caracal_server.release import identity, verification
from caracal_server.release.findings import (
    Check,
    Finding,
    Outcome,
    ReleaseRefused,
    TrustRootUnreadable,
)
from caracal_server.release.identity import Expected
from caracal_server.release.verification import Report, Trust
from caracal_server.release.versions import Seen, Wanted, order, remember

app = typer.Typer(help="A release, and whether it is what was built from this repository.")


DirectoryArgument = Annotated[
    Path, typer.Argument(metavar="DIR", help="A release, as it was downloaded.")
]
TrustRootOption = Annotated[
    Path | None,
    typer.Option(
        "--trust-root", metavar="FILE", help="A Sigstore TrustedRoot, obtained from elsewhere."
    ),
]
RepositoryOption = Annotated[
    str,
    typer.Option(
        "--repository", metavar="URL", help="Whose release it must be.", show_default=False
    ),
]
WorkflowOption = Annotated[
    str, typer.Option("--workflow", metavar="PATH", help="The workflow that must have built it.")
]
IssuerOption = Annotated[
    str, typer.Option("--issuer", metavar="URL", help="Who must vouch for the workflow.")
]
CommitOption = Annotated[
    str, typer.Option("--commit", metavar="SHA", help="The commit it must be built from.")
]
VersionOption = Annotated[
    str, typer.Option("--version", metavar="V", help="The version it must be.")
]
OldestOption = Annotated[
    str, typer.Option("--not-older-than", metavar="V", help="The oldest version to accept.")
]
StateOption = Annotated[
    Path | None,
    typer.Option(
        "--state", metavar="FILE", help="Remembers the newest release whose signature held."
    ),
]
AcceptOption = Annotated[
    list[Check] | None,
    typer.Option("--accept-unchecked", metavar="CHECK", help="Do without a check; repeatable."),
]


class Verdict(msgspec.Struct, frozen=True):
    """What `--json` prints."""

    verified: bool
    directory: str
    version: str
    commit: str
    sums_sha256: str
    findings: tuple[Finding, ...]


@app.callback()
def release() -> None:
    """A release, and whether it is what was built from this repository."""


@app.command()
def verify(
    directory: DirectoryArgument,
    *,
    trust_root: TrustRootOption = None,
    repository: RepositoryOption = "",
    workflow: WorkflowOption = identity.WORKFLOW,
    issuer: IssuerOption = identity.ISSUER,
    commit: CommitOption = "",
    version: VersionOption = "",
    not_older_than: OldestOption = "",
    state: StateOption = None,
    accept_unchecked: AcceptOption = None,
    json: JsonOption = False,
) -> None:
    """Verify a release offline; end with 1 unless every check holds."""
    if not directory.is_dir():
        raise CommandFailed(ExitCode.USAGE, f"{directory} is not a directory")
    _require_version(not_older_than)
    expected = Expected(repository or identity.official_repository(), workflow, issuer, commit)
    trust = Trust(expected, trust_root, Wanted(version, not_older_than, state))
    report = _verify(directory, trust)
    verified = report.verified(accept_unchecked or ())
    if json:
        print_json(_verdict(directory, report, verified=verified))
    else:
        _show(report)
    if not verified:
        raise _refusal(directory, report)
    if state is not None and report.vouched:
        _remember(state, report)
    if not json:
        say(_conclusion(report))


def _require_version(text: str) -> None:
    try:
        if text:
            order(text)
    except ReleaseRefused as refused:
        raise CommandFailed(ExitCode.USAGE, f"--not-older-than: {refused.refusal.says}") from None


def _verify(directory: Path, trust: Trust) -> Report:
    try:
        return verification.verify(directory, trust)
    except TrustRootUnreadable as fault:
        raise CommandFailed(ExitCode.USAGE, f"can not read the trust root {fault}") from None
    except OSError as fault:
        says = f"can not read {fault.filename}: {fault.strerror}"
        raise CommandFailed(ExitCode.USAGE, says) from None


def _verdict(directory: Path, report: Report, *, verified: bool) -> Verdict:
    return Verdict(
        verified,
        str(directory),
        report.version,
        report.commit,
        report.sums_sha256,
        report.findings,
    )


def _show(report: Report) -> None:
    rows = [(one.check, one.outcome, one.says) for one in report.findings]
    print_table(("check", "outcome", "what"), rows, empty="nothing was checked")
    for one in report.findings:
        for refusal in one.refusals:
            say(f"  {refusal.reason}: {refusal.subject}: {refusal.says}")


def _conclusion(report: Report) -> str:
    done_without = [one.check for one in report.findings if one.outcome is Outcome.UNCHECKED]
    but = f", but for what was not checked: {', '.join(done_without)}" if done_without else ""
    return f"verified: caracal {report.version} of {report.commit}{but}"


def _refusal(directory: Path, report: Report) -> CommandFailed:
    refused = [one.check for one in report.findings if one.outcome is Outcome.REFUSED]
    if refused:
        what = f"{directory} is refused: {', '.join(refused)}"
        return CommandFailed(ExitCode.REFUSED, what, "use nothing of it; download it anew")
    unchecked = [one.check for one in report.findings if one.outcome is Outcome.UNCHECKED]
    what = f"{directory} is refused: not checked: {', '.join(unchecked)}"
    advice = "give what the check needs, or name it with --accept-unchecked"
    return CommandFailed(ExitCode.REFUSED, what, advice)


def _remember(state: Path, report: Report) -> None:
    try:
        remember(state, Seen(report.version, report.sums_sha256))
    except OSError as fault:
        says = f"can not write {state}: {fault.strerror}"
        raise CommandFailed(ExitCode.USAGE, says) from None
