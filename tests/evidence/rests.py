"""The rest of a log, as an export of it is laid out."""

from caracal.evidence.bundle import BundleWriter
from caracal.evidence.bundle_lines import Contents
from caracal.evidence.tree import TreeState, leaf_hash
from tests.evidence.signing import key_pair, signed_log

KEY, _ = key_pair("caracal.example/log")


def tree_of(entries: list[bytes]) -> TreeState:
    return TreeState().extend([leaf_hash(entry) for entry in entries])


def rest(
    entries: list[bytes],
    first: int,
    before: TreeState | None = None,
    name: str = "caracal.example/log",
) -> list[bytes]:
    """The bundle of the entries from `first` on, after the tree `before` if that is another one."""
    before = tree_of(entries[:first]) if before is None else before
    note, key = signed_log(entries, name)
    writer = BundleWriter(note, key, Contents.REST, before)
    header, kept = writer.header(), enumerate(entries[first:], first)
    body = [writer.entry(index, entry, leaf_hash(entry)) for index, entry in kept]
    return [header, *body, writer.closing()]
