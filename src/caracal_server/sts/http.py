"""The STS's edge: raw ASGI, because every mandate is minted here.

Order of a token request: envelope, body, form, the client, then the exchange.
"""

from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote_to_bytes

import msgspec

from caracal.authority.control_keys import INVOKE
from caracal.authority.exchange import ExchangeRequest
from caracal.authority.identifiers import InvalidIdentifier, ZoneId, parse_id
from caracal.authority.outcomes import Reason, Refused
from caracal.tokens.refusal import TokenRefused
from caracal.wire.endpoints import is_server
from caracal.wire.errors import Fault, WireError
from caracal.wire.forms import TokenRequest, check_envelope, parse_token_body
from caracal.wire.token_responses import render_metadata, render_token_response
from caracal_server.ports.clock import Clock
from caracal_server.ports.entropy import Entropy
from caracal_server.ports.keys import VerifyingKeys
from caracal_server.ports.zones import ZoneDirectory
from caracal_server.sts import entries
from caracal_server.sts.approvals import APPROVALS, refuse_approval
from caracal_server.sts.clients import ClientAuthentication, ProvenClient
from caracal_server.sts.control_exchange import ControlExchange
from caracal_server.sts.exchange import Exchange, Issued
from caracal_server.sts.metrics import StsMetrics
from caracal_server.sts.settings import StsSettings
from caracal_server.sts.subject_exchange import SubjectExchange
from caracal_server.web.asgi import (
    JSON,
    NO_SNIFF,
    Application,
    Header,
    Receive,
    Reply,
    Scope,
    Send,
    send_json,
    send_reply,
)
from caracal_server.web.limits import FailureThrottle, InFlight
from caracal_server.web.meanings.answers import Variant
from caracal_server.web.problems import (
    Problem,
    RequestRefused,
    nothing_here,
    other_method,
    problem_of,
    render_oauth,
)
from caracal_server.web.receipts import RecordedRefusal, receipt_headers
from caracal_server.web.refusals import UnprovenRefusals
from caracal_server.web.requests import read_body, request_id

TOKEN: Final = "/oauth/2/token"  # noqa: S105 (a path)
JWKS: Final = "/.well-known/jwks.json"
METADATA: Final = "/.well-known/oauth-authorization-server"
PATHS: Final = frozenset({TOKEN, JWKS, METADATA})


_READS: Final = frozenset({"GET", "HEAD"})
_GUESSES: Final = frozenset({Reason.CLIENT_UNKNOWN, Reason.CLIENT_SECRET_WRONG})


def serves(path: str) -> bool:
    """Whether the STS answers at this path, where it shares a listener with others."""
    return path in PATHS or path.startswith(APPROVALS) or is_server(path)


