"""What is said when a server can not start, whether it is all services or one."""

from collections.abc import Iterator
from contextlib import contextmanager

from caracal.authority.outcomes import Unavailable
from caracal_server.adapters.sealing.key_files import KeyFileError
from caracal_server.assembly.installed import InstallationRefused
from caracal_server.assembly.settings import SettingInvalid
from caracal_server.cli.failures import CommandFailed, ExitCode


@contextmanager
def start_told(*, places: str, keys: str, in_use: tuple[type[Exception], ...]) -> Iterator[None]:
    """Turn each way of not starting into one line.

    Args:
        places: what to check when a file or an address can not be had.
        keys: what to do about missing keys.
        in_use: what says that a database has another owner; who has no database does not import it.

    Raises:
        CommandFailed: it could not start.
    """
    try:
        yield
    except InstallationRefused as fault:
        raise _not_started(ExitCode.REFUSED, str(fault), "install the release again") from None
    except SettingInvalid as fault:
        raise _not_started(ExitCode.USAGE, str(fault), "correct the variable") from None
    except OSError as fault:
        file = f": {fault.filename}" if fault.filename else ""
        raise _not_started(ExitCode.USAGE, f"{fault.strerror or fault}{file}", places) from None
    except KeyFileError as fault:
        raise _not_started(ExitCode.USAGE, str(fault), keys) from None
    except in_use as fault:
        raise _not_started(ExitCode.UNAVAILABLE, str(fault)) from None
    except Unavailable as fault:
        raise _not_started(
            ExitCode.UNAVAILABLE, f"{fault.detail} ({fault.reason})", "look at the database"
        ) from None


def _not_started(code: ExitCode, why: str, advice: str = "") -> CommandFailed:
    return CommandFailed(code, f"could not start: {why}", advice)
