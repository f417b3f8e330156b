"""ASGI 3 middleware: HTTP and WebSocket requests carry a mandate, or do not reach the application.

For Starlette, FastAPI, Litestar and whatever else speaks ASGI; the principal is in
`scope["state"]["caracal"]`, which Starlette and FastAPI show as `request.state.caracal`.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import Any, Final

from caracal.verify.bearer import bearer_token
from caracal.verify.challenges import Answer
from caracal.verify.principal import Principal
from caracal.verify.protection import Protection
from caracal.verify.refusals import NotVerified
from caracal.verify.requirements import Settings
from caracal.verify.routes import Public
from caracal.verify.verifier import AsyncVerifier

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

STATE: Final = "caracal"
_DENIED: Final = "websocket.http.response"
_POLICY_VIOLATION: Final = 1008


class CaracalMiddleware:
    """Verifies before the application sees anything.

    What is neither HTTP nor WebSocket (lifespan) passes. A WebSocket is verified when it is opened and
    not again.
    """

    def __init__(
        self,
        app: App,
        *,
        verifier: AsyncVerifier,
        routes: Mapping[str, Settings] | None = None,
        public: Iterable[str] = (),
        resource_url: str | None = None,
    ) -> None:
        """Protect `app`.

        Args:
            app: what is behind.
            verifier: what holds for every path.
            routes: what is asked on top below a prefix; the longest that fits counts.
            public: prefixes below which nothing is asked.
            resource_url: under which address clients know this server, for RFC 9728 metadata. Without
                it, an audience that is a URL is taken, and any other has no metadata.

        Raises:
            TypeError: for a setting that is not known.
            ValueError: for one that can not be right.
        """
        self._app = app
        self._protection = Protection.of(verifier, routes or {}, public, resource_url)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        path: str = scope["path"] or "/"
        if scope["type"] == "http":
            document = self._protection.metadata(scope["method"], path)
            if document is not None:
                await _respond(send, "http.response", document)
                return
        verifier: AsyncVerifier | Public | None = None
        principal: Principal | None = None
        try:
            verifier = self._protection.verifier(
                path, scope.get("raw_path"), scope.get("root_path", "")
            )
            if not isinstance(verifier, Public):
                values = [value for name, value in scope["headers"] if name == b"authorization"]
                principal = await verifier.verify(bearer_token(values))
        except NotVerified as refused:
            await _refuse(scope, receive, send, self._protection.refusal(refused, verifier))
            return
        state = {**scope.get("state", {}), STATE: principal}
        await self._app({**scope, "state": state}, receive, send)


async def _refuse(scope: Scope, receive: Receive, send: Send, answer: Answer) -> None:
    if scope["type"] == "http":
        await _respond(send, "http.response", answer)
        return
    await receive()  # websocket.connect: only then may it be answered
    if _DENIED in (scope.get("extensions") or {}):
        await _respond(send, _DENIED, answer)
    else:
        await send({"type": "websocket.close", "code": _POLICY_VIOLATION, "reason": ""})


async def _respond(send: Send, kind: str, answer: Answer) -> None:
    headers = [(name.encode(), value.encode("latin-1")) for name, value in answer.headers]
    await send({"type": f"{kind}.start", "status": answer.status, "headers": headers})
    await send({"type": f"{kind}.body", "body": answer.body})
