"""What is wrong with a policy text, and where."""

from dataclasses import dataclass

_SHOWN = 3


@dataclass(frozen=True, slots=True, order=True)
class PolicyProblem:
    """One thing to correct. Lines and columns count from 1, columns in characters."""

    line: int
    column: int
    message: str

    def __str__(self) -> str:
        return f"{self.line}:{self.column}: {self.message}"


class PolicyInvalid(ValueError):
    """The text can not be put into effect; `problems` says why, at least one."""

    def __init__(self, problems: tuple[PolicyProblem, ...]) -> None:
        more = f" (and {len(problems) - _SHOWN} more)" if len(problems) > _SHOWN else ""
        super().__init__("; ".join(map(str, problems[:_SHOWN])) + more)
        self.problems = problems
