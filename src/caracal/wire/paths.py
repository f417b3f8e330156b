"""The target of a call, as the Gateway may forward it.

The path goes upstream byte for byte as it was received, so it must mean the same to everyone on the
way: whoever decodes it once, twice or more finds the same segments, no way up, no early end, and no
`;parameters`, which some servers strip. What could be read in two ways is refused.
"""

import re
from urllib.parse import unquote_to_bytes

import msgspec

from caracal.authority.outcomes import Reason
from caracal.wire.errors import WireError

MAX_TARGET_BYTES = 8_192

_PATH = re.compile(rb"/[A-Za-z0-9\-._~!$&'()*+,=:@/%\[\]]*")
_QUERY = re.compile(rb"[\x21\x22\x24-\x7e]*")
_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_DELIMITER = re.compile(rb"[?#;]")
_DOTS = frozenset({b".", b".."})


class CallTarget(msgspec.Struct, frozen=True):
    """A path that is safe to forward.

    Attributes:
        segments: what stands between the slashes, decoded once; the last is empty after a trailing slash.
        path_raw: the path as received.
        query: the query as received, without its question mark.
    """

    segments: tuple[str, ...]
    path_raw: bytes
    query: bytes


def parse_target(raw_path: bytes, query: bytes) -> CallTarget:
    """Prove a request target safe (RFC 3986 section 3.3, RFC 9110 section 17.3).

    Raises:
        WireError: with PATH_UNSAFE and what is wrong.
    """
    if len(raw_path) > MAX_TARGET_BYTES or len(query) > MAX_TARGET_BYTES:
        raise _unsafe(f"path and query have at most {MAX_TARGET_BYTES} bytes each")
    if b";" in raw_path:
        raise _unsafe("the path has a semicolon: some servers drop what follows it")
    if _PATH.fullmatch(raw_path) is None:
        raise _unsafe(
            "the path starts with / and has only characters of a URI: escape others with %"
        )
    if _QUERY.fullmatch(query) is None:
        raise _unsafe("the query has only characters of a URI: escape others with %")
    parts = raw_path[1:].split(b"/")
    if b"" in parts[:-1]:
        raise _unsafe("the path has an empty segment: // is not forwarded")
    if b"%" not in raw_path:
        for part in parts:
            _check_dots(part)
        return CallTarget(tuple(raw_path[1:].decode("ascii").split("/")), raw_path, query)
    if _BAD_ESCAPE.search(raw_path) is not None:
        raise _unsafe("the path has a % that two hexadecimal digits do not follow")
    return CallTarget(tuple(_decode(part) for part in parts), raw_path, query)


def _decode(part: bytes) -> str:
    """The segment decoded once, after it was found harmless however often it is decoded."""
    once = deeper = unquote_to_bytes(part)
    before = part
    while before != deeper:
        _check(deeper)
        before, deeper = deeper, unquote_to_bytes(deeper)
    _check_dots(part)
    return once.decode()


def _check(segment: bytes) -> None:
    _check_dots(segment)
    if b"/" in segment or b"\\" in segment:
        raise _unsafe("the path has an escaped slash or backslash: it is not forwarded")
    if _DELIMITER.search(segment) is not None:
        raise _unsafe("the path has an escaped ?, # or ;: some servers end the path there")
    if _CONTROL.search(segment) is not None:
        raise _unsafe("the path has an escaped control character")
    try:
        segment.decode()
    except UnicodeDecodeError:
        raise _unsafe("the path is not UTF-8 once decoded") from None


def _check_dots(segment: bytes) -> None:
    if segment in _DOTS:
        raise _unsafe("the path has a dot segment: send the path it leads to")


def _unsafe(description: str) -> WireError:
    return WireError(description, code="invalid_token", field="path", reason=Reason.PATH_UNSAFE)
