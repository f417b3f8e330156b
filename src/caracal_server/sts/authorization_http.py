"""A person signs in for a client: what it wants is shown, a provider says who they are, a code goes back.

The browser carries everything, sealed to a cookie of its own: what another site makes it send, or another
browser brings, is refused. A client is told nothing before its redirect is known.
"""

from dataclasses import dataclass, field
from typing import Final

import msgspec

from caracal.authority.access import reachable
from caracal.authority.outcomes import Reason, Refused
from caracal.authority.resources import Resource
from caracal.authority.subjects import SubjectIssuer
from caracal.authority.zones import Zone
from caracal.tokens.refusal import TokenRefused
from caracal.tokens.subject_tokens import VerifiedSubject, unverified_origin, verify_subject_token
from caracal.wire.authorization import (
    S256,
    AuthorizationRequest,
    challenge_of,
    parse_request,
    read_request,
    redirects_match,
    with_query,
)
from caracal.wire.endpoints import AUTHORIZE, CALLBACK, CONSENT, endpoint_path, server_url
from caracal.wire.errors import WireError
from caracal.wire.forms import MEDIA_TYPE, read_fields
from caracal_server.ports.peers import Person
from caracal_server.ports.subjects import IdTokens, IssuerKeysUnavailable, SignInFailed
from caracal_server.sts import subject_entries
from caracal_server.sts.clients import ProvenClient
from caracal_server.sts.consent_page import consent_page, error_page, origin, redirect_to
from caracal_server.sts.federation import Federation
from caracal_server.sts.people_clients import PeopleClients, PersonsClient
from caracal_server.sts.sign_ins import TICKET_LIFETIME, Codes, Granted, Ticket, Tickets
from caracal_server.web.asgi import Header, Receive, Reply, Scope
from caracal_server.web.problems import RequestRefused
from caracal_server.web.requests import read_body

COOKIE: Final = "caracal-sign-in"
_MAX_FORM: Final = 16 * 1024
_RANDOM: Final = 32


class _Wrong(Exception):
    """What can be told to the person only."""


