"""For MCP servers written with `mcp` 2.x or `fastmcp` 4.x: a door around their ASGI application.

It is the door of `asgi.py`, with its refusals. Behind it the server is told who calls in its own terms,
so that an MCP session stays with who opened it, and `get_access_token` and `require_scopes` have what they
look for. Neither package is imported before a door is made.
"""

from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any, Protocol

from caracal.verify.asgi import STATE, App, CaracalMiddleware, Receive, Scope, Send
from caracal.verify.principal import Principal
from caracal.verify.refusals import Code, NotVerified
from caracal.verify.requirements import Settings
from caracal.verify.verifier import AsyncVerifier


class _Message(Protocol):
    @property
    def request(self) -> Any: ...


class HandlerContext(Protocol):
    """The `Context` that a tool of either package takes, as far as it is needed here."""

    @property
    def request_context(self) -> _Message | None: ...


class McpMiddleware:
    """Verifies each HTTP request before the MCP server sees anything of it."""

    def __init__(
        self,
        app: App,
        *,
        verifier: AsyncVerifier,
        routes: Mapping[str, Settings] | None = None,
        public: Iterable[str] = (),
        resource_url: str | None = None,
    ) -> None:
        """Protect what `streamable_http_app()` or `http_app()` returned.

        Args:
            app: the server's application.
            verifier: as for `asgi.CaracalMiddleware`.
            routes: likewise.
            public: likewise.
            resource_url: the address of the MCP endpoint, path included, for RFC 9728 metadata.

        Raises:
            ImportError: there is no `mcp` of version 2.
            TypeError: for a setting that is not known.
            ValueError: for one that can not be right.
        """
        self._app = import_module("mcp.server.auth.middleware.auth_context").AuthContextMiddleware(
            app
        )
        self._user = import_module("mcp.server.auth.middleware.bearer_auth").AuthenticatedUser
        self._token = import_module("mcp.server.auth.provider").AccessToken
        self._granted = import_module("starlette.authentication").AuthCredentials
        self._expected = verifier.expected
        self._door = CaracalMiddleware(
            self._introduce,
            verifier=verifier,
            routes=routes,
            public=public,
            resource_url=resource_url,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._door(scope, receive, send)

    async def _introduce(self, scope: Scope, receive: Receive, send: Send) -> None:
        principal: Principal | None = scope.get("state", {}).get(STATE)
        if principal is not None:
            token = self._described(principal)
            told = {"user": self._user(token), "auth": self._granted(token.scopes)}
            scope = {**scope, **told}
        await self._app(scope, receive, send)

    def _described(self, principal: Principal) -> Any:
        """The server's own kind of token: with the mandate's id where a bearer value would stand.

        Servers hold an MCP session to client, issuer and subject. A user's name is unique for who
        vouches for them only, so that is the issuer then.
        """
        user = principal.user
        return self._token(
            token=principal.mandate.id,
            client_id=principal.application_id,
            scopes=sorted(principal.scopes),
            expires_at=int(principal.expires_at.timestamp()),
            resource=self._expected.audience,
            subject=principal.subject,
            claims={"iss": self._expected.issuer if user is None else user.issuer},
        )


def caller(context: HandlerContext, *scopes: str) -> Principal:
    """Who called the tool, prompt or resource that was given this context.

    Args:
        context: of `mcp.server.mcpserver` or `fastmcp`.
        scopes: that the mandate must carry for it.

    Raises:
        NotVerified: with `missing_token` when nobody was verified, as over stdio or below a public
            prefix, and with `insufficient_scope`. The server makes an error of the tool of it.
    """
    message = context.request_context
    request = None if message is None else message.request
    principal = getattr(getattr(request, "state", None), STATE, None)
    if not isinstance(principal, Principal):
        raise NotVerified(Code.MISSING_TOKEN, "nobody was verified for this call")
    lacking = sorted(scope for scope in scopes if not principal.has_scope(scope))
    if lacking:
        raise NotVerified(Code.INSUFFICIENT_SCOPE, f"the mandate lacks {', '.join(lacking)}")
    return principal
