"""Frames request bodies: exactly the announced length, or chunked."""

from collections.abc import AsyncGenerator, AsyncIterator

SLICE_BYTES = 64 * 1024
"""The most that is handed to a connection at once; between slices it may ask to wait."""


async def framed(
    first: bytes, rest: AsyncIterator[bytes], content_length: int | None
) -> AsyncGenerator[bytes | memoryview, None]:
    """Yield `first` and `rest` as they must stand on the wire.

    Raises:
        ValueError: the body is not as long as announced. Whatever `rest` raises passes through.
    """
    left = content_length
    chunk = first
    while True:
        if left is not None:
            left -= len(chunk)
            if left < 0:
                raise ValueError("the request body is longer than its content length")
        for piece in _slices(chunk):
            yield piece if left is not None else b"%x\r\n%b\r\n" % (len(piece), bytes(piece))
        try:
            chunk = await anext(rest)
        except StopAsyncIteration:
            break
    if left:
        raise ValueError("the request body ended before its content length")
    if left is None:
        yield b"0\r\n\r\n"


def _slices(chunk: bytes) -> list[bytes] | list[memoryview]:
    if len(chunk) <= SLICE_BYTES:
        return [chunk] if chunk else []
    view = memoryview(chunk)
    return [view[at : at + SLICE_BYTES] for at in range(0, len(chunk), SLICE_BYTES)]
