"""A disk that fails, stores nothing, hangs, kills, or loses power: for a real server on SQLite.

`faulty_disk.c` is preloaded into the server; that takes a C compiler and a Python whose SQLite calls the C
library through it. Where either is missing, `faulty_disk` says so, and the tests that need it are skipped.
"""

import mmap
import os
import random
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

SOURCE = Path(__file__).with_name("faulty_disk.c")
CONTROL = struct.Struct("=iii")
RECORD = struct.Struct("=iiqq")
SECTOR = 512
"""Bytes that a disk writes as one; a larger write can be cut within."""


class NoFaultyDisk(Exception):
    """Disks can not be made to fail here, and why."""


class Fault(IntEnum):
    """As in `faulty_disk.c`."""

    NONE = 0
    WRITE_FULL = 1
    WRITE_READ_ONLY = 2
    WRITE_FAILS = 3
    WRITE_STORED_THEN_FAILS = 4
    WRITE_HANGS = 5
    SYNC_FAILS = 6
    SYNC_DONE_THEN_FAILS = 7
    SYNC_HANGS = 8
    KILL_BEFORE_WRITE = 9
    KILL_TORN_WRITE = 10
    KILL_BEFORE_SYNC = 11
    KILL_AFTER_SYNC = 12


REFUSING = (
    Fault.WRITE_FULL,
    Fault.WRITE_READ_ONLY,
    *(fault for fault in Fault if "FAILS" in fault.name),
)
HANGING = (Fault.WRITE_HANGS, Fault.SYNC_HANGS)
KILLING = tuple(fault for fault in Fault if fault.name.startswith("KILL"))


class _Operation(IntEnum):
    WRITE = 1
    SYNC = 2
    TRUNCATE = 3


@dataclass(frozen=True, slots=True)
class _Record:
    operation: int
    file: int
    offset: int
    data: bytes


class FaultyDisk:
    """The disk under one database file. `environment` is for the process that is to have it."""

    def __init__(self, library: Path, database: Path) -> None:
        beside = database.parent.parent
        self._control_file = beside / f"{database.parent.name}.fault"
        self._control_file.write_bytes(bytes(CONTROL.size))
        with self._control_file.open("r+b") as shared:
            self._control = mmap.mmap(shared.fileno(), CONTROL.size)
        self._database = database
        self._journal = beside / f"{database.parent.name}.journal"
        self.environment = {
            "LD_PRELOAD": str(library),
            "FAULTY_DISK_CONTROL": str(self._control_file),
            "FAULTY_DISK_DATABASE": str(database),
            "FAULTY_DISK_JOURNAL": str(self._journal),
        }

    def fail(self, fault: Fault, after: int = 0) -> None:
        """From now on, once `after` operations of its sort have gone well."""
        self._control[:] = CONTROL.pack(0, after, 0)
        self._control[:4] = struct.pack("=i", fault)

    def heal(self) -> None:
        self.fail(Fault.NONE)

    @property
    def fired(self) -> int:
        """How many operations went wrong since the last `fail`."""
        return CONTROL.unpack(self._control[:])[2]

    @property
    def moment(self) -> int:
        """A point in the history of writes; what is acknowledged now was synced before it."""
        return self._journal.stat().st_size

    def cut_power(self, moment: int, dice: random.Random, into: Path) -> Path:
        """Build the database as it may lie on the disk if the power went at `moment`.

        Of what was not synced, each sector is there or not. Return where the database is.
        """
        files = (bytearray(), bytearray())
        records = list(self._records(moment))
        synced = {
            file: max((at for at, one in enumerate(records) if _is_sync(one, file)), default=-1)
            for file in (0, 1)
        }
        for at, one in enumerate(records):
            if at < synced[one.file]:
                _apply(files[one.file], one)
            else:
                _apply_in_part(files[one.file], one, dice)
        for name, content in zip(("", "-wal"), files, strict=True):
            (into / f"{self._database.name}{name}").write_bytes(content)
        return into / self._database.name

    def _records(self, until: int) -> Iterator[_Record]:
        journal = self._journal.read_bytes()[:until]
        at = 0
        while at + RECORD.size <= len(journal):
            operation, file, offset, length = RECORD.unpack_from(journal, at)
            at += RECORD.size
            if at + length > len(journal):
                return
            yield _Record(operation, file, offset, journal[at : at + length])
            at += length


def faulty_disk(directory: Path, database: Path) -> FaultyDisk:
    """Compile the disk into `directory`, and put it under a database.

    Raises:
        NoFaultyDisk: it can not be done here.
    """
    return FaultyDisk(compiled(directory), database)


def compiled(directory: Path) -> Path:
    """Compile it once for each directory, and see that it is asked.

    Raises:
        NoFaultyDisk: there is no compiler, or the system's SQLite goes past it.
    """
    library = directory / "faulty_disk.so"
    if library.exists():
        return library
    compiler = shutil.which("cc")
    if sys.platform != "linux" or compiler is None:
        raise NoFaultyDisk("no C compiler (cc) on Linux to build the faulty disk with")
    command = [compiler, "-O2", "-shared", "-fPIC", "-o", library, SOURCE, "-ldl", "-lpthread"]
    built = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if built.returncode != 0:
        raise NoFaultyDisk(f"the faulty disk does not compile: {built.stderr[-300:]}")
    if not _is_asked(library, directory):
        library.unlink()
        raise NoFaultyDisk("this Python's SQLite does not write through the C library's pwrite64")
    return library


def _is_asked(library: Path, directory: Path) -> bool:
    """Whether a disk that is full from the start keeps SQLite from writing."""
    probe = directory / "probe"
    probe.mkdir(exist_ok=True)
    disk = FaultyDisk(library, probe / "probe.db")
    disk.fail(Fault.WRITE_FULL)
    write = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('CREATE TABLE t (c)')"
    tried = subprocess.run(
        [sys.executable, "-c", write, str(probe / "probe.db")],
        env=os.environ | disk.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return "full" in tried.stderr and disk.fired > 0


def _is_sync(record: _Record, file: int) -> bool:
    return record.file == file and record.operation == _Operation.SYNC


def _apply(content: bytearray, record: _Record) -> None:
    if record.operation == _Operation.TRUNCATE:
        del content[record.offset :]
        content.extend(bytes(record.offset - len(content)))
    elif record.operation == _Operation.WRITE:
        end = record.offset + len(record.data)
        content.extend(bytes(max(0, end - len(content))))
        content[record.offset : end] = record.data


def _apply_in_part(content: bytearray, record: _Record, dice: random.Random) -> None:
    """What nobody waited for: a truncation happened or not, and of a write some sectors arrived."""
    if record.operation == _Operation.TRUNCATE:
        if dice.random() < 0.5:
            _apply(content, record)
        return
    fate = dice.random()
    for start in range(0, len(record.data), SECTOR):
        if fate < 0.4 or (fate < 0.7 and dice.random() < 0.5):
            sector = record.data[start : start + SECTOR]
            _apply(content, _Record(record.operation, record.file, record.offset + start, sector))
