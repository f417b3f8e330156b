"""WSGI middleware (PEP 3333): the twin of the ASGI one, for Django, Flask and the like.

The principal is in `environ["caracal.principal"]`.
"""

from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final

from caracal.verify.bearer import bearer_token
from caracal.verify.principal import Principal
from caracal.verify.protection import Protection
from caracal.verify.refusals import NotVerified
from caracal.verify.requirements import Settings
from caracal.verify.routes import Public
from caracal.verify.verifier import Verifier

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
App = Callable[[Environ, StartResponse], Iterable[bytes]]

PRINCIPAL: Final = "caracal.principal"


class CaracalMiddleware:
    """Verifies before the application sees anything.

    WSGI servers decode the path and join headers that stand twice with a comma: both are refused as
    far as they can still be seen.
    """

    def __init__(
        self,
        app: App,
        *,
        verifier: Verifier,
        routes: Mapping[str, Settings] | None = None,
        public: Iterable[str] = (),
        resource_url: str | None = None,
    ) -> None:
        """As for ASGI.

        Raises:
            TypeError, ValueError: as for ASGI.
        """
        self._app = app
        self._protection = Protection.of(verifier, routes or {}, public, resource_url)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        # PEP 3333 hands bytes over as latin-1 text.
        root = _decoded(environ.get("SCRIPT_NAME", ""))
        inner = _decoded(environ.get("PATH_INFO", "")) or "/"
        document = self._protection.metadata(environ["REQUEST_METHOD"], root + inner)
        verifier: Verifier | Public | None = None
        principal: Principal | None = None
        if document is None:
            try:
                verifier = self._protection.verifier(inner, None, "")
                if not isinstance(verifier, Public):
                    principal = verifier.verify(bearer_token(_authorization(environ)))
            except NotVerified as refused:
                document = self._protection.refusal(refused, verifier)
        if document is not None:
            status = f"{document.status} {HTTPStatus(document.status).phrase}"
            start_response(status, list(document.headers))
            return [document.body]
        environ[PRINCIPAL] = principal
        return self._app(environ, start_response)


def _authorization(environ: Environ) -> list[bytes]:
    value = environ.get("HTTP_AUTHORIZATION")
    return [] if value is None else [value.encode("latin-1", "replace")]


def _decoded(text: str) -> str:
    # What is not UTF-8 stays recognisable, and is refused with the path.
    return text.encode("latin-1", "replace").decode("utf-8", "surrogateescape")
