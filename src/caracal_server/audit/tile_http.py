"""The logs as files under their origin, as any static web server could serve them.

Operators with the scope `read` may read all of it. Where the settings make the logs public, anybody may
read checkpoints and hashes, which hold nothing of what the entries say; entries never.
"""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from caracal.authority.identifiers import InvalidIdentifier, ZoneId, parse_id
from caracal.authority.outcomes import Reason, Refused
from caracal.evidence.errors import EvidenceError
from caracal.evidence.tiles import WIDTH, EntryBundle, Tile, parse_path
from caracal_server.audit.logs import Logs
from caracal_server.audit.queries import EvidenceReader
from caracal_server.audit.tiles import TileView
from caracal_server.ports.operators import OperatorScope
from caracal_server.web.asgi import NO_SNIFF, TEXT, Header, Reply
from caracal_server.web.meanings.answers import Variant
from caracal_server.web.operators import Authenticate
from caracal_server.web.problems import Problem, RequestRefused
from caracal_server.web.requests import refuse_params
from caracal_server.web.routes import Route, reply_response

BYTES: Final[Header] = (b"content-type", b"application/octet-stream")
FULL_SECONDS: Final = 365 * 24 * 3600
PARTIAL_SECONDS: Final = 60
"""A partial tile never changes either, but nobody asks for it once the tree has grown."""


class TileApi:
    """The handlers; `routes` is the table."""

    def __init__(
        self, tiles: TileView, reader: EvidenceReader, logs: Logs, authenticate: Authenticate
    ) -> None:
        self._tiles = tiles
        self._reader = reader
        self._logs = logs
        self._authenticate = authenticate

    def routes(self) -> tuple[Route, ...]:
        shard = self._logs.settings.shard
        log = f"/evidence/{{zone}}/{shard}" if shard else "/evidence/{zone}"
        return (
            Route("GET", f"{log}/checkpoint", self.checkpoint),
            Route("GET", f"{log}/tile/{{path:path}}", self.tile),
        )

    async def checkpoint(self, request: Request) -> Response:
        zone_id = await self._log(request, public=self._logs.settings.public_log)
        found = await self._reader.checkpoint(zone_id)
        if isinstance(found, Refused):
            raise RequestRefused(Problem.of(found, Variant.NOT_FOUND))
        return _file(found.note.encode(), TEXT, b"no-cache")

    async def tile(self, request: Request) -> Response:
        place = _place(request)
        public = self._logs.settings.public_log and isinstance(place, Tile)
        zone_id = await self._log(request, public=public)
        found = await self._tiles.read(zone_id, place)
        if isinstance(found, Refused):
            plain = found.reason is not Reason.REQUEST_MALFORMED
            raise RequestRefused(Problem.of(found, None if plain else Variant.NOT_FOUND))
        kept = b"max-age=%d" % PARTIAL_SECONDS
        if place.width == WIDTH:
            kept = b"max-age=%d, immutable" % FULL_SECONDS
        return _file(found, BYTES, (b"public, " if public else b"private, ") + kept)

    async def _log(self, request: Request, *, public: bool) -> ZoneId:
        """Which log is asked for, once whoever asks may know of it."""
        if not public:
            identity = await self._authenticate(request, OperatorScope.READ)
            if isinstance(identity, Refused):
                raise RequestRefused(Problem.of(identity))
        try:
            zone_id = parse_id(ZoneId, request.path_params["zone"])
        except InvalidIdentifier as fault:
            raise refuse_params(str(fault)) from None
        if not self._logs.known(zone_id):
            raise RequestRefused(Problem(Reason.ZONE_UNKNOWN, f"there is no zone {zone_id}"))
        return zone_id


def _place(request: Request) -> Tile | EntryBundle:
    try:
        return parse_path(f"tile/{request.path_params['path']}")
    except EvidenceError as fault:
        problem = Problem(Reason.REQUEST_MALFORMED, str(fault), variant=Variant.NOT_FOUND)
        raise RequestRefused(problem) from None


def _file(body: bytes, kind: Header, cache: bytes) -> Response:
    return reply_response(Reply(200, (kind, (b"cache-control", cache), NO_SNIFF), body))
