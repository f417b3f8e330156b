"""What commands print: tables and lines for people, one JSON document for programs.

Whatever came from outside passes `visible` first: a name or a path must not drive the terminal.
"""

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

_UNBOUNDED_WIDTH = 100_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def visible(text: str) -> str:
    """Escape whatever is not printable, so that text is shown and never acted on."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )


def say(line: str = "") -> None:
    """Print one line to stdout."""
    sys.stdout.write(visible(line) + "\n")


def warn(line: str) -> None:
    """Print one line to stderr."""
    sys.stderr.write(visible(line) + "\n")


def print_json(document: object) -> None:
    """Print one JSON document on one line, at once."""
    sys.stdout.write(msgspec.json.encode(document).decode() + "\n")
    sys.stdout.flush()


def interactive() -> bool:
    """Whether a person reads, and can answer."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def stdout_console() -> Console:
    """A console that keeps lines whole where no terminal limits them."""
    width = None if sys.stdout.isatty() else _UNBOUNDED_WIDTH
    return Console(file=sys.stdout, width=width, markup=False, highlight=False, emoji=False)


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, empty: str) -> None:
    """Print a table whose first column is never broken; `empty` when there are no rows."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for number, title in enumerate(columns):
        table.add_column(title, overflow="fold", no_wrap=number == 0)
    for row in rows:
        table.add_row(*(Text(visible(cell)) for cell in row))
    if table.row_count:
        stdout_console().print(table)
    else:
        say(empty)


def print_fields(fields: Iterable[tuple[str, str]]) -> None:
    """Print names and values, one below the other."""
    rows = [(name, value) for name, value in fields if value]
    width = max((len(name) for name, _ in rows), default=0)
    for name, value in rows:
        say(f"{name:<{width}}  {value}")


def count(number: int, noun: str) -> str:
    """A number and its noun, such as `1 session` and `2 sessions`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def instant(microseconds: int) -> str:
    """Show an instant of the evidence, UTC, to the millisecond."""
    at = _EPOCH + timedelta(microseconds=microseconds)
    return at.strftime("%Y-%m-%d %H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


class Steps:
    """Long work, as far as it has come."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress = progress
        self._task = task

    def expect(self, total: int) -> None:
        self._progress.update(self._task, total=total)

    def advance(self, steps: int) -> None:
        self._progress.advance(self._task, steps)


@contextmanager
def progress(what: str, *, total: int | None = None, quiet: bool = False) -> Iterator[Steps]:
    """Show how far long work has come: on stderr, while it lasts, and only to a terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    hidden = quiet or not sys.stderr.isatty()
    with Progress(
        *columns, console=Console(file=sys.stderr), transient=True, disable=hidden
    ) as bar:
        yield Steps(bar, bar.add_task(what, total=total))
