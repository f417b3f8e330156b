"""Say in a signed statement what a workflow built: `python -m distribution.attest DIST`, as its last step.

It runs where the release workflow runs, signs with the identity that the forge gives that run, and leaves
`provenance.sigstore.json` behind. What the manifest says must be what the run is.
"""

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from sigstore.dsse import Statement
from sigstore.models import ClientTrustConfig
from sigstore.oidc import IdentityToken, detect_credential
from sigstore.sign import SigningContext

from caracal_server.release import manifest, provenance, sums
from caracal_server.release.identity import Builder
from caracal_server.release.manifest import Manifest
from caracal_server.release.provenance import Dependency
from caracal_server.release.sums import BUNDLE
from distribution.faults import CannotBuild
from distribution.packed import sha256

LOCKS = ("requirements/cli.txt", "requirements/image.txt", "distribution/debian.lock.toml")

Sign = Callable[[bytes], bytes]


def builder_of(run: Mapping[str, str]) -> Builder:
    """Who is building, by the variables that the forge sets in a run.

    Raises:
        CannotBuild: this is no run of a workflow.
    """
    try:
        repository = run["GITHUB_REPOSITORY"]
        path, _, ref = run["GITHUB_WORKFLOW_REF"].removeprefix(f"{repository}/").partition("@")
        return Builder(
            issuer="https://token.actions.githubusercontent.com",
            repository=f"{run['GITHUB_SERVER_URL']}/{repository}",
            workflow=path,
            ref=ref,
            commit=run["GITHUB_SHA"],
            runner=run["RUNNER_ENVIRONMENT"],
        )
    except KeyError as missing:
        raise CannotBuild(f"this is no run of a workflow: {missing} is not set") from None


def attest(dist: Path, root: Path, run: Mapping[str, str], sign: Sign) -> Path:
    """Write the signed provenance of a release, made by this run.

    Args:
        dist: the release, complete but for this.
        root: the tree that it was built from.
        run: the variables of the run.
        sign: makes a Sigstore bundle of a statement.

    Raises:
        CannotBuild: the release is of another version or commit than the run.
        ReleaseRefused: its files are not what it lists.
    """
    release = sums.open_release(dist)
    described = manifest.read_manifest(release)
    builder = builder_of(run)
    _require_own(described, builder)
    differing = [
        one.subject for one in (*sums.compare(release), *manifest.compare(described, release))
    ]
    if differing:
        raise CannotBuild(f"the release does not list what it holds: {', '.join(differing)}")
    statement = provenance.state(
        provenance.subjects_of(release),
        builder,
        f"{builder.repository}/actions/runs/{run['GITHUB_RUN_ID']}/attempts/{run['GITHUB_RUN_ATTEMPT']}",
        [Dependency(lock, {"sha256": sha256((root / lock).read_bytes())}) for lock in LOCKS],
        described.epoch,
    )
    bundle = dist / BUNDLE
    bundle.write_bytes(sign(statement))
    return bundle


def _require_own(described: Manifest, builder: Builder) -> None:
    if builder.ref != f"refs/tags/v{described.version}":
        raise CannotBuild(f"version {described.version} is not built at {builder.ref}")
    if builder.commit != described.commit:
        raise CannotBuild(f"built from {described.commit}, and this run is of {builder.commit}")


def keyless(statement: bytes) -> bytes:
    """Sign with the identity of this run, recorded in the public log. Needs the forge and the network."""
    credential = detect_credential()
    if credential is None:
        raise CannotBuild("this run has no identity: it needs the permission `id-token: write`")
    context = SigningContext.from_trust_config(ClientTrustConfig.production())
    with context.signer(IdentityToken(credential)) as signer:
        return signer.sign_dsse(Statement(statement)).to_json().encode()


def main() -> int:
    """Attest the release in the folder named on the command line."""
    root = Path(__file__).parent.parent
    print(f"signed {attest(Path(sys.argv[1]), root, os.environ, keyless)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
