"""How a command ends: its exit code, and the one line that says why it failed."""

from enum import IntEnum


class ExitCode(IntEnum):
    """What scripts branch on; `docs/cli.md` says the same in words. Never renumbered."""

    OK = 0
    REFUSED = 1
    """Caracal said no, or what was checked does not hold."""
    USAGE = 2
    """The command line, or a file it names, is not right."""
    UNREACHABLE = 3
    """No Caracal answers there, or its answer makes no sense."""
    UNAUTHORISED = 4
    """The operator token is missing, unknown or lacks a scope."""
    UNAVAILABLE = 5
    """Caracal can not do it now: the same command may succeed later."""
    FAULT = 70
    """A defect in this program."""
    INTERRUPTED = 130


class CommandFailed(Exception):
    """A command ends without its result.

    Attributes:
        code: the exit code.
        what: what did not succeed and why, without secrets.
        advice: what to do about it.
        places: where exactly, when there are several places: shown a line each.
    """

    def __init__(
        self, code: ExitCode, what: str, advice: str = "", places: tuple[str, ...] = ()
    ) -> None:
        super().__init__(what)
        self.code = code
        self.what = what
        self.advice = advice
        self.places = places

    @property
    def line(self) -> str:
        return f"{self.what}; {self.advice}" if self.advice else self.what
