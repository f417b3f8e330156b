"""Garbage collection, set for processes that live long and make few cycles."""

import gc


def settle_memory() -> None:
    """Leave what lives as long as the process out of every later garbage collection.

    Requests make few cycles; looking for them after every few hundred objects costs more than they do.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
