"""Binding sealed bytes to what they are for."""


def bind(purpose: str, *names: str) -> bytes:
    """One byte string for a purpose and names; two different lists of names never give the same."""
    parts = [part.encode() for part in (purpose, *names)]
    return b"".join(len(part).to_bytes(4) + part for part in parts)
