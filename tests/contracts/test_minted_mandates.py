"""A mandate that was just signed is known again, once, and by its very bytes."""

from msgspec.structs import replace

from caracal_server.adapters.memory import minted
from caracal_server.adapters.memory.minted import GENERATION, MintedInMemory
from tests.authority.worlds import World


def mandate():
    world = World()
    return world.mint(world.start())


def test_a_token_is_recalled_once():
    known, kept = MintedInMemory(), mandate()
    known.remember("a.b.c", kept)
    assert known.recall(b"a.b.c") is kept
    assert known.recall(b"a.b.c") is None


def test_a_token_that_differs_in_one_byte_is_not_known():
    known = MintedInMemory()
    known.remember("a.b.c", mandate())
    assert known.recall(b"a.b.d") is None
    assert known.recall(b"a.b.c ") is None


def test_what_is_not_spent_is_forgotten_after_two_generations():
    known, kept = MintedInMemory(), mandate()
    known.remember("old", kept)
    later = replace(kept, issued_at=kept.issued_at + GENERATION)
    known.remember("newer", later)
    assert known.recall(b"old") is kept, "the generation before is still known"
    known.remember("older", later)
    for step in (2, 3):
        known.remember(f"at {step}", replace(kept, issued_at=kept.issued_at + step * GENERATION))
    assert known.recall(b"older") is None
    assert known.recall(b"newer") is None


def test_a_flood_does_not_grow_the_memory_without_end():
    known, kept = MintedInMemory(), mandate()
    for number in range(3 * minted.CAPACITY):
        known.remember(str(number), kept)
    assert len(known) <= 2 * minted.CAPACITY
