"""The program's environment: what is passed on is on a list, and nothing of Caracal's is. No I/O."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from caracal.run.routes import Directory, Route, is_loopback

PASSED_ON: Final = (
    *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "PWD", "TMPDIR", "TEMP", "TMP"),
    *("LANG", "LANGUAGE", "LC_*", "TZ", "TERM", "COLORTERM", "NO_COLOR", "FORCE_COLOR"),
    *("CI", "NODE_ENV", "CARACAL_ENV", "EDITOR", "VISUAL", "PAGER", "VIRTUAL_ENV"),
    *("XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"),
)
NEVER: Final = frozenset(
    {
        *("NODE_OPTIONS", "BUN_OPTIONS", "LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT"),
        *("DYLD_INSERT_LIBRARIES", "DYLD_LIBRARY_PATH"),
    }
)
"""They load code into the program."""
PLACEHOLDER: Final = "governed-by-caracal"
"""Clients that want a key get this one; the Gateway replaces whatever they make of it."""

WELL_KNOWN: Final[Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "openai": (("OPENAI_BASE_URL", "OPENAI_API_BASE"), ("OPENAI_API_KEY",)),
    "anthropic": (("ANTHROPIC_BASE_URL",), ("ANTHROPIC_API_KEY",)),
    "github": (("GITHUB_API_URL",), ("GITHUB_TOKEN", "GH_TOKEN")),
}
"""For each family of clients: the variables for its base URL, and those for its key."""

_PROXY: Final = ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy")
_NO_PROXY: Final = ("NO_PROXY", "no_proxy")
_LOCAL: Final = "localhost,127.0.0.1,::1"


@dataclass(frozen=True, slots=True)
class UrlVariable:
    """A variable that holds a route's base URL, with `path` after it."""

    variable: str
    route: Route
    path: str = ""


def child_environment(
    parent: Mapping[str, str],
    directory: Directory,
    base_urls: Iterable[UrlVariable],
    keys: Iterable[str],
    passed_on: Iterable[str],
    session: str,
) -> dict[str, str]:
    """Put it together.

    Args:
        parent: the launcher's own.
        directory: what the proxy serves.
        base_urls: which variables are to lead there.
        keys: variables that get a placeholder for a key.
        passed_on: names of further variables, or patterns of names.
        session: the id of the session that the program runs in.
    """
    wanted = (*PASSED_ON, *passed_on)
    made = {
        name: value
        for name, value in parent.items()
        if not _withheld(name) and any(fnmatchcase(name, each) for each in wanted)
    }
    made |= dict.fromkeys(_PROXY, directory.proxy_url)
    made |= dict.fromkeys(_NO_PROXY, _unproxied(directory.routes))
    # Node's fetch uses no proxy unless it is told so.
    made |= {"NODE_USE_ENV_PROXY": "1", "CARACAL_RUN_SESSION_ID": session}
    made |= dict.fromkeys(keys, PLACEHOLDER)
    made |= {route.variable: directory.base_url(route) for route in directory.routes}
    made |= {each.variable: directory.base_url(each.route) + each.path for each in base_urls}
    return made | dict(_git(directory))


def settable(variable: str) -> bool:
    """Whether a base URL may be put into a variable."""
    return variable.isidentifier() and variable.isascii() and not _withheld(variable)


def _withheld(name: str) -> bool:
    ours = name.startswith("CARACAL_") and name != "CARACAL_ENV"
    return ours or name in NEVER


def _unproxied(routes: Iterable[Route]) -> str:
    """Where the program goes by itself: to its own machine, unless a resource is there."""
    local = any(route.prefix is not None and is_loopback(route.prefix.host) for route in routes)
    return "" if local else _LOCAL


def _git(directory: Directory) -> Iterator[tuple[str, str]]:
    """Settings that make git send what goes to an upstream to its resource; nothing is written down."""
    number = 0
    for route in directory.routes:
        prefix = route.prefix
        if prefix is not None:
            upstream = f"{prefix.scheme}://{prefix.authority}{prefix.path.rstrip('/')}/"
            yield f"GIT_CONFIG_KEY_{number}", f"url.{directory.base_url(route)}/.insteadOf"
            yield f"GIT_CONFIG_VALUE_{number}", upstream
            number += 1
    yield "GIT_CONFIG_COUNT", str(number)
