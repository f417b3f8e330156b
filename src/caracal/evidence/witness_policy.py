"""Which witnesses must have cosigned a checkpoint (c2sp.org/tlog-policy)."""

import re
from typing import Final

import msgspec

from caracal.evidence.checkpoints import Checkpoint, parse_checkpoint
from caracal.evidence.errors import EvidenceError
from caracal.evidence.notes import SignedNote, VerifierKey, parse_verifier_key, verify_note_by_any
from caracal.evidence.witness_keys import Cosigned, WitnessKey, cosigned_by, parse_witness_key

MAX_POLICY_BYTES: Final = 256 * 1024
MAX_LINES: Final = 1024
NONE: Final = "none"

_FORBIDDEN: Final = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")
_BLANK: Final = re.compile(r"[ \t]+")
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,8}")


class PolicyError(EvidenceError):
    """A policy can not be used; `line` says where, counted from 1, and is 0 for the whole."""

    def __init__(self, reason: str, line: int = 0) -> None:
        super().__init__(f"line {line}: {reason}" if line else reason)
        self.line = line


class PolicyLog(msgspec.Struct, frozen=True):
    """A log whose checkpoints are accepted."""

    key: VerifierKey
    url: str


class PolicyWitness(msgspec.Struct, frozen=True):
    """A witness: what the policy calls it, its key, and where it takes checkpoints."""

    name: str
    key: WitnessKey
    url: str


class PolicyGroup(msgspec.Struct, frozen=True):
    """A group witnesses what at least `threshold` of its members do."""

    name: str
    threshold: int
    members: tuple[str, ...]


class Quorum(msgspec.Struct, frozen=True):
    """Who cosigned a checkpoint, and whether that is enough.

    Attributes:
        at: the latest instant such that enough witnesses signed then or later, in seconds since the
            epoch; `None` when too few did, 0 when none has to.
    """

    at: int | None
    cosigned: tuple[Cosigned, ...]


class WitnessPolicy(msgspec.Struct, frozen=True):
    """The logs, the witnesses, and the rule; made by `parse_policy`."""

    logs: tuple[PolicyLog, ...]
    witnesses: tuple[PolicyWitness, ...]
    groups: tuple[PolicyGroup, ...]
    quorum: str

    def judge(self, note: SignedNote) -> Quorum:
        """Say who cosigned a note, and whether they are a quorum.

        Raises:
            EvidenceError: a signature that names one of the witnesses does not verify.
        """
        found = {one.name: cosigned_by(note, one.key) for one in self.witnesses}
        times: dict[str, int | None] = {
            name: None if cosigned is None else cosigned.at for name, cosigned in found.items()
        }
        for group in self.groups:
            signed = sorted(at for name in group.members if (at := times[name]) is not None)
            enough = len(signed) >= group.threshold
            times[group.name] = signed[-group.threshold] if enough else None
        at = 0 if self.quorum == NONE else times[self.quorum]
        return Quorum(at, tuple(one for one in found.values() if one is not None))

    def require(self, note: SignedNote) -> Quorum:
        """Verify that a checkpoint is by one of the policy's logs, if it lists any, and by a quorum.

        Raises:
            EvidenceError: it is not.
        """
        checkpoint = parse_checkpoint(note.text)
        if self.logs:
            self._require_log(note, checkpoint)
        quorum = self.judge(note)
        if quorum.at is None:
            raise EvidenceError(
                f"{len(quorum.cosigned)} of {len(self.witnesses)} witnesses cosigned, which is no quorum"
            )
        return quorum

    def _require_log(self, note: SignedNote, checkpoint: Checkpoint) -> None:
        keys = [log.key for log in self.logs if log.key.name == checkpoint.origin]
        if not keys:
            raise EvidenceError(f"the policy lists no log {checkpoint.origin!r}")
        verify_note_by_any(note, keys)


def parse_policy(data: bytes) -> WitnessPolicy:
    """Parse a policy file.

    Raises:
        PolicyError: it is malformed or over a limit; it names the line.
    """
    if len(data) > MAX_POLICY_BYTES or data.count(b"\n") > MAX_LINES:
        raise PolicyError(f"a policy has at most {MAX_POLICY_BYTES} bytes and {MAX_LINES} lines")
    reading = _Reading()
    lines = data.split(b"\n")
    if lines.pop():
        raise PolicyError("the last line is not ended", len(lines) + 1)
    for number, raw in enumerate(lines, 1):
        if _FORBIDDEN.search(raw):
            raise PolicyError("a control character", number)
        # Octets that are not UTF-8 stay apart from any that are, as the format asks.
        items = [item for item in _BLANK.split(raw.decode(errors="surrogateescape")) if item]
        if not items or items[0].startswith("#"):
            continue
        try:
            reading.take(items)
        except EvidenceError as fault:
            raise PolicyError(str(fault), number) from None
    if reading.quorum is None:
        raise PolicyError("there is no quorum line")
    return WitnessPolicy(
        tuple(reading.logs), tuple(reading.witnesses), tuple(reading.groups), reading.quorum
    )


class _Reading:
    """What the lines so far said."""

    def __init__(self) -> None:
        self.logs: list[PolicyLog] = []
        self.witnesses: list[PolicyWitness] = []
        self.groups: list[PolicyGroup] = []
        self.quorum: str | None = None
        self._names: set[str] = set()
        self._members: set[str] = set()

    def take(self, items: list[str]) -> None:
        match items:
            case ["log", key]:
                self._log(key, "")
            case ["log", key, url]:
                self._log(key, url)
            case ["witness", name, key]:
                self._witness(name, key, "")
            case ["witness", name, key, url]:
                self._witness(name, key, url)
            case ["group", name, threshold, *members] if members:
                self._group(name, threshold, members)
            case ["quorum", name]:
                self._quorum(name)
            case _:
                raise EvidenceError(
                    "not `log KEY [URL]`, `witness NAME KEY [URL]`, `group NAME all|any|K NAME...` "
                    "or `quorum NAME`"
                )

    def _log(self, text: str, url: str) -> None:
        key = parse_verifier_key(text)
        if any(one.key.public_key == key.public_key for one in self.logs):
            raise EvidenceError("a log with this key was listed before")
        self.logs.append(PolicyLog(key, url))

    def _witness(self, name: str, text: str, url: str) -> None:
        key = parse_witness_key(text)
        if any(one.key.public_key == key.public_key for one in self.witnesses):
            raise EvidenceError("a witness with this key was listed before")
        self._define(name)
        self.witnesses.append(PolicyWitness(name, key, url))

    def _group(self, name: str, threshold: str, members: list[str]) -> None:
        for member in members:
            if member not in self._names:
                raise EvidenceError(f"{member!r} was not defined before")
            if member in self._members:
                raise EvidenceError(f"{member!r} is a member already")
            self._members.add(member)
        words = {"any": 1, "all": len(members)}
        number = int(threshold) if _NUMBER.fullmatch(threshold) else 0
        needed = words.get(threshold, number)
        if not 1 <= needed <= len(members):
            raise EvidenceError(f"a threshold is any, all or 1 to {len(members)}")
        self._define(name)
        self.groups.append(PolicyGroup(name, needed, tuple(members)))

    def _quorum(self, name: str) -> None:
        if self.quorum is not None:
            raise EvidenceError("a second quorum line")
        if name != NONE and name not in self._names:
            raise EvidenceError(f"{name!r} was not defined before")
        self.quorum = name

    def _define(self, name: str) -> None:
        if name == NONE or name in self._names:
            raise EvidenceError(f"the name {name!r} is taken")
        self._names.add(name)
