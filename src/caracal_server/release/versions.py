"""How new a release is: never older than asked for, never older than what was verified before."""

import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec

from caracal_server.release.documents import decode
from caracal_server.release.findings import Reason, Refusal, ReleaseRefused

_VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:(a|b|rc)(0|[1-9]\d*))?")
_FINAL = ("z", 0)


class Wanted(msgspec.Struct, frozen=True):
    """What the caller knows of how new the release must be; nothing is known of an empty field."""

    exactly: str = ""
    at_least: str = ""
    state: Path | None = None

    @property
    def says_nothing(self) -> bool:
        return not (self.exactly or self.at_least or self.state)


class Seen(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The newest release that was verified before, as the state file keeps it."""

    version: str
    sums_sha256: str


def order(version: str) -> tuple[int, int, int, str, int]:
    """A key that sorts versions by age: `1.2.0rc1` before `1.2.0`.

    Raises:
        ReleaseRefused: it is not a version of ours.
    """
    parts = _VERSION.fullmatch(version)
    if parts is None:
        raise ReleaseRefused(Reason.MALFORMED, version, "not a version such as 1.2.3 or 1.2.3rc1")
    major, minor, patch, stage, number = parts.groups()
    stage, serial = (stage, int(number)) if stage else _FINAL
    return int(major), int(minor), int(patch), stage, serial


def compare_age(version: str, sums_digest: str, wanted: Wanted) -> Iterator[Refusal]:
    """Yield why a release is not new enough.

    Raises:
        ReleaseRefused: a version, or the state file, is malformed.
    """
    if wanted.exactly and version != wanted.exactly:
        yield Refusal(Reason.OTHER_VERSION, version, f"{wanted.exactly} was asked for")
    if wanted.at_least and order(version) < order(wanted.at_least):
        yield Refusal(Reason.DOWNGRADED, version, f"older than {wanted.at_least}")
    seen = None if wanted.state is None else read_seen(wanted.state)
    if seen is None:
        return
    if order(version) < order(seen.version):
        yield Refusal(
            Reason.REPLAYED, version, f"{seen.version} was verified before, and this one is older"
        )
    elif version == seen.version and sums_digest != seen.sums_sha256:
        yield Refusal(
            Reason.REISSUED, version, "this version was verified before with other content"
        )


def read_seen(state: Path) -> Seen | None:
    """Read what was verified before; nothing when the file does not exist yet.

    Raises:
        ReleaseRefused: the file is unreadable, which must not pass for a fresh start.
    """
    try:
        raw = state.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as fault:
        raise ReleaseRefused(Reason.MALFORMED, str(state), f"{fault.strerror}") from None
    return decode(raw, Seen, str(state))


def remember(state: Path, seen: Seen) -> None:
    """Write down what was verified, whole or not at all.

    Raises:
        OSError: it can not be written.
    """
    descriptor, name = tempfile.mkstemp(prefix=f".{state.name}.", dir=state.parent)
    draft = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(msgspec.json.encode(seen) + b"\n")
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(state)
    finally:
        draft.unlink(missing_ok=True)
