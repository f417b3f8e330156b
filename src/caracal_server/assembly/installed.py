"""Whether what runs is what was released: looked at once, when a process starts."""

from functools import cache
from typing import Any

import structlog

from caracal_server.adapters.installation import Installation, State, read_installation
from caracal_server.assembly.settings import PREFIX, SettingInvalid

_log = structlog.get_logger()
_LOGGED = 10


class InstallationRefused(SettingInvalid):
    """An installation that is not intact was to be refused, and is."""


@cache
def installed() -> Installation:
    """What is installed, as it was when this was first asked."""
    return read_installation()


def require_installation(settings: dict[str, Any], found: Installation) -> None:
    """Let only what is intact start, where the settings say so.

    Raises:
        InstallationRefused: they do, and it is not, or nobody can tell.
    """
    if settings["STRICT_INSTALLATION"] and found.state is not State.INTACT:
        refused = (
            "differs from its RECORD" if found.state is State.DIFFERENT else "can not be judged"
        )
        raise InstallationRefused(
            f"{PREFIX}STRICT_INSTALLATION is true, and the installation {refused}: {found.detail}"
        )


def log_installation(found: Installation) -> None:
    """Say what runs, and what is wrong with it."""
    shown: dict[str, Any] = {
        "state": found.state.value,
        "digest": found.digest,
        "files": found.files,
    }
    match found.state:
        case State.INTACT:
            _log.info("installation", **shown)
        case State.UNKNOWN:
            _log.info("installation", **shown, why=found.why_unknown)
        case State.DIFFERENT:
            _log.error("installation", **shown, differences=found.differences[:_LOGGED])
