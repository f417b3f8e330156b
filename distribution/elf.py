"""What a shared object or program asks the loader for (System V ABI, 64-bit little-endian only)."""

import struct

MAGIC = b"\x7fELF\x02\x01"
PT_LOAD, PT_DYNAMIC, PT_INTERP = 1, 2, 3
DT_NULL, DT_NEEDED, DT_STRTAB = 0, 1, 5


def is_elf(content: bytes) -> bool:
    return content.startswith(MAGIC)


def needed(content: bytes) -> list[str]:
    """The names of the libraries that must be found when it is loaded."""
    segments = list(_segments(content))
    dynamic = [(offset, size) for kind, offset, _, size in segments if kind == PT_DYNAMIC]
    if not dynamic:
        return []
    offset, size = dynamic[0]
    tags = list(struct.iter_unpack("<qQ", content[offset : offset + size - size % 16]))
    strings = next(value for tag, value in tags if tag == DT_STRTAB)
    base = next(
        at + strings - address
        for kind, at, address, length in segments
        if kind == PT_LOAD and address <= strings < address + length
    )
    return [_text(content, base + value) for tag, value in tags if tag == DT_NEEDED]


def _segments(content: bytes) -> list[tuple[int, int, int, int]]:
    """Kind, offset, address and size in the file, of every segment."""
    (table,) = struct.unpack_from("<Q", content, 32)
    width, count = struct.unpack_from("<HH", content, 54)
    found = []
    for index in range(count):
        at = table + index * width
        kind, _, offset, address, _, size = struct.unpack_from("<IIQQQQ", content, at)
        found.append((kind, offset, address, size))
    return found


def _text(content: bytes, at: int) -> str:
    return content[at : content.index(b"\0", at)].decode()
