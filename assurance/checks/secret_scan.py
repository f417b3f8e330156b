"""Secrets in the tree."""

import re
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from assurance.secret_scan import LIST, Known, read_list, scan

_SHORTEST_REASON = 20
_CANARIES = ("secret: Zk3vQ9sB7xT1mN5pL8rW2yH6", "-----BEGIN " + "PRIVATE KEY-----", "x")


def no_secret_is_committed(root: Path) -> Sequence[str]:
    """No file holds what looks like a secret, but for listed values that are none, each with the reason."""
    try:
        known = read_list(root)
        patterns = [text for entry in known for text in _wrong_with(entry)]
    except (msgspec.ValidationError, tomllib.TOMLDecodeError, re.error, OSError) as fault:
        return [f"{LIST}: {fault}"]
    names, found = scan(root)
    if not names:
        return ["there was no file to scan"]
    wrong = [str(one) for one in found if not any(entry.covers(one) for entry in known)]
    for entry in known:
        covered = [one for one in found if entry.covers(one)]
        gone = set(entry.digests) - {one.digest for one in covered}
        if gone or not covered:
            wrong.append(
                f"{LIST}: {entry.file}: not found there any more: {', '.join(sorted(gone))}"
            )
    return patterns + wrong


def _wrong_with(entry: Known) -> Iterator[str]:
    if len(entry.reason) < _SHORTEST_REASON:
        yield f"{LIST}: {entry.file}: no reason is given"
    if entry.line and any(re.fullmatch(entry.line, canary) for canary in _CANARIES):
        yield f"{LIST}: {entry.file}: its line is so wide that a secret would pass"
