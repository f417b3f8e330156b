"""A person's browser, and a client that a person signs in for, on the test's side."""

import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import unescape
from typing import Any
from urllib.parse import parse_qsl, urlencode

import httpx

from caracal.wire.authorization import challenge_of
from tests.support.openid import Provider
from tests.support.stock import StockZone

VERIFIER = "v" * 43
REDIRECT = "http://127.0.0.1:4711/callback"


def landed(answer: httpx.Response) -> dict[str, str]:
    """What a redirect to the client says."""
    assert answer.status_code == 303, answer.text
    place = answer.headers["location"]
    assert place.startswith(f"{REDIRECT}?"), place
    return dict(parse_qsl(place.partition("?")[2]))


@dataclass(slots=True)
class SignIn:
    """One client in one zone; `browser` keeps cookies and follows nothing by itself."""

    zone: StockZone
    provider: Provider
    browser: httpx.Client
    client_id: str

    def request(self, **changes: Any) -> str:
        """The URL that a client sends a browser to; `None` leaves a field out."""
        good = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": REDIRECT,
            "state": "of the client",
            "scope": "tickets:read",
            "code_challenge": challenge_of(VERIFIER),
            "code_challenge_method": "S256",
            "resource": self.zone.url,
        } | changes
        fields = {name: text for name, text in good.items() if text is not None}
        return f"{self.zone.issuer}/authorize?{urlencode(fields)}"

    def page(self, **changes: Any) -> httpx.Response:
        return self.browser.get(self.request(**changes))

    def form(self, page: httpx.Response) -> dict[str, str]:
        found = re.findall(r'name="(ticket|issuer)" value="([^"]*)"', page.text)
        return {name: unescape(value) for name, value in found}

    def answer(self, form: dict[str, str], **more: Any) -> httpx.Response:
        """Send the form as a browser does; of what page decides which origin it names."""
        headers = {"origin": self.zone.issuer.partition("/oauth/")[0]} | more.pop("headers", {})
        return self.browser.post(f"{self.zone.issuer}/consent", data=form, headers=headers, **more)

    def at_provider(self, sent: httpx.Response) -> str:
        """Sign in where a browser was sent, and return where it is sent back to."""
        assert sent.headers["location"].startswith(self.provider.sign_in["authorization_url"])
        place: str = self.browser.get(sent.headers["location"]).headers["location"]
        return place

    def code(self, **changes: Any) -> str:
        """Sign in to the end."""
        back = self.at_provider(self.answer(self.form(self.page(**changes))))
        return landed(self.browser.get(back))["code"]

    def redeem(self, code: str, **changes: Any) -> httpx.Response:
        fields = {
            "grant_type": "authorization_code",
            "client_id": self.client_id,
            "client_secret": None,
            "code": code,
            "code_verifier": VERIFIER,
            "redirect_uri": REDIRECT,
        } | changes
        return self.zone.token(**fields)


@contextmanager
def signing_in(zone: StockZone, provider: Provider, application: str) -> Iterator[SignIn]:
    trusted = ssl.create_default_context(cafile=str(provider.ca_file))
    with httpx.Client(verify=trusted, trust_env=False, timeout=30) as browser:
        yield SignIn(zone, provider, browser, zone.ids()[application])