@dataclass(frozen=True, slots=True)
class AuthorizationPages:
    """Attributes:
    gateway: the public URL of the Gateway.
    federation: what proves users here; its ID tokens and these count as one.
    """

    gateway: str
    federation: Federation
    tickets: Tickets
    id_tokens: IdTokens
    clients: PeopleClients
    codes: Codes = field(default_factory=Codes)

    async def __call__(
        self, zone: Zone, part: str, scope: Scope, receive: Receive, request_id: str
    ) -> Reply:
        """Answer a browser.

        Raises:
            Unavailable: something needed can not be had.
        """
        try:
            if part == AUTHORIZE and scope["method"] == "GET":
                return await self._begin(zone, scope)
            if part == CONSENT and scope["method"] == "POST":
                return await self._consent(zone, scope, receive)
            if part == CALLBACK and scope["method"] == "GET":
                return await self._signed_in(zone, scope, request_id)
        except _Wrong as wrong:
            return error_page(str(wrong), request_id)
        except WireError as error:
            return error_page(error.description, request_id)
        except RequestRefused as refused:
            return error_page(refused.problem.detail, request_id)
        return error_page("This address takes another kind of request.", request_id)

    async def _begin(self, zone: Zone, scope: Scope) -> Reply:
        fields, resources = read_request(scope["query_string"])
        client = await self._client(
            zone, fields.get("client_id", ""), fields.get("redirect_uri", "")
        )
        try:
            request = parse_request(fields, resources)
            resource = self._resource(zone, request)
        except WireError as error:
            if not client.listed:
                # Whoever registers would have a way to send browsers on from here, unseen.
                raise
            told = {"error": error.code, "error_description": error.description}
            state = fields.get("state", "") if error.field != "state" else ""
            return self._back(zone, fields["redirect_uri"], told | {"state": state})
        issuers = [entry for entry in zone.subject_issuers.values() if entry.signs_in]
        if not issuers:
            raise _Wrong("Nobody can sign in here: the zone names no provider for it.")
        if not len(request.scopes):
            request = msgspec.structs.replace(request, scopes=reachable(resource))
        entropy = self.federation.entropy
        browser = entropy.token_bytes(_RANDOM).hex()
        ends = self.federation.clock.now() + TICKET_LIFETIME
        ticket = Ticket(entropy.token_bytes(_RANDOM).hex(), zone.id, int(ends.timestamp()), request)
        page = consent_page(
            client=client,
            redirect=request.redirect_uri,
            resource=resource.name,
            scopes=request.scopes,
            issuers=[entry.issuer for entry in issuers],
            ticket=self.tickets.seal(ticket, browser),
            action=f"{self._server(zone)}/{CONSENT}",
        )
        return Reply(page.status, (*page.headers, self._cookie(zone, browser)), page.body)

    async def _consent(self, zone: Zone, scope: Scope, receive: Receive) -> Reply:
        headers: list[Header] = scope["headers"]
        kinds = [value for name, value in headers if name == b"content-type"]
        if [kind.partition(b";")[0].strip().lower() for kind in kinds] != [MEDIA_TYPE]:
            raise _Wrong("This was not sent by the page it should be from.")
        from_where = [value for name, value in headers if name == b"origin"]
        if from_where not in ([], [origin(self._server(zone)).encode()]):
            raise _Wrong("This was sent by another site.")
        fields, _ = read_fields(await read_body(receive, headers, _MAX_FORM))
        browser = self._browser(zone, headers)
        ticket = self._ticket(zone, fields.get("ticket", ""), browser)
        await self._client(zone, ticket.request.client_id, ticket.request.redirect_uri)
        if "refuse" in fields:
            return self._told(zone, ticket, "access_denied", "the person refused")
        issuer = self._issuer(zone, fields.get("issuer", ""))
        agreed = Ticket(ticket.id, ticket.zone, ticket.ends, ticket.request, issuer.issuer)
        return redirect_to(
            with_query(
                issuer.authorization_url,
                {
                    "response_type": "code",
                    "client_id": issuer.audience,
                    "redirect_uri": f"{self._server(zone)}/{CALLBACK}",
                    "scope": "openid",
                    "state": self.tickets.seal(agreed, browser),
                    "nonce": self.tickets.derive(agreed, "nonce"),
                    "code_challenge": challenge_of(self.tickets.derive(agreed, "verifier")),
                    "code_challenge_method": S256,
                },
            )
        )

    async def _signed_in(self, zone: Zone, scope: Scope, request_id: str) -> Reply:
        fields, _ = read_request(scope["query_string"])
        browser = self._browser(zone, scope["headers"])
        ticket = self._ticket(zone, fields.get("state", ""), browser)
        client = await self._client(zone, ticket.request.client_id, ticket.request.redirect_uri)
        issuer = self._issuer(zone, ticket.issuer)
        several = sum(entry.signs_in for entry in zone.subject_issuers.values()) > 1
        # One of several could send people on to another, and have that one's code redeemed at itself.
        if fields.get("iss", "" if several else issuer.issuer) != issuer.issuer:
            raise _Wrong("The answer is from another provider than the one you were sent to.")
        if not fields.get("code"):
            return self._told(zone, ticket, "access_denied", "the person did not sign in")
        proven = await self._proven(zone, ticket, issuer, fields["code"])
        if isinstance(proven, Refused):
            entry = subject_entries.refused(
                request_id,
                ProvenClient(zone, client.application),
                proven,
                None,
                at=self.federation.clock.now_us(),
            )
            await self.federation.evidence.append(entry)
            # Why is for the operator: it may name what is inside the network.
            return self._told(zone, ticket, "access_denied", "the person could not be signed in")
        code = self.federation.entropy.token_bytes(_RANDOM).hex()
        person = Person(proven.user, proven.issued_at, proven.expires_at)
        granted = Granted(zone.id, client.application.id, ticket.request, person)
        self.codes.keep(code, granted, self.federation.clock.now())
        return self._back(
            zone, ticket.request.redirect_uri, {"code": code, "state": ticket.request.state}
        )

    async def _proven(
        self, zone: Zone, ticket: Ticket, issuer: SubjectIssuer, code: str
    ) -> VerifiedSubject | Refused:
        try:
            raw = await self.id_tokens.redeem(
                issuer.token_url,
                {
                    "grant_type": "authorization_code",
                    "code": code,
                    "redirect_uri": f"{self._server(zone)}/{CALLBACK}",
                    "client_id": issuer.audience,
                    "code_verifier": self.tickets.derive(ticket, "verifier"),
                },
            )
            published = await self.federation.issuer_keys.keys(
                issuer.jwks_url, unverified_origin(raw).kid
            )
            now = self.federation.clock.now()
            proven = verify_subject_token(raw, keys=published, trusted=issuer, now=now)
        except (SignInFailed, IssuerKeysUnavailable) as error:
            return Refused(Reason.SIGN_IN_FAILED, str(error))
        except TokenRefused as error:
            return Refused(error.reason, error.detail)
        if proven.nonce != self.tickets.derive(ticket, "nonce"):
            return Refused(Reason.SIGN_IN_FAILED, "the ID token is of another sign-in")
        return self.federation.spent(zone.id, proven, now) or proven

    async def _client(self, zone: Zone, client_id: str, redirect_uri: str) -> PersonsClient:
        """The client, once it is known that the browser may be sent to `redirect_uri`."""
        found = await self.clients.find(zone, client_id, self.federation.clock.now())
        known = () if found is None else found.redirect_uris
        if found is None or not any(redirects_match(one, redirect_uri) for one in known):
            raise _Wrong("The client is not known here, or not with the address to go back to.")
        return found

    def _resource(self, zone: Zone, request: AuthorizationRequest) -> Resource:
        prefix = self.gateway + endpoint_path(zone.name, "")
        name = request.resource.removeprefix(prefix)
        found = zone.at_endpoint(name) if request.resource.startswith(prefix) else None
        if found is None:
            raise WireError("resource is no MCP server of this zone", code="invalid_target")
        if not request.scopes.within(reachable(found)):
            raise WireError("a scope is not one of the resource's", code="invalid_scope")
        return found

    def _issuer(self, zone: Zone, name: str) -> SubjectIssuer:
        found = zone.subject_issuers.get(name)
        if found is None or not found.signs_in:
            raise _Wrong("The zone names no such provider.")
        return found

    def _ticket(self, zone: Zone, text: str, browser: str) -> Ticket:
        ticket = self.tickets.open(text, browser, self.federation.clock.now())
        if ticket is None or ticket.zone != zone.id:
            raise _Wrong("This sign-in was begun in another browser, or too long ago: begin anew.")
        return ticket

    def _told(self, zone: Zone, ticket: Ticket, error: str, description: str) -> Reply:
        said = {"error": error, "error_description": description, "state": ticket.request.state}
        return self._back(zone, ticket.request.redirect_uri, said)

    def _back(self, zone: Zone, redirect_uri: str, fields: dict[str, str]) -> Reply:
        """Send the browser back, and say who does (RFC 9207)."""
        return redirect_to(with_query(redirect_uri, fields | {"iss": self._server(zone)}))

    def _server(self, zone: Zone) -> str:
        return server_url(self.federation.issuer, zone.name)

    def _cookie(self, zone: Zone, browser: str) -> Header:
        name, path, secure = cookie_of(self._server(zone))
        age = int(TICKET_LIFETIME.total_seconds())
        text = f"{name}={browser}; Path={path}; Max-Age={age}; HttpOnly; SameSite=Lax{secure}"
        return b"set-cookie", text.encode()

    def _browser(self, zone: Zone, headers: list[Header]) -> str:
        """What tells the browser from others."""
        wanted = cookie_of(self._server(zone))[0].encode()
        pairs = [
            pair.strip().partition(b"=")
            for name, value in headers
            if name == b"cookie"
            for pair in value.split(b";")
        ]
        found = [value for name, _, value in pairs if name == wanted]
        if len(found) != 1:
            raise _Wrong(
                "This sign-in was begun in another browser, or without cookies: begin anew."
            )
        return found[0].decode("latin-1")


def cookie_of(server: str) -> tuple[str, str, str]:
    """Name, path and what else is said of the cookie of one zone's authorization server.

    The prefix keeps sites of the same domain from planting a browser of theirs (RFC 6265bis, 4.1.3.2).
    """
    if server.startswith("https:"):
        return f"__Host-{COOKIE}-{server.rpartition('/')[2]}", "/", "; Secure"
    return COOKIE, server.removeprefix(origin(server)), ""
