"""Under which licence each locked distribution comes, and whether the project's list admits it.

The expression is what the installed distribution says of itself. Where that is no SPDX expression, the
list holds an answer, tied to the licence text that was read, or to the version when there is none.
"""

import hashlib
import sys
import sysconfig
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any, Final

import msgspec
from license_expression import (  # type: ignore[import-untyped]  # it ships no types
    ExpressionError,
    LicenseSymbol,
    get_spdx_licensing,
)
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from assurance.locks import Pin

LIST: Final = Path("assurance/licences.toml")


class Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What somebody found out about a distribution whose metadata do not say it.

    Attributes:
        read: `text:` and the start of the digest of the licence files that the distribution carries, or
            `version:` and the version; with another text or version the answer no longer counts.
    """

    name: str
    read: str
    licence: str
    why: str


class Excepted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A distribution that is admitted outside the list.

    Attributes:
        lock: the one lock that it may stand in.
    """

    name: str
    lock: str
    licence: str
    reason: str


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The committed list.

    Attributes:
        allow: SPDX ids that anything may come under.
        weak: SPDX ids with copyleft that ends at the file; also admitted.
        shipping_locks, shipping_extras: what a user gets; nothing in it may be excepted.
        words: names in use that mean one SPDX id and no other.
    """

    allow: frozenset[str]
    weak: frozenset[str]
    shipping_locks: tuple[str, ...]
    shipping_extras: tuple[str, ...]
    words: dict[str, str]
    answer: tuple[Answer, ...] = ()
    exception: tuple[Excepted, ...] = ()

    @classmethod
    def read(cls, root: Path) -> "Policy":
        """Read the list of a tree.

        Raises:
            msgspec.ValidationError, tomllib.TOMLDecodeError: it is malformed.
        """
        return msgspec.convert(tomllib.loads((root / LIST).read_text()), cls)

    def admits(self, expression: str) -> bool:
        """Whether a choice of licences exists that the list admits; of `A AND B` both must be on it."""
        try:
            parsed = _spdx().parse(expression, validate=True, strict=True)
        except (ExpressionError, ValueError):
            return False
        return _holds(parsed, self.allow | self.weak)


@cache
def _spdx() -> Any:
    return get_spdx_licensing()


def _holds(node: Any, listed: frozenset[str]) -> bool:
    """Judge a node of an expression; whatever is neither an id nor a choice nor a sum is not admitted."""
    spdx = _spdx()
    if isinstance(node, spdx.OR):
        return any(_holds(part, listed) for part in node.args)
    if isinstance(node, spdx.AND):
        return all(_holds(part, listed) for part in node.args)
    return isinstance(node, LicenseSymbol) and node.key in listed


class Installed(msgspec.Struct, frozen=True):
    """What an installed distribution says of its licence.

    Attributes:
        says: its words: the expression, else the free text, else its classifiers.
        text: `text:` and the start of the digest of its licence files; empty without any.
    """

    name: str
    version: str
    says: tuple[str, ...]
    text: str
    requires: tuple[str, ...]


def environment_of(lock: str) -> Path:
    """Where the distributions of a lock are installed on this machine."""
    if lock.startswith("tools/"):
        found = sorted((Path(sys.prefix) / lock).glob("lib/python3*/site-packages"))
        return found[-1] if found else Path(sys.prefix) / lock
    return Path(sysconfig.get_path("purelib"))


@cache
def installed(environment: Path) -> Mapping[str, Installed]:
    """Everything installed in an environment, by name."""
    if not environment.is_dir():
        return {}
    found = distributions(path=[str(environment)])
    return {one.name: one for one in map(_described, found)}


def _described(found: Distribution) -> Installed:
    data = found.metadata
    expression = data["License-Expression"]
    texts = hashlib.sha256()
    files = sorted(
        file for file in found.files or () if file.name.upper().startswith(("LICEN", "COPYING"))
        and ".dist-info" in file.parts[0]
    )  # fmt: skip
    for file in files:
        texts.update(Path(str(found.locate_file(file))).read_bytes())
    said = data["License"] or ""
    free = (said.strip(),) if said.strip() not in {"", "UNKNOWN"} else ()
    classified = tuple(
        entry.rpartition("::")[2].strip()
        for entry in data.get_all("Classifier", [])
        if entry.startswith("License ::")
    )
    return Installed(
        canonicalize_name(data["Name"]),
        found.version,
        (expression,) if expression else free or classified,
        f"text:{texts.hexdigest()[:16]}" if files else "",
        tuple(found.requires or ()),
    )


def expression_of(says: tuple[str, ...], words: Mapping[str, str]) -> str:
    """The SPDX expression that a distribution's words amount to; empty when they are no such thing."""
    if len(says) != 1:
        return ""
    meant = words.get(says[0], says[0])
    try:
        return str(_spdx().parse(meant, validate=True, strict=True))
    except (ExpressionError, ValueError):
        return ""


def shipped(policy: Policy, pins: tuple[Pin, ...], declared: Mapping[str, list[str]]) -> set[str]:
    """The names of everything a user gets: the shipping locks, and the extras with what they need."""
    names = {pin.name for pin in pins if pin.lock in policy.shipping_locks}
    here = installed(environment_of(""))
    wanted = [Requirement(text) for extra in policy.shipping_extras for text in declared[extra]]
    seen: set[tuple[str, frozenset[str]]] = set()
    while wanted:
        requirement = wanted.pop()
        name = canonicalize_name(requirement.name)
        key = (name, frozenset(requirement.extras))
        if key not in seen:
            seen.add(key)
            names.add(name)
            wanted.extend(_needs(here.get(name), requirement.extras))
    return names


def _needs(found: Installed | None, extras: set[str]) -> Iterator[Requirement]:
    for text in found.requires if found else ():
        needed = Requirement(text)
        marker = needed.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield needed
