"""The authorization server of each zone, for MCP clients that know nothing of Caracal.

Order of a token request: the zone, envelope, body, form, the client, the resource, then the decision.
"""

from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import quote

from caracal.authority.access import AccessRequest
from caracal.authority.identifiers import ApplicationId, is_id
from caracal.authority.mandates import PERSONS_ACCESS_LIFETIME
from caracal.authority.outcomes import Reason, Refused
from caracal.authority.resources import Resource
from caracal.authority.zones import Zone
from caracal.tokens.refusal import TokenRefused
from caracal.wire.access_forms import AccessForm, parse_access_body
from caracal.wire.authorization import verifies
from caracal.wire.client_metadata import MAX_DOCUMENT_BYTES, parse_metadata, render_registered
from caracal.wire.endpoints import REGISTER, TOKEN, endpoint_path, read_server, server_url
from caracal.wire.errors import WireError
from caracal.wire.forms import check_envelope
from caracal.wire.oauth_metadata import AccessTokenResponse, render_access, render_server
from caracal_server.ports.clock import Clock
from caracal_server.ports.entropy import Entropy
from caracal_server.ports.zones import NamedZones
from caracal_server.sts import entries
from caracal_server.sts.access import Access
from caracal_server.sts.authorization_http import AuthorizationPages
from caracal_server.sts.client_keys import SignedAuthentication
from caracal_server.sts.clients import ClientAuthentication, ProvenClient
from caracal_server.sts.exchange import Issued
from caracal_server.sts.metrics import StsMetrics
from caracal_server.sts.people_clients import registrar
from caracal_server.sts.settings import StsSettings
from caracal_server.sts.sign_ins import Granted
from caracal_server.web.asgi import (
    JSON,
    JSON_HEADERS,
    NO_SNIFF,
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
from caracal_server.web.problems import Problem, RequestRefused, problem_of, render_oauth
from caracal_server.web.receipts import receipt_headers
from caracal_server.web.refusals import UnprovenRefusals
from caracal_server.web.requests import read_body, request_id

_READS: Final = frozenset({"GET", "HEAD"})
_BASIC: Final[Header] = (b"www-authenticate", b'Basic realm="caracal"')
_CACHED: Final[Header] = (b"cache-control", b"public, max-age=300")
_GUESSES: Final = frozenset({Reason.CLIENT_UNKNOWN, Reason.CLIENT_SECRET_WRONG})
_UNPROVEN: Final = _GUESSES | {
    Reason.CLIENT_ASSERTION_INVALID,
    Reason.CLIENT_ASSERTION_REPLAYED,
    Reason.CLIENT_ZONE_MISMATCH,
}
_SCOPES: Final = frozenset(
    {
        Reason.POLICY_ERROR,
        Reason.POLICY_FORBID,
        Reason.POLICY_NONE_ACTIVE,
        Reason.POLICY_NO_PERMIT,
        Reason.SCOPE_MISSING,
        Reason.SCOPE_UNKNOWN,
    }
)
_TARGETS: Final = frozenset({Reason.RESOURCE_UNKNOWN, Reason.RESOURCE_MISSING})


@dataclass(slots=True)
class OAuthApp:
    """ASGI for the paths that `wire.endpoints.is_server` tells.

    Attributes:
        gateway: the public URL of the Gateway; without one there is no MCP server to get a token for.
    """

    settings: StsSettings
    gateway: str
    clock: Clock
    entropy: Entropy
    directory: NamedZones
    authenticate: ClientAuthentication
    signed: SignedAuthentication
    throttle: FailureThrottle
    access: Access
    pages: AuthorizationPages
    metrics: StsMetrics
    _in_flight: InFlight = field(init=False)
    _browsers: InFlight = field(init=False)
    _unproven: UnprovenRefusals = field(init=False)

    def __post_init__(self) -> None:
        self._in_flight = InFlight(self.settings.max_in_flight)
        # Apart: what browsers wait for, elsewhere, keeps no client from its token.
        self._browsers = InFlight(self.settings.max_in_flight)
        self._unproven = UnprovenRefusals(self.access.evidence, self.clock, self.metrics.unrecorded)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        identity = request_id(scope["headers"], self.entropy)
        started = self.clock.monotonic()
        try:
            answer = await self._answer(scope, receive, identity)
        except Exception as fault:  # noqa: BLE001 (whatever went wrong, the answer is no)
            answer = problem_of(fault, identity)
        if isinstance(answer, Problem):
            self.metrics.count_refused(answer.reason)
            await send_reply(send, _refusal(answer, identity))
            return
        if isinstance(answer, Reply):
            await send_reply(send, answer)
            return
        self.metrics.issued.inc()
        self.metrics.duration.observe(self.clock.monotonic() - started)
        more = receipt_headers(answer.receipt)
        await send_json(send, 200, _granted(answer), request_id=identity, more=more)

    async def _answer(
        self, scope: Scope, receive: Receive, identity: str
    ) -> Issued | Reply | Problem:
        path = read_server(scope["path"])
        zone = None if path is None or not self.gateway else self.directory.named(path.zone)
        if path is None or zone is None:
            return Problem(
                Reason.REQUEST_MALFORMED,
                "there is nothing at this path",
                variant=Variant.NOT_FOUND,
            )
        if not path.part:
            return self._document(zone, scope["method"], identity)
        if path.part == REGISTER:
            return await self._register(zone, scope, receive, identity)
        if path.part != TOKEN:
            with self._browsers:
                return await self.pages(zone, path.part, scope, receive, identity)
        form = await self._form(scope, receive)
        with self._in_flight:
            return await self._token(zone, form, identity)

    def _document(self, zone: Zone, method: str, identity: str) -> Reply | Problem:
        if method not in _READS:
            return Problem(
                Reason.METHOD_UNSUPPORTED,
                "this path takes GET, HEAD",
                headers=((b"allow", b"GET, HEAD"),),
            )
        issuer = self.settings.issuer
        keys = f"{issuer}/.well-known/jwks.json?zone_id={quote(zone.id, safe='')}"
        people = any(entry.signs_in for entry in zone.subject_issuers.values())
        body = render_server(
            server_url(issuer, zone.name),
            keys,
            people=people,
            documents=people and any(one.metadata_hosts for one in zone.applications.values()),
            registers=people and registrar(zone) is not None,
        )
        return Reply(200, (JSON, NO_SNIFF, _CACHED, (b"x-request-id", identity.encode())), body)

    async def _form(self, scope: Scope, receive: Receive) -> AccessForm:
        headers: list[Header] = scope["headers"]
        content_type = _once(headers, b"content-type")
        authorization = _once(headers, b"authorization")
        try:
            check_envelope(
                method=scope["method"], query=scope["query_string"], content_type=content_type
            )
            body = await read_body(receive, headers, self.settings.max_form_bytes)
            return parse_access_body(body, authorization)
        except WireError as error:
            raise RequestRefused(Problem(error.reason, error.description)) from None

    async def _token(self, zone: Zone, form: AccessForm, identity: str) -> Issued | Problem:
        granted = None if form.code is None else self.pages.codes.take(form.code, self.clock.now())
        client = await self._client(zone, form, granted, identity)
        if isinstance(client, Problem):
            return client
        if form.code is not None and (granted is None or not _fits(granted, client, form)):
            return Problem(Reason.AUTHORIZATION_CODE_INVALID)
        resource = self._resource(client.zone, form.resource)
        if resource is None:
            return Problem(
                Reason.RESOURCE_UNKNOWN, "resource is not the URL of an MCP server of this zone"
            )
        person, request = None, AccessRequest(resource, form.scopes)
        if granted is not None:
            person = granted.person
            request = AccessRequest(resource, granted.request.scopes, PERSONS_ACCESS_LIFETIME)
        try:
            outcome = await self.access(client, request, form.resource, identity, person)
        except TokenRefused as error:
            return Problem(error.reason, error.detail)
        return outcome if isinstance(outcome, Issued) else outcome.problem()

    async def _register(self, zone: Zone, scope: Scope, receive: Receive, identity: str) -> Reply:
        """A client registers itself (RFC 7591), where the zone file lets clients do so."""
        headers: list[Header] = scope["headers"]
        if scope["method"] != "POST" or registrar(zone) is None:
            problem = Problem(Reason.REGISTRATION_REFUSED, "this zone takes no registrations")
            return render_oauth(problem, identity)
        if (_once(headers, b"content-type") or b"").partition(b";")[
            0
        ].strip() != b"application/json":
            problem = Problem(Reason.REQUEST_MALFORMED, variant=Variant.UNSUPPORTED_MEDIA_TYPE)
            return render_oauth(problem, identity)
        try:
            metadata = parse_metadata(await read_body(receive, headers, MAX_DOCUMENT_BYTES))
        except WireError as error:
            variant = (
                Variant.INVALID_REDIRECT_URI
                if error.code == "invalid_redirect_uri"
                else Variant.INVALID_CLIENT_METADATA
            )
            problem = Problem(Reason.REGISTRATION_REFUSED, error.description, variant)
            return render_oauth(problem, identity)
        now = self.clock.now()
        client_id = self.pages.clients.register(zone, metadata, now)
        if client_id is None:
            return render_oauth(Problem(Reason.CLIENT_THROTTLED), identity)
        body = render_registered(client_id, metadata, int(now.timestamp()))
        return Reply(201, (*JSON_HEADERS, (b"x-request-id", identity.encode())), body)

    def _resource(self, zone: Zone, url: str) -> Resource | None:
        prefix = self.gateway + endpoint_path(zone.name, "")
        return zone.at_endpoint(url.removeprefix(prefix)) if url.startswith(prefix) else None

    async def _client(
        self, zone: Zone, form: AccessForm, granted: Granted | None, identity: str
    ) -> ProvenClient | Problem:
        held_off = self.throttle.blocked_for(form.client_id)
        outcome = await self._authenticated(zone, form, granted, held_off=held_off > 0)
        if isinstance(outcome, ProvenClient):
            return outcome
        if not held_off:
            claimed = ApplicationId(form.client_id if is_id(form.client_id) else "")
            at = self.clock.now_us()
            self._unproven.record(entries.unproven(identity, zone.id, claimed, outcome, at=at))
            if outcome.reason in _GUESSES:
                held_off = self.throttle.record_failure(form.client_id)
        if held_off and form.secret is not None:
            return Problem(Reason.CLIENT_THROTTLED, retry_after=held_off)
        return Problem(outcome.reason)

    async def _authenticated(
        self, zone: Zone, form: AccessForm, granted: Granted | None, *, held_off: bool
    ) -> ProvenClient | Refused:
        now, named = self.clock.now(), ApplicationId(form.client_id)
        if form.assertion is not None:
            audience = server_url(self.settings.issuer, zone.name)
            return self.signed(zone, named, form.assertion, audience=audience, now=now)
        if form.secret is not None:
            return await self.authenticate(zone.id, named, form.secret, now=now, held_off=held_off)
        # Without a secret it is the code and its verifier that prove the client.
        if granted is None or granted.zone != zone.id or granted.request.client_id != named:
            return Refused(Reason.AUTHORIZATION_CODE_INVALID)
        application = zone.applications.get(granted.application)
        if application is None or not application.usable(now):
            return Refused(Reason.CLIENT_UNKNOWN)
        return ProvenClient(zone, application)


def _fits(granted: Granted, client: ProvenClient, form: AccessForm) -> bool:
    """Whether a code was made for this client, this redirect, this resource and this verifier."""
    request = granted.request
    return (
        granted.zone == client.zone.id
        and granted.application == client.application.id
        and request.client_id == form.client_id
        and request.redirect_uri == form.redirect_uri
        and request.resource == form.resource
        and form.verifier is not None
        and verifies(form.verifier.reveal(), request.challenge)
    )


def _once(headers: list[Header], wanted: bytes) -> bytes | None:
    found = [value for name, value in headers if name == wanted]
    if len(found) > 1:
        name = wanted.decode().title()
        raise RequestRefused(Problem(Reason.HEADER_DUPLICATE, f"send one {name} header"))
    return found[0] if found else None


def _granted(issued: Issued) -> bytes:
    mandate = issued.mandate
    return render_access(
        AccessTokenResponse(
            access_token=issued.token,
            expires_in=int((mandate.expires_at - mandate.issued_at).total_seconds()),
            scope=mandate.scopes.render(),
            caracal_receipt=issued.receipt,
        )
    )


def _refusal(problem: Problem, identity: str) -> Reply:
    """The answer in the words of RFC 6749 section 5.2 and RFC 8707 section 2."""
    if problem.variant is None:
        variant = None
        if problem.reason in _UNPROVEN:
            # Which of them it was is for the evidence; the codes of a guess are all one.
            variant = Variant.INVALID_CLIENT
        elif problem.reason in _SCOPES:
            variant = Variant.INVALID_SCOPE
        elif problem.reason in _TARGETS:
            variant = Variant.INVALID_TARGET
        elif problem.reason is Reason.REQUEST_MALFORMED:
            variant = Variant.INVALID_REQUEST
        problem = replace(problem, variant=variant)
    reply = render_oauth(problem, identity)
    headers = tuple(_BASIC if header[0] == _BASIC[0] else header for header in reply.headers)
    return replace(reply, headers=headers)
