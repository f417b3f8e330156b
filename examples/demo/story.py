"""How the demo speaks: numbered steps, short lines, and checks that end it when they do not hold."""

import sys
from dataclasses import dataclass, field


class PromiseBroken(Exception):
    """Something that the demo shows did not happen."""


@dataclass(slots=True)
class Story:
    step: int = field(default=0, init=False)

    def chapter(self, title: str) -> None:
        self.step += 1
        bold, plain = ("\033[1m", "\033[0m") if sys.stdout.isatty() else ("", "")
        print(f"{bold}{self.step}. {title}{plain}", flush=True)

    def tell(self, line: str) -> None:
        print(f"   {line}", flush=True)


def expect(holds: object, promise: str) -> None:
    """Stop the demo when a promise does not hold."""
    if not holds:
        raise PromiseBroken(promise)