@dataclass(slots=True)
class StsApp:
    """ASGI for the token endpoint, the published keys and the server's metadata (RFC 8414).

    Attributes:
        oauth: what serves the zones' authorization servers.
    """

    settings: StsSettings
    clock: Clock
    entropy: Entropy
    directory: ZoneDirectory
    keys: VerifyingKeys
    authenticate: ClientAuthentication
    throttle: FailureThrottle
    exchange: Exchange
    subjects: SubjectExchange
    control: ControlExchange
    metrics: StsMetrics
    oauth: Application | None = None
    _in_flight: InFlight = field(init=False)
    _unproven: UnprovenRefusals = field(init=False)

    def __post_init__(self) -> None:
        self._in_flight = InFlight(self.settings.max_in_flight)
        self._unproven = UnprovenRefusals(
            self.exchange.evidence, self.clock, self.metrics.unrecorded
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        identity = request_id(scope["headers"], self.entropy)
        path = scope["path"]
        if self.oauth is not None and is_server(path):
            await self.oauth(scope, receive, send)
            return
        if path == TOKEN:
            await self._token(scope, receive, send, identity)
            return
        try:
            reply = self._document(path, scope, identity)
        except RequestRefused as refusal:
            reply = render_oauth(refusal.problem, identity)
        await send_reply(send, reply)

    async def _token(self, scope: Scope, receive: Receive, send: Send, identity: str) -> None:
        started = self.clock.monotonic()
        try:
            form = await self._form(scope, receive)
            with self._in_flight:
                outcome = await self._exchange(form, identity)
        except Exception as fault:  # noqa: BLE001 (whatever went wrong, the answer is no)
            outcome = problem_of(fault, identity)
        if isinstance(outcome, Problem):
            self.metrics.count_refused(outcome.reason)
            await send_reply(send, render_oauth(outcome, identity))
            return
        self.metrics.issued.inc()
        self.metrics.duration.observe(self.clock.monotonic() - started)
        answer = render_token_response(outcome.token, outcome.mandate, outcome.receipt)
        more = receipt_headers(outcome.receipt)
        await send_json(send, 200, answer, request_id=identity, more=more)

    async def _form(self, scope: Scope, receive: Receive) -> TokenRequest:
        headers: list[Header] = scope["headers"]
        method, query = scope["method"], scope["query_string"]
        types = [value for name, value in headers if name == b"content-type"]
        if len(types) > 1:
            raise RequestRefused(Problem(Reason.HEADER_DUPLICATE, "send one Content-Type header"))
        content_type = types[0] if types else None
        try:
            check_envelope(method=method, query=query, content_type=content_type)
            body = await read_body(receive, headers, self.settings.max_form_bytes)
            return parse_token_body(body)
        except WireError as error:
            raise RequestRefused(_problem(error)) from None

    async def _exchange(self, form: TokenRequest, identity: str) -> Issued | Problem:
        if not form.zone_id:
            form = self._at_home(form)
        client = await self._client(form, identity)
        if isinstance(client, Problem):
            return client
        if form.subject_token is not None:
            return _answered(await self.subjects(client, form, form.subject_token, identity))
        if self.control.audience in form.resources:
            return _answered(await self.control(client, form, identity))
        request = ExchangeRequest(
            resources=form.resources,
            scopes=form.scopes,
            session_id=form.agent_session_id,
            delegation_id=form.delegation_edge_id,
            lifetime=form.ttl,
            holder=form.holder,
        )
        unsupported = _unsupported(form)
        if unsupported is not None:
            recorded = await self.exchange.record_refusal(client, request, unsupported, identity)
            return recorded.problem()
        try:
            return _answered(await self.exchange(client, request, identity))
        except TokenRefused as error:
            return Problem(error.reason, error.detail)

    def _at_home(self, form: TokenRequest) -> TokenRequest:
        """The request with the zone of the application that claims to be a control key, if it is one."""
        home = self.directory.application_zone(form.application_id)
        zone = None if home is None else self.directory.zone(home)
        application = None if zone is None else zone.applications.get(form.application_id)
        if home is None or application is None or INVOKE not in application.traits:
            return form
        return msgspec.structs.replace(form, zone_id=home)

    async def _client(self, form: TokenRequest, identity: str) -> ProvenClient | Problem:
        held_off = self.throttle.blocked_for(form.application_id)
        outcome = await self._authenticated(form, held_off=held_off > 0)
        if isinstance(outcome, ProvenClient):
            return outcome
        if not held_off:
            self._record_unproven(form, outcome, identity)
            if outcome.reason in _GUESSES:
                held_off = self.throttle.record_failure(form.application_id)
        if held_off:
            return Problem(Reason.CLIENT_THROTTLED, retry_after=held_off)
        return Problem.of(outcome)

    async def _authenticated(self, form: TokenRequest, *, held_off: bool) -> ProvenClient | Refused:
        if form.client_secret is None:
            return Refused(Reason.CLIENT_SECRET_WRONG, "send client_secret")
        return await self.authenticate(
            form.zone_id,
            form.application_id,
            form.client_secret,
            now=self.clock.now(),
            held_off=held_off,
        )

    def _record_unproven(self, form: TokenRequest, refused: Refused, identity: str) -> None:
        """Record within bounds, in the zone that was named; one that does not exist has no log."""
        if self.directory.zone(form.zone_id) is not None:
            self._unproven.record(
                entries.unproven(
                    identity,
                    form.zone_id,
                    form.application_id,
                    refused,
                    at=self.clock.now_us(),
                )
            )

    def _document(self, path: str, scope: Scope, identity: str) -> Reply:
        if path.startswith(APPROVALS):
            raise refuse_approval(scope)
        if path not in PATHS:
            raise RequestRefused(nothing_here())
        if scope["method"] not in _READS:
            raise RequestRefused(other_method("GET, HEAD"))
        zone_id = _zone_id(scope["query_string"])
        if path == JWKS:
            body, cache = self._jwks(zone_id), b"public, max-age=300, must-revalidate"
        else:
            body, cache = render_metadata(self.settings.issuer, zone_id), b"public, max-age=3600"
        more = ((b"cache-control", cache), (b"x-request-id", identity.encode()))
        return Reply(200, (JSON, NO_SNIFF, *more), body)

    def _jwks(self, zone_id: ZoneId | None) -> bytes:
        if zone_id is None:
            raise RequestRefused(
                Problem(Reason.REQUEST_MALFORMED, "name the zone: ?zone_id=<zone>")
            )
        keys = self.keys.key_set(zone_id)
        if keys is None:
            raise RequestRefused(Problem(Reason.ZONE_UNKNOWN))
        return keys.jwks()


def _answered(outcome: Issued | RecordedRefusal) -> Issued | Problem:
    return outcome if isinstance(outcome, Issued) else outcome.problem()


def _problem(error: WireError) -> Problem:
    match error.fault:
        case Fault.METHOD:
            return other_method("POST")
        case Fault.MEDIA_TYPE:
            return Problem(error.reason, error.description, Variant.UNSUPPORTED_MEDIA_TYPE)
        case Fault.TOO_LARGE | Fault.MALFORMED:
            return Problem(error.reason, error.description)


def _zone_id(query: bytes) -> ZoneId | None:
    """The zone that a query names.

    Raises:
        RequestRefused: it names several, or none that could exist.
    """
    named = [part[8:] for part in query.split(b"&") if part.startswith(b"zone_id=") and part[8:]]
    if not named:
        return None
    if len(named) > 1:
        raise RequestRefused(Problem(Reason.REQUEST_MALFORMED, "zone_id may be named once"))
    try:
        return parse_id(ZoneId, unquote_to_bytes(named[0]).decode("latin-1"))
    except InvalidIdentifier as error:
        raise RequestRefused(Problem(Reason.REQUEST_MALFORMED, str(error))) from None


def _unsupported(form: TokenRequest) -> Refused | None:
    """What stock clients may send and this STS does not offer."""
    if form.approval_id is not None:
        return Refused(Reason.APPROVAL_UNKNOWN, "there is no such approval")
    if form.session_id is not None:
        return Refused(
            Reason.SESSION_UNKNOWN, "session_id only goes with a subject_token: leave it out"
        )
    return None
