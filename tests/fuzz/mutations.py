"""Kept inputs, and what Hypothesis makes of them: a few small changes to something that nearly is right."""

from collections.abc import Callable, Mapping
from pathlib import Path

from hypothesis import strategies as st

CORPUS = Path(__file__).parent / "corpus"
LONGEST = 4_000
"""How often a piece is repeated: enough to see time that grows with the square."""
TELLING = (
    b"\x00 \t \r\n \xc3\xa9 \xff \xed\xa0\x80 \" ' \\ \\u0000 { } [ ] , : = ; ~ . - 0 1e400 -1 true null NaN "
    b"9007199254740993 .. % %25 # @ // caracal. = _ A"
).split(b" ")

Change = Callable[[bytes], bytes]


def corpus(name: str) -> Mapping[str, bytes]:
    """The kept inputs of a parser; names begin with what is to become of them: `good` or `bad`."""
    return {file.stem: file.read_bytes() for file in sorted((CORPUS / name).glob("*.txt"))}


def mutations(kept: Mapping[str, bytes]) -> st.SearchStrategy[bytes]:
    """Inputs that differ from a kept one in one to four places."""
    places = st.integers(0, max(map(len, kept.values())))
    pieces = st.sampled_from(TELLING) | st.binary(min_size=1, max_size=3)
    changes = st.one_of(
        st.builds(_flipped, places, st.integers(0, 7)),
        st.builds(_without, places, st.integers(1, 40)),
        st.builds(_with, places, pieces),
        st.builds(_repeated, places, st.integers(1, 30), st.sampled_from([2, 3, LONGEST])),
        st.builds(_moved, places, places, st.integers(1, 30)),
        st.builds(_spliced, places, st.sampled_from(list(kept.values()))),
        st.builds(_in_another_case, places, st.integers(1, 10)),
    )
    return st.builds(
        _changed, st.sampled_from(list(kept.values())), st.lists(changes, min_size=1, max_size=4)
    )


def _changed(item: bytes, changes: list[Change]) -> bytes:
    for change in changes:
        item = change(item)[: 64 * 1024]
    return item


def _flipped(at: int, bit: int) -> Change:
    return lambda it: it[:at] + bytes([byte ^ 1 << bit for byte in it[at : at + 1]]) + it[at + 1 :]


def _without(at: int, length: int) -> Change:
    return lambda it: it[:at] + it[at + length :]


def _with(at: int, piece: bytes) -> Change:
    return lambda it: it[:at] + piece + it[at:]


def _repeated(at: int, length: int, times: int) -> Change:
    return lambda it: it[:at] + it[at : at + length] * times + it[at + length :]


def _moved(at: int, to: int, length: int) -> Change:
    return lambda it: _with(to, it[at : at + length])(_without(at, length)(it))


def _spliced(at: int, other: bytes) -> Change:
    return lambda it: it[:at] + other[at:]


def _in_another_case(at: int, length: int) -> Change:
    return lambda it: it[:at] + it[at : at + length].swapcase() + it[at + length :]
