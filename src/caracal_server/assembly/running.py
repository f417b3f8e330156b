"""What runs for as long as a process serves."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any


def run_until_left(running: Coroutine[Any, Any, None]) -> Callable[[], Awaitable[None]]:
    """Run it; what is returned ends it, and returns once it has."""
    task = asyncio.create_task(running)

    async def end() -> None:
        # Once is enough, unless what it waits for loses a cancellation.
        while not task.done():
            task.cancel()
            await asyncio.wait((task,), timeout=1)
        with contextlib.suppress(asyncio.CancelledError):
            await task

    return end
