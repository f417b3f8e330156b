"""The definitions of RFC 6962 section 2.1, word for word and slow; what ours is held to."""

from collections.abc import Sequence
from hashlib import sha256


def naive_root(entries: Sequence[bytes]) -> bytes:
    if not entries:
        return sha256(b"").digest()
    if len(entries) == 1:
        return sha256(b"\x00" + entries[0]).digest()
    k = split(len(entries))
    return sha256(b"\x01" + naive_root(entries[:k]) + naive_root(entries[k:])).digest()


def naive_path(m: int, entries: Sequence[bytes]) -> list[bytes]:
    if len(entries) == 1:
        return []
    k = split(len(entries))
    if m < k:
        return [*naive_path(m, entries[:k]), naive_root(entries[k:])]
    return [*naive_path(m - k, entries[k:]), naive_root(entries[:k])]


def naive_consistency(m: int, entries: Sequence[bytes]) -> list[bytes]:
    return subproof(m, entries, complete=True) if m else []


def subproof(m: int, entries: Sequence[bytes], *, complete: bool) -> list[bytes]:
    if m == len(entries):
        return [] if complete else [naive_root(entries)]
    k = split(len(entries))
    if m <= k:
        return [*subproof(m, entries[:k], complete=complete), naive_root(entries[k:])]
    return [*subproof(m - k, entries[k:], complete=False), naive_root(entries[:k])]


def split(size: int) -> int:
    """Return the largest power of two smaller than `size`."""
    k = 1
    while k * 2 < size:
        k *= 2
    return k


def entries_of(size: int) -> list[bytes]:
    return [f'{{"n":{n}}}'.encode() for n in range(size)]
