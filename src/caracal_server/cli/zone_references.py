"""What a zone file refers to: secrets in files and variables, a policy in a file, upstreams by name."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from caracal.tokens.secret import Secret
from caracal_server.control.document_faults import Fault
from caracal_server.control.document_faults import Path as FieldPath
from caracal_server.control.document_shape import did_you_mean, quoted
from caracal_server.control.zone_document import MAX_DOCUMENT_BYTES

MAX_SECRET_BYTES: Final = 64 * 1024

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_HOW = "write secret: {env: NAME} or secret: {file: PATH}"
_SOURCES = ("env", "file")


class FileUnreadable(Exception):
    """A file can not be read, or is too large; the message goes on from its name."""


def read_bounded(file: Path, limit: int) -> bytes:
    """Read a whole file of at most `limit` bytes.

    Raises:
        FileUnreadable: it can not be read, or is larger.
    """
    try:
        with file.open("rb") as opened:
            data = opened.read(limit + 1)
    except OSError as fault:
        raise FileUnreadable(f"can not be read: {fault.strerror}") from None
    except ValueError:
        raise FileUnreadable("is not a path") from None
    if len(data) > limit:
        raise FileUnreadable(f"is too large; at most {limit} bytes are read")
    return data


class _LeadsNowhere(Exception):
    def __init__(self, path: FieldPath, message: str) -> None:
        super().__init__(message)
        self.fault = Fault(path, message)


@dataclass(slots=True)
class References:
    """Puts what is referred to in the place of the reference; what leads nowhere becomes a fault."""

    directory: Path
    environment: Mapping[str, str]
    faults: list[Fault] = field(default_factory=list)

    def resolve(self, data: object) -> None:
        """Resolve every reference in a zone file's data, in place."""
        if not isinstance(data, dict):
            return
        for group in ("applications", "providers"):
            for path, entry in _entries(data, group):
                self._replace(entry, path, "secret", self._secret)
        for path, entry in _entries(data, "resources"):
            self._replace(entry, path, "upstream", self._upstream)
        self._replace(data, (), "policy_file", self._policy)
        if "policy_file" in data:
            if "policy" in data:
                message = "policy is given too; keep one of the two"
                self.faults.append(Fault(("policy_file",), message))
            data["policy"] = data.pop("policy_file")

    def _replace(
        self,
        entry: dict[str, object],
        path: FieldPath,
        name: str,
        find: Callable[[object, FieldPath], object],
    ) -> None:
        if name not in entry:
            return
        try:
            entry[name] = find(entry[name], (*path, name))
        except _LeadsNowhere as found:
            self.faults.append(found.fault)
            del entry[name]

    def _secret(self, reference: object, where: FieldPath) -> Secret:
        if not isinstance(reference, dict):
            raise _LeadsNowhere(where, f"a zone file holds no secret itself; {_HOW}")
        for name in reference:
            if name not in _SOURCES:
                advice = did_you_mean(name, _SOURCES)
                raise _LeadsNowhere((*where, name), f"there is no such field; {advice}")
        if len(reference) != 1:
            raise _LeadsNowhere(where, f"comes from one place; {_HOW}")
        ((source, name),) = reference.items()
        find = self._variable if source == "env" else self._content
        return Secret(find(name, (*where, source)))

    def _content(self, name: object, where: FieldPath) -> str:
        # Editors and `echo` end a file with a line break; it is not a part of the secret.
        return self._file(name, where, MAX_SECRET_BYTES).removesuffix("\n").removesuffix("\r")

    def _policy(self, name: object, where: FieldPath) -> str:
        return self._file(name, where, MAX_DOCUMENT_BYTES)

    def _file(self, name: object, where: FieldPath, limit: int) -> str:
        if not isinstance(name, str):
            raise _LeadsNowhere(where, "must be text; put it in quotes")
        try:
            return read_bounded(self.directory / name, limit).decode("utf-8")
        except FileUnreadable as fault:
            message = f"{quoted(name)} {fault}; paths are relative to the zone file"
            raise _LeadsNowhere(where, message) from None
        except UnicodeDecodeError:
            raise _LeadsNowhere(where, f"{quoted(name)} is not UTF-8 text") from None

    def _variable(self, name: object, where: FieldPath) -> str:
        if not isinstance(name, str):
            raise _LeadsNowhere(where, "must be text; put it in quotes")
        found = self.environment.get(name)
        if found is None:
            message = f"the variable {quoted(name)} is not set; set it and apply again"
            raise _LeadsNowhere(where, message)
        return found

    def _upstream(self, text: object, where: FieldPath) -> object:
        if not isinstance(text, str):
            return text
        return _VARIABLE.sub(lambda match: self._variable(match[1], where), text)


def _entries(data: dict[str, object], group: str) -> Iterator[tuple[FieldPath, dict[str, object]]]:
    entries = data.get(group)
    for place, entry in enumerate(entries if isinstance(entries, list) else ()):
        if isinstance(entry, dict):
            yield (group, place), entry
