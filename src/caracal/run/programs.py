"""The program as a process: its group, its signals, its terminal, how it ended."""

import asyncio
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

FORWARDED: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
STOP_SECONDS: Final = 10.0
"""How long a program may take to end after SIGTERM."""
REST_SECONDS: Final = 2.0
"""How long what it left behind may take."""
_POLL_SECONDS: Final = 0.02
_STDIN: Final = 0


def start(
    path: str, command: tuple[str, ...], environment: Mapping[str, str], outputs: Mapping[int, int]
) -> int:
    """Start it as the first of a process group of its own.

    Args:
        path: of the file to run.
        command: its arguments, its name first.
        environment: all of it.
        outputs: for its stdout and stderr, what they are; those not named are ours.

    Raises:
        OSError: it can not be run.
    """
    return os.posix_spawn(
        path,
        command,
        environment,
        file_actions=[(os.POSIX_SPAWN_DUP2, ours, its) for its, ours in outputs.items()],
        setpgroup=0,
        # Python ignores these two, and this process the third; programs expect the default.
        setsigdef=(signal.SIGPIPE, signal.SIGXFSZ, signal.SIGTTOU),
    )


@dataclass(slots=True)
class Terminal:
    """The terminal that both may read: whoever is in front gets its keys and its Ctrl-C."""

    held: bool

    @classmethod
    def found(cls) -> "Terminal":
        try:
            return cls(os.isatty(_STDIN) and os.tcgetpgrp(_STDIN) == os.getpgrp())
        except OSError:
            return cls(held=False)

    def hand_to(self, group: int) -> None:
        if self.held:
            # Whoever is not in front is stopped when it does this, unless it ignores SIGTTOU.
            signal.signal(signal.SIGTTOU, signal.SIG_IGN)
            os.tcsetpgrp(_STDIN, group)


@dataclass(slots=True)
class Program:
    """One that runs. Made in the event loop that waits for it."""

    pid: int
    terminal: Terminal
    _ended: asyncio.Future[int] = field(default_factory=asyncio.Future)
    _deadline: asyncio.TimerHandle | None = None

    def attend(self) -> None:
        """Watch it from now on, and let it have the terminal."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGCHLD, self._look)
        self.terminal.hand_to(self.pid)
        if self.terminal.held:
            # It may have wanted to read before it was in front.
            self.signal(signal.SIGCONT)
        self._look()

    async def wait(self) -> int:
        """How it ended: its exit code, or 128 and the number of the signal that ended it."""
        return await self._ended

    def signal(self, number: int) -> None:
        """Send a signal to its whole group."""
        try:
            os.killpg(self.pid, number)
        except (ProcessLookupError, PermissionError):
            return

    def stop(self, number: int) -> None:
        """Pass a signal on; after SIGTERM or SIGHUP it has to end in time."""
        self.signal(number)
        if number in (signal.SIGTERM, signal.SIGHUP) and self._deadline is None:
            loop = asyncio.get_running_loop()
            self._deadline = loop.call_later(STOP_SECONDS, self.signal, signal.SIGKILL)

    async def end_the_rest(self) -> None:
        """End what is left of its group, and take the terminal back."""
        if self._deadline is not None:
            self._deadline.cancel()
        self.terminal.hand_to(os.getpgrp())
        self.signal(signal.SIGTERM)
        self.signal(signal.SIGCONT)
        try:
            async with asyncio.timeout(REST_SECONDS):
                while self._has_members():  # noqa: ASYNC110 (the system does not tell when a group ends)
                    await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError:
            self.signal(signal.SIGKILL)

    def _has_members(self) -> bool:
        try:
            os.killpg(self.pid, 0)
        except (ProcessLookupError, PermissionError):
            return False
        return True

    def _look(self) -> None:
        while not self._ended.done():
            pid, status = os.waitpid(self.pid, os.WNOHANG | os.WUNTRACED)
            if pid == 0:
                return
            if os.WIFSTOPPED(status):
                self._stopped()
            elif os.WIFSIGNALED(status):
                self._ended.set_result(128 + os.WTERMSIG(status))
            else:
                self._ended.set_result(os.WEXITSTATUS(status))

    def _stopped(self) -> None:
        """Ctrl-Z: stop as well, so that the shell has its terminal, and go on together."""
        if not self.terminal.held:
            return
        self.terminal.hand_to(os.getpgrp())
        signal.signal(signal.SIGTSTP, signal.SIG_IGN)
        os.killpg(os.getpgrp(), signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        # To this thread, which does not go on before somebody continues it; a group's signal can be late.
        signal.raise_signal(signal.SIGTSTP)
        if os.tcgetpgrp(_STDIN) == os.getpgrp():
            self.terminal.hand_to(self.pid)
        self.signal(signal.SIGCONT)
