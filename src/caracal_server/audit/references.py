"""References to entries: what callers are answered, and fetch their receipts with.

A reference names the entry and carries a code that only Audit can make, so who was not answered it can
not ask for the entry, and nobody learns from asking which entries there are.
"""

import hmac
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from typing import Final

import msgspec

from caracal.authority.identifiers import InvalidIdentifier, ZoneId, parse_id
from caracal.evidence.tree import MAX_SIZE
from caracal_server.audit.logs import LogKeys
from caracal_server.web.peers.services import is_shard

MAX_REFERENCE: Final = 256

_CODE_BYTES: Final = 16
_CODE_CHARACTERS: Final = 22
_PARTS: Final = 3
_MARK: Final = "~"
_MAX_DIGITS: Final = len(str(MAX_SIZE))


class Named(msgspec.Struct, frozen=True):
    """What a reference names. Nothing of it is verified."""

    zone_id: ZoneId
    index: int
    code: str
    shard: str = ""


def parse_reference(text: str) -> Named | None:
    """Take a reference apart; `None` when it is none."""
    parts = text.rsplit(".", 2) if len(text) <= MAX_REFERENCE else []
    if len(parts) != _PARTS or not _is_index(parts[1]):
        return None
    zone, mark, shard = parts[0].partition(_MARK)
    if mark and not is_shard(shard):
        return None
    try:
        zone_id = parse_id(ZoneId, zone)
    except InvalidIdentifier:
        return None
    return Named(zone_id, int(parts[1]), parts[2], shard)


@dataclass(frozen=True, slots=True)
class References:
    """Makes references under the key that comes with the log's own, and holds them to it.

    While one log key takes over from another, those made under either are good.
    """

    keys: LogKeys = field(repr=False)
    shard: str = ""
    _begun: dict[bytes, hmac.HMAC] = field(default_factory=dict, init=False, repr=False)

    def __call__(self, zone_id: ZoneId, index: int, leaf: bytes) -> str:
        """`<zone>.<index>.<code>`: 128 bits of HMAC-SHA-256, in base64url; of a shard `<zone>~<shard>`."""
        code = self._code(self.keys.current.reference_key, zone_id, index, leaf)
        where = f"{zone_id}{_MARK}{self.shard}" if self.shard else zone_id
        return f"{where}.{index}.{code}"

    def genuine(self, named: Named, leaf: bytes) -> bool:
        """Whether we made it, for the entry of that leaf hash. Takes as long whatever the answer."""
        given = named.code.encode(errors="replace")
        matches = [
            hmac.compare_digest(
                self._code(key.reference_key, named.zone_id, named.index, leaf).encode(), given
            )
            for key in self.keys.all()
        ]
        return any(matches)

    def _code(self, key: bytes, zone_id: ZoneId, index: int, leaf: bytes) -> str:
        begun = self._begun.get(key)
        if begun is None:
            begun = self._begun[key] = hmac.new(key, digestmod="sha256")
        # Every decision comes by here, and a copy costs less than beginning with the key.
        code = begun.copy()
        # An identifier holds no line feed, so no two entries have the same text.
        code.update(b"%b\n%d\n%b" % (zone_id.encode(), index, leaf))
        return urlsafe_b64encode(code.digest()[:_CODE_BYTES])[:_CODE_CHARACTERS].decode()


def _is_index(text: str) -> bool:
    if not (text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS):
        return False
    return text == str(int(text)) and int(text) < MAX_SIZE
