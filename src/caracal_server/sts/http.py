"""The STS's edge: raw ASGI, because every mandate is minted here."""

from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from caracal.authority.exchange import ExchangeRequest
from caracal.authority.identifiers import ZoneId
from caracal.authority.outcomes import Reason, Refused
from caracal.tokens.refusal import TokenRefused
from caracal.wire.errors import Fault, WireError
from caracal.wire.forms import TokenRequest, parse_token_form
from caracal.wire.token_responses import render_metadata, render_token_response
from caracal_server.ports.clock import Clock
from caracal_server.ports.entropy import Entropy
from caracal_server.ports.keys import VerifyingKeys
from caracal_server.ports.zones import ZoneDirectory
from caracal_server.sts.clients import ClientAuthentication, ProvenClient
from caracal_server.sts.exchange import Exchange, Issued
from caracal_server.sts.settings import StsSettings
from caracal_server.web.asgi import (
    JSON,
    NO_SNIFF,
    Receive,
    Reply,
    Scope,
    Send,
    send_json,
    send_reply,
)
from caracal_server.web.limits import FailureThrottle
from caracal_server.web.meanings.answers import Variant
from caracal_server.web.problems import Problem, problem_of, render_oauth
from caracal_server.web.requests import read_body, request_id

PATHS = frozenset(
    {"/oauth/2/token", "/.well-known/jwks.json", "/.well-known/oauth-authorization-server"}
)


@dataclass(frozen=True, slots=True)
class StsApp:
    """ASGI for the token endpoint, the published keys and the server's metadata (RFC 8414)."""

    settings: StsSettings
    clock: Clock
    entropy: Entropy
    directory: ZoneDirectory
    keys: VerifyingKeys
    authenticate: ClientAuthentication
    throttle: FailureThrottle
    exchange: Exchange

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        identity = request_id(scope["headers"], self.entropy)
        try:
            match scope["path"]:
                case "/oauth/2/token":
                    await self._token(scope, receive, send, identity)
                case "/.well-known/jwks.json":
                    await send_reply(send, self._jwks(scope, identity))
                case _:
                    await send_reply(send, self._metadata(scope, identity))
        except Exception as fault:  # noqa: BLE001 (whatever went wrong, the answer is no)
            await send_reply(send, render_oauth(problem_of(fault, identity), identity))

    async def _token(self, scope: Scope, receive: Receive, send: Send, identity: str) -> None:
        headers = scope["headers"]
        body = await read_body(receive, headers, self.settings.max_form_bytes)
        outcome = await self._exchange(scope, headers, body, identity)
        if isinstance(outcome, Problem):
            await send_reply(send, render_oauth(outcome, identity))
            return
        answer = render_token_response(outcome.token, outcome.mandate)
        await send_json(send, 200, answer, request_id=identity)

    async def _exchange(
        self, scope: Scope, headers: list[tuple[bytes, bytes]], body: bytes, identity: str
    ) -> Issued | Problem:
        content_type = next((value for name, value in headers if name == b"content-type"), None)
        try:
            form = parse_token_form(
                method=scope["method"],
                query=scope["query_string"],
                content_type=content_type,
                body=body,
            )
        except WireError as error:
            return Problem(error.reason, error.description, _VARIANTS.get(error.fault))
        client = await self._client(form, identity)
        if not isinstance(client, ProvenClient):
            return client
        request = _request(form)
        if isinstance(request, Refused):
            return Problem.of(request)
        try:
            outcome = await self.exchange(client, request, identity)
        except TokenRefused as error:
            return Problem(error.reason, error.detail)
        return Problem.of(outcome) if isinstance(outcome, Refused) else outcome

    async def _client(self, form: TokenRequest, identity: str) -> ProvenClient | Problem:
        held_off = self.throttle.blocked_for(form.application_id)
        if held_off:
            return Problem(Reason.CLIENT_THROTTLED, retry_after=held_off)
        outcome = await self._authenticated(form)
        if isinstance(outcome, ProvenClient):
            return outcome
        held_off = self.throttle.record_failure(form.application_id)
        if self.directory.zone(form.zone_id) is not None:
            await self.exchange.refuse_client(form.zone_id, form.application_id, outcome, identity)
        if held_off:
            return Problem(Reason.CLIENT_THROTTLED, retry_after=held_off)
        return Problem.of(outcome)

    async def _authenticated(self, form: TokenRequest) -> ProvenClient | Refused:
        if form.client_secret is None:
            return Refused(Reason.CLIENT_SECRET_WRONG, "send client_secret")
        return await self.authenticate(
            form.zone_id, form.application_id, form.client_secret, now=self.clock.now()
        )

    def _jwks(self, scope: Scope, identity: str) -> Reply:
        zone = _query_value(scope["query_string"], b"zone_id")
        if zone is None:
            problem = Problem(Reason.REQUEST_MALFORMED, "name the zone: ?zone_id=<zone>")
            return render_oauth(problem, identity)
        keys = self.keys.key_set(ZoneId(zone))
        if keys is None:
            return render_oauth(Problem(Reason.ZONE_UNKNOWN, "no such zone"), identity)
        cache = (b"cache-control", b"public, max-age=300, must-revalidate")
        return Reply(
            200, (JSON, NO_SNIFF, cache, (b"x-request-id", identity.encode())), keys.jwks()
        )

    def _metadata(self, scope: Scope, identity: str) -> Reply:
        zone = _query_value(scope["query_string"], b"zone_id")
        body = render_metadata(self.settings.issuer, None if zone is None else ZoneId(zone))
        cache = (b"cache-control", b"public, max-age=3600")
        return Reply(200, (JSON, NO_SNIFF, cache, (b"x-request-id", identity.encode())), body)


_VARIANTS = {
    Fault.MEDIA_TYPE: Variant.UNSUPPORTED_MEDIA_TYPE,
    Fault.METHOD: Variant.METHOD_NOT_ALLOWED,
}


def _query_value(query: bytes, wanted: bytes) -> str | None:
    for part in query.split(b"&"):
        name, _, value = part.partition(b"=")
        if name == wanted and value:
            return unquote_to_bytes(value).decode("latin-1")
    return None


def _request(form: TokenRequest) -> ExchangeRequest | Refused:
    if form.subject_token is not None:
        return Refused(
            Reason.SUBJECT_TOKEN_UNSUPPORTED,
            "mandates for a resource come from the Gateway: leave subject_token out",
        )
    if form.approval_id is not None:
        return Refused(Reason.APPROVAL_UNKNOWN, "there is no such approval")
    if form.session_id is not None:
        return Refused(
            Reason.SESSION_UNKNOWN, "session_id only goes with a subject_token: leave it out"
        )
    return ExchangeRequest(
        resources=form.resources,
        scopes=form.scopes,
        session_id=form.agent_session_id,
        delegation_id=form.delegation_edge_id,
        lifetime=form.ttl,
    )
