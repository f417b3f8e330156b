"""What keeps a program from looking into the process that governs it."""

import ctypes
import sys
from typing import Final

_PR_SET_DUMPABLE: Final = 4


def hide() -> None:
    """On Linux: no process of this user reads the memory or environment of this one; no core is dumped.

    Source: prctl(2), PR_SET_DUMPABLE; proc(5).
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
