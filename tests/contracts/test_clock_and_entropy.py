"""What `Clock` and `Entropy` promise."""

import os
import threading
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from caracal_server.adapters.clock import SystemClock
from caracal_server.adapters.entropy import SystemEntropy

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def test_the_clock_tells_one_time_in_utc():
    clock = SystemClock()
    before, us, after = clock.now(), clock.now_us(), clock.now()

    assert before.tzinfo is UTC
    instant = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)
    assert before - timedelta(microseconds=1) <= instant <= after + timedelta(microseconds=1)
    assert clock.monotonic() <= clock.monotonic()


def test_identifiers_are_26_characters_of_lower_case_crockford():
    for new in (SystemEntropy().new_id() for _ in range(100)):
        assert len(new) == 26
        assert set(new) <= set(ALPHABET)
        assert new[0] in "01234567"


def test_identifiers_state_the_millisecond_they_were_minted_in():
    clock, entropy = SystemClock(), SystemEntropy()
    before = clock.now_us() // 1000
    new = entropy.new_id()
    after = clock.now_us() // 1000

    stated = 0
    for character in new[:10]:
        stated = stated << 5 | ALPHABET.index(character)
    assert before <= stated <= after


def test_identifiers_of_a_process_only_grow_and_never_repeat():
    entropy = SystemEntropy()
    minted = [entropy.new_id() for _ in range(50_000)]

    assert minted == sorted(minted)
    assert len(set(minted)) == len(minted)


def test_identifiers_of_one_millisecond_do_not_tell_the_next_one():
    entropy = SystemEntropy()
    minted = [entropy.new_id() for _ in range(5_000)]
    numbers = [int("".join(f"{ALPHABET.index(c):05b}" for c in one), 2) for one in minted]
    steps = {b - a for a, b in pairwise(numbers)}

    assert len(steps) > 4_900


def test_threads_never_share_randomness():
    entropy = SystemEntropy()
    taken: list[list[bytes]] = [[] for _ in range(4)]

    def take(into: list[bytes]) -> None:
        into.extend(entropy.token_bytes(16) for _ in range(3_000))

    threads = [threading.Thread(target=take, args=(into,)) for into in taken]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    everything = [token for into in taken for token in into]
    assert len(set(everything)) == len(everything) == 12_000


def test_more_bytes_than_the_pool_holds_can_be_asked_for():
    entropy = SystemEntropy()

    assert [len(entropy.token_bytes(count)) for count in (0, 1, 4096, 4097)] == [0, 1, 4096, 4097]


def test_forked_workers_never_mint_the_same():
    """A pool that was filled before the fork would be handed out by parent and children alike."""
    entropy = SystemEntropy()
    entropy.token_bytes(16)
    entropy.new_id()
    minted = []
    for _ in range(3):
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            lines = [entropy.token_bytes(16).hex() for _ in range(50)]
            lines += [entropy.new_id() for _ in range(50)]
            os.write(writer, "\n".join(lines).encode())
            os._exit(0)
        os.close(writer)
        with os.fdopen(reader) as pipe:
            minted += pipe.read().split("\n")
        os.waitpid(child, 0)
    minted += [entropy.token_bytes(16).hex() for _ in range(50)]
    minted += [entropy.new_id() for _ in range(50)]

    assert len(minted) == 400
    assert len(set(minted)) == 400
