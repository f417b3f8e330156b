"""An OpenID provider for tests: it publishes its keys over https, and signs ID tokens."""

import base64
import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import msgspec
from joserfc import jwt
from joserfc.jwk import ECKey

from tests.adapters_http.certificates import serving_context, write_ca_file

AUDIENCE = "the-app"


@dataclass(slots=True)
class Provider:
    """One provider. `keys` are what it publishes; the last one signs."""

    port: int
    ca_file: Path
    keys: list[ECKey] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)
    redirects: bool = False
    documents: dict[str, bytes] = field(default_factory=dict)
    signed_in: dict[str, dict[str, str]] = field(default_factory=dict)
    person: str = "ann"
    changes: dict[str, Any] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    @property
    def authority(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def trust(self) -> dict[str, str]:
        """The entry of a zone file."""
        return {"issuer": self.url, "jwks_url": f"{self.url}/keys", "audience": AUDIENCE}

    @property
    def sign_in(self) -> dict[str, str]:
        """The entry of a zone file where people sign in."""
        places = {"authorization_url": f"{self.url}/authorize", "token_url": f"{self.url}/token"}
        return self.trust | places

    def authorize(self, query: dict[str, str]) -> str:
        """Sign `person` in, and send the browser back."""
        code = f"code-{len(self.signed_in)}"
        self.signed_in[code] = query
        return f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state']})}"

    def redeem(self, form: dict[str, str]) -> bytes | None:
        """The answer of the token endpoint; `None` for a code verifier that does not fit."""
        asked = self.signed_in.pop(form["code"])
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        fits = base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == asked["code_challenge"]
        if (
            not fits
            or form["client_id"] != AUDIENCE
            or form["redirect_uri"] != asked["redirect_uri"]
        ):
            return None
        token = self.token(self.person, **({"nonce": asked["nonce"]} | self.changes))
        return msgspec.json.encode({"token_type": "Bearer", "access_token": "a", "id_token": token})

    def rotate(self) -> None:
        """Sign with a new key from now on, and publish it."""
        kid = f"key-{len(self.keys) + 1}"
        self.keys.append(ECKey.generate_key("P-256", {"kid": kid, "use": "sig", "alg": "ES256"}))

    def token(self, name: str = "ann", **changes: Any) -> str:
        """An ID token, as a user's sign-in yields it; `None` leaves a claim out."""
        now, key = int(time.time()), self.keys[-1]
        good = {"iss": self.url, "sub": name, "aud": AUDIENCE, "iat": now, "exp": now + 300}
        claims = {key: value for key, value in (good | changes).items() if value is not None}
        return jwt.encode({"alg": "ES256", "kid": key.kid}, claims, key)

    def document(self) -> bytes:
        return msgspec.json.encode({"keys": [key.as_dict(private=False) for key in self.keys]})


@contextmanager
def openid_provider(folder: Path) -> Iterator[Provider]:
    """Serve one on a free loopback port; its certificate is in `ca_file`."""
    ca_file = write_ca_file(folder)

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["content-length"])
            form = dict(parse_qsl(self.rfile.read(length).decode()))
            answer = provider.redeem(form)
            self.send_response(400 if answer is None else 200)
            self.send_header("content-length", str(len(answer or b"")))
            self.end_headers()
            self.wfile.write(answer or b"")

        def do_GET(self) -> None:
            if self.path.startswith("/authorize?"):
                place = provider.authorize(dict(parse_qsl(self.path.partition("?")[2])))
                self.send_response(302)
                self.send_header("location", place)
                self.send_header("content-length", "0")
                self.end_headers()
                return
            provider.fetched.append(self.path)
            body = provider.documents.get(self.path) or provider.document()
            self.send_response(302 if provider.redirects else 200)
            if provider.redirects:
                self.send_header("location", "/elsewhere")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    server.socket = serving_context(ca_file).wrap_socket(server.socket, server_side=True)
    provider = Provider(server.server_address[1], ca_file)
    provider.rotate()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
