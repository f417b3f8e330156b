"""One value, one sequence of bytes: the JSON Canonicalization Scheme (RFC 8785).

Evidence holds no floating-point numbers: two languages may print one differently, and
an entry must hash the same everywhere. Everything else of RFC 8785 is followed.
"""

import re
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import msgspec

JsonValue: TypeAlias = str | int | Sequence["JsonValue"] | Mapping[str, "JsonValue"] | None

MAX_DEPTH = 64
MAX_SAFE_INTEGER = 2**53 - 1

_encode_sorted = msgspec.json.Encoder(order="sorted").encode
_encode_as_given = msgspec.json.Encoder().encode
_find_beyond_16_bits = re.compile(rb"[\xf0-\xf4]").search


def canonical_json(value: JsonValue) -> bytes:
    """Render `value` as RFC 8785 JSON.

    Args:
        value: made of str, int, bool, None, list, tuple and dict with str keys, and of
            no subclass of these; nested at most 64 deep.

    Raises:
        ValueError: anything else, a float, an integer beyond 2**53 - 1 either way, or a
            lone surrogate; the message names the path.

    Source: RFC 8785 section 3.2.
    """
    if not _is_plain(value, MAX_DEPTH):
        raise ValueError(_fault(value, "$", MAX_DEPTH))
    try:
        encoded = _encode_sorted(value)
    except UnicodeEncodeError:
        raise ValueError(_fault(value, "$", MAX_DEPTH)) from None
    # The encoder sorts keys by code point and RFC 8785 by UTF-16 code unit. The two
    # differ only where a key holds a character that UTF-16 writes as two units.
    if not encoded.isascii() and _find_beyond_16_bits(encoded):
        return _encode_as_given(_sorted_by_utf16(value))
    return encoded


def _is_plain(value: object, depth: int) -> bool:  # noqa: C901 - calls would cost on the hot path
    """Tell whether every part of `value` may stand in evidence, surrogates aside."""
    if type(value) is str:
        return True
    if type(value) is dict:
        if not depth:
            return False
        for key, item in value.items():
            if type(key) is not str:
                return False
            if type(item) is not str and not _is_plain(item, depth - 1):
                return False
        return True
    if type(value) is int:
        return -MAX_SAFE_INTEGER <= value <= MAX_SAFE_INTEGER
    if type(value) is list or type(value) is tuple:
        if not depth:
            return False
        for item in value:  # noqa: SIM110 - a generator would cost on the hot path
            if type(item) is not str and not _is_plain(item, depth - 1):
                return False
        return True
    return value is None or type(value) is bool


def _fault(value: object, path: str, depth: int) -> str | None:
    """Say what in `value` may not stand in evidence, and where; None if all may."""
    if type(value) is dict or type(value) is list or type(value) is tuple:
        return _fault_inside(value, path, depth)
    if type(value) is str:
        return None if _is_unicode(value) else f"lone surrogate at {path}"
    return None if _is_plain(value, depth) else f"{_scalar_fault(value)} at {path}"


def _fault_inside(
    value: dict[object, object] | list[object] | tuple[object, ...], path: str, depth: int
) -> str | None:
    if not depth:
        return f"nested more than {MAX_DEPTH} deep"
    if type(value) is dict:
        for key in value:
            if type(key) is not str or not _is_unicode(key):
                return f"key {key!r} is not a Unicode string at {path}"
        parts = [(f"{path}.{key}", item) for key, item in value.items()]
    else:
        parts = [(f"{path}[{position}]", item) for position, item in enumerate(value)]
    faults = (_fault(item, where, depth - 1) for where, item in parts)
    return next((fault for fault in faults if fault), None)


def _scalar_fault(value: object) -> str:
    if type(value) is float:
        return "floating-point number"
    if type(value) is int:
        return "integer beyond 2**53 - 1"
    return "not a JSON value"


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _sorted_by_utf16(value: object) -> object:
    if type(value) is dict:
        keys = sorted(value, key=lambda key: key.encode("utf-16-be"))
        return {key: _sorted_by_utf16(value[key]) for key in keys}
    if type(value) is list or type(value) is tuple:
        return [_sorted_by_utf16(item) for item in value]
    return value
