"""Zone files: YAML on disk to the document that Control takes, its references resolved here.

Files and variables are read where `caracal apply` runs; the server reads none.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from caracal_server.cli.marked_yaml import Marked, YamlFaulty, YamlUnreadable, read_yaml
from caracal_server.cli.zone_references import FileUnreadable, References, read_bounded
from caracal_server.control.document_faults import Fault, ZoneDocumentInvalid, render_path
from caracal_server.control.document_faults import Path as FieldPath
from caracal_server.control.document_rules import parse_document
from caracal_server.control.zone_document import MAX_DOCUMENT_BYTES, ZoneDocument


@dataclass(frozen=True, slots=True)
class FileProblem:
    """One thing to correct in a zone file. `path` is a field, or empty when the text is no YAML."""

    line: int
    path: str
    message: str

    def __str__(self) -> str:
        where = f"line {self.line}: {self.path}" if self.path else f"line {self.line}"
        return f"{where}: {self.message}"


class ZoneFileInvalid(ValueError):
    """The file can not be applied; `problems` says why, at least one, in the order of lines."""

    def __init__(self, file: Path, problems: tuple[FileProblem, ...]) -> None:
        super().__init__("\n".join(f"{file}: {problem}" for problem in problems))
        self.file = file
        self.problems = problems


def read_zone_file(file: Path, environment: Mapping[str, str]) -> ZoneDocument:
    """Read a zone file, and the secrets and the policy that it refers to.

    Args:
        file: paths in it are relative to its directory.
        environment: where `env` and `${NAME}` are looked up.

    Raises:
        ZoneFileInvalid: it can not be read or is not a zone, or a reference leads nowhere; the
            problems name each field and line, and never show a secret.
    """
    marked = _read(file)
    references = References(file.parent, environment)
    references.resolve(marked.data)
    faults = list(references.faults)
    try:
        document = parse_document(marked.data)
    except ZoneDocumentInvalid as invalid:
        # What a reference would have brought is not missing besides.
        unresolved = {fault.path for fault in faults}
        faults += [fault for fault in invalid.faults if not _under(fault.path, unresolved)]
        raise _invalid(file, marked, faults) from None
    if faults:
        raise _invalid(file, marked, faults)
    return document


def _under(path: FieldPath, others: set[FieldPath]) -> bool:
    return any(other[: len(path)] == path or path[: len(other)] == other for other in others)


def _invalid(file: Path, marked: Marked, faults: list[Fault]) -> ZoneFileInvalid:
    placed = sorted(((marked.line_of(fault.path), fault) for fault in faults), key=lambda it: it[0])
    return ZoneFileInvalid(
        file,
        tuple(FileProblem(line, render_path(it.path), it.message) for line, it in placed),
    )


def _read(file: Path) -> Marked:
    try:
        data = read_bounded(file, MAX_DOCUMENT_BYTES)
        return read_yaml(data.decode("utf-8-sig"))
    except UnicodeDecodeError as fault:
        line = fault.object.count(b"\n", 0, fault.start) + 1
        problem = FileProblem(line, "", "a zone file is UTF-8 text")
    except YamlUnreadable as fault:
        problem = FileProblem(fault.line, "", f"column {fault.column}: {fault.message}")
    except FileUnreadable as fault:
        problem = FileProblem(1, "", f"the file {fault}")
    except YamlFaulty as faulty:
        raise ZoneFileInvalid(
            file,
            tuple(
                FileProblem(line, render_path(fault.path), fault.message)
                for line, fault in faulty.faults
            ),
        ) from None
    raise ZoneFileInvalid(file, (problem,))
