"""The digest of a tool call's arguments: SHA-256 of their RFC 8785 form, fractions included."""

import hashlib
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

import msgspec

from caracal.evidence.canonical import canonical_json

_PLAIN_DIGITS: Final = 21
_LEADING_ZEROS: Final = -6


def digest_arguments(arguments: Mapping[str, Any]) -> str:
    """The digest in hex, of plain JSON values that `mcp.parse_message` has found fit for it."""
    return hashlib.sha256(canonical_arguments(arguments)).hexdigest()


def canonical_arguments(arguments: Mapping[str, Any]) -> bytes:
    """The RFC 8785 form of plain JSON values that `mcp.decode_object` has read."""
    try:
        return canonical_json(arguments)
    except ValueError:
        # Evidence itself holds no fractions; arguments may.
        return _render(arguments).encode()


def _render(value: object) -> str:
    if isinstance(value, dict):
        members = sorted(value.items(), key=lambda member: member[0].encode("utf-16-be"))
        return "{" + ",".join(f"{_plain(key)}:{_render(item)}" for key, item in members) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_render, value)) + "]"
    return render_number(value) if isinstance(value, float) else _plain(value)


def _plain(value: object) -> str:
    return msgspec.json.encode(value).decode()


def render_number(value: float) -> str:
    """A finite number as ECMAScript writes it (RFC 8785 section 3.2.2.3)."""
    if value == 0:
        return "0"
    sign, parts, exponent = Decimal(repr(value)).normalize().as_tuple()
    digits, minus = "".join(map(str, parts)), "-" if sign else ""
    point = len(digits) + int(exponent)
    if len(digits) <= point <= _PLAIN_DIGITS:
        return minus + digits.ljust(point, "0")
    if 0 < point <= _PLAIN_DIGITS:
        return f"{minus}{digits[:point]}.{digits[point:]}"
    if _LEADING_ZEROS < point <= 0:
        return f"{minus}0.{'0' * -point}{digits}"
    fraction = f".{digits[1:]}" if digits[1:] else ""
    return f"{minus}{digits[0]}{fraction}e{point - 1:+d}"
