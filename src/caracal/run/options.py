"""What `caracal run` can be told, and what it makes of it: all that is wrong is named at once. No I/O."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from caracal.authority.scopes import InvalidScope, ScopeSet
from caracal.run.child_environment import WELL_KNOWN, settable
from caracal.sdk.configuration import resource_problems
from caracal.wire.upstream_url import UpstreamUrl

_DIRECT_PORTS: Final = (80, 443)
_HOST = re.compile(r"(?:[^:/?#@\[\]]+|\[[^\]]+\])(?P<port>:[0-9]+)?")


@dataclass(frozen=True, slots=True)
class Option:
    """One option; every one takes a value."""

    flag: str
    metavar: str
    help: str
    repeated: bool = True

    @property
    def name(self) -> str:
        return self.flag.removeprefix("--").replace("-", "_")


OPTIONS: Final = (
    Option(
        "--resource",
        "RESOURCE=SCOPES",
        "What the program may call, and with which scopes, separated by commas; without them, all of "
        "--scope. May be repeated.",
    ),
    Option("--scope", "SCOPE", "For resources that are named without scopes. May be repeated."),
    Option(
        "--map",
        "VAR=RESOURCE[#/PATH]",
        "Put the resource's base URL, and a path after it, into a variable. May be repeated.",
    ),
    *(
        Option(
            f"--{family}",
            "RESOURCE[#/PATH]",
            f"Put it into {' and '.join(urls)}, and a placeholder into {' and '.join(keys)}.",
            repeated=False,
        )
        for family, (urls, keys) in WELL_KNOWN.items()
    ),
    Option(
        "--allow-direct",
        "HOST[:PORT]",
        "Let the program reach this host without Caracal; ports 80 and 443 unless one is named. "
        "May be repeated.",
    ),
    Option("--pass-env", "NAME", "Pass a variable on, or all that match NAME*. May be repeated."),
    Option("--label", "LABEL", "Of the session, for policies. May be repeated."),
    Option(
        "--profile",
        "FILE",
        "Who the agent is; else the CARACAL_* variables say it.",
        repeated=False,
    ),
    Option("--ca-file", "FILE", "Certificates to trust Caracal's addresses by.", repeated=False),
)


class LaunchProblem(Exception):
    """The command line will not do; `problems` has a line for each mistake."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class Mapped:
    """A variable that gets a resource's base URL, with `path` after it."""

    variable: str
    resource: str
    path: str


@dataclass(frozen=True, slots=True)
class Launch:
    """What is to be started, and with what."""

    command: tuple[str, ...]
    resources: Mapping[str, ScopeSet]
    mapped: tuple[Mapped, ...] = ()
    keys: tuple[str, ...] = ()
    direct: frozenset[tuple[str, int]] = frozenset()
    passed_on: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    profile: Path | None = None
    ca_file: Path | None = None


Values = Mapping[str, Sequence[str]]
"""What was given, by the names of options."""


def read_launch(values: Values, command: Sequence[str]) -> Launch:
    """Read the options.

    Raises:
        LaunchProblem: with everything that is wrong.
    """
    reading = _Reading(values)
    resources = dict(reading.resources())
    mapped = tuple(reading.mapped(resources))
    launch = Launch(
        command=tuple(command),
        resources=resources,
        mapped=mapped,
        keys=tuple(key for name, (_, keys) in WELL_KNOWN.items() if values[name] for key in keys),
        direct=frozenset(reading.direct()),
        passed_on=tuple(values["pass_env"]),
        labels=tuple(values["label"]),
        profile=reading.path("profile"),
        ca_file=reading.path("ca_file"),
    )
    if not command:
        reading.problems.append("name a program after --, such as -- curl $CARACAL_URL_REPORTS")
    if not values["resource"]:
        reading.problems.append("--resource: name at least one")
    if reading.problems:
        raise LaunchProblem(reading.problems)
    return launch


@dataclass(slots=True)
class _Reading:
    values: Values
    problems: list[str] = field(default_factory=list)

    def path(self, name: str) -> Path | None:
        given = self.values[name]
        return Path(given[-1]) if given else None

    def resources(self) -> Iterator[tuple[str, ScopeSet]]:
        for text in self.values["resource"]:
            resource, separator, scopes = text.partition("=")
            named = scopes.split(",") if separator else self.values["scope"]
            faults = resource_problems("--resource", resource)
            self.problems.extend(faults)
            try:
                wanted = ScopeSet.from_texts(named)
            except InvalidScope as error:
                self.problems.append(f"--resource {resource}: {error}")
                continue
            if not wanted:
                self.problems.append(
                    f"--resource {resource}: name its scopes, such as {resource}=read,write"
                )
            if not faults:
                yield resource, wanted

    def mapped(self, resources: Iterable[str]) -> Iterator[Mapped]:
        known = set(resources)
        for option, variable, text in self._mappings():
            resource, _, path = text.partition("#")
            if not settable(variable):
                self.problems.append(f"{option}: {variable!r} is no variable that may be set")
            elif resource not in known:
                self.problems.append(f"{option}: name {resource} with --resource as well")
            elif path and not _is_path(path):
                self.problems.append(f"{option}: {path!r} is no path such as /v1")
            else:
                yield Mapped(variable, resource, path.rstrip("/"))

    def direct(self) -> Iterator[tuple[str, int]]:
        for text in self.values["allow_direct"]:
            named = _HOST.fullmatch(text)
            try:
                url = UpstreamUrl.parse(f"https://{text if named else ''}")
            except ValueError:
                self.problems.append(f"--allow-direct: {text!r} is no HOST or HOST:PORT")
                continue
            for port in (url.port,) if named and named["port"] else _DIRECT_PORTS:
                yield url.host, port

    def _mappings(self) -> Iterator[tuple[str, str, str]]:
        """Option, variable, and what stands for the resource."""
        for text in self.values["map"]:
            variable, separator, rest = text.partition("=")
            if separator and rest:
                yield "--map", variable, rest
            else:
                self.problems.append(f"--map: {text!r} is not like API_URL=resource://reports")
        for family, (variables, _) in WELL_KNOWN.items():
            for text in self.values[family]:
                yield from ((f"--{family}", variable, text) for variable in variables)


def _is_path(text: str) -> bool:
    try:
        return text.startswith("/") and UpstreamUrl.parse(f"http://resource{text}").query == ""
    except ValueError:
        return False
