"""The two pages that people see: what a client wants, and that something is wrong. No scripts."""

from collections.abc import Iterable
from html import escape
from typing import Final
from urllib.parse import urlsplit

from caracal.authority.scopes import ScopeSet
from caracal_server.sts.people_clients import PersonsClient
from caracal_server.web.asgi import NO_SNIFF, NO_STORE, Header, Reply

_HTML: Final[Header] = (b"content-type", b"text/html; charset=utf-8")
_HEADERS: Final = (
    _HTML,
    NO_STORE,
    NO_SNIFF,
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
)
# With `no-referrer` a browser sends `Origin: null` with the form, which another site's frame can as well.
_SAME_ORIGIN: Final[Header] = (b"referrer-policy", b"same-origin")
_NO_REFERRER: Final[Header] = (b"referrer-policy", b"no-referrer")


def origin(url: str) -> str:
    """The origin of a URL, which was read before."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def consent_page(
    *,
    client: PersonsClient,
    redirect: str,
    resource: str,
    scopes: ScopeSet,
    issuers: Iterable[str],
    ticket: str,
    action: str,
) -> Reply:
    """What a client wants, and a button for each provider to sign in with.

    Args:
        client: who asks.
        redirect: where the browser goes afterwards.
        resource: what people call the MCP server.
        scopes: that are asked for.
        issuers: the providers.
        ticket: the sealed sign-in.
        action: where the form is sent to.
    """
    listed = "".join(f"<li><code>{escape(scope)}</code></li>" for scope in scopes)
    buttons = "".join(
        f'<p><button name="issuer" value="{escape(issuer)}">Allow, and sign in at '
        f"{escape(urlsplit(issuer).netloc)}</button></p>"
        for issuer in issuers
    )
    body = (
        f"{_who(client)}"
        f"<p>At <strong>{escape(resource)}</strong> it asks for:</p><ul>{listed}</ul>"
        f"<p>You will be sent back to <strong>{escape(urlsplit(redirect).netloc)}</strong>.</p>"
        f'<form method="post" action="{escape(action)}">'
        f'<input type="hidden" name="ticket" value="{escape(ticket)}">{buttons}'
        '<p><button name="refuse" value="yes">Refuse</button></p></form>'
    )
    # A browser holds the redirects that follow a form to this as well, also those of a provider.
    return _page(200, body, f"'self' https:{_loopback(redirect)}")


def _who(client: PersonsClient) -> str:
    """Who asks; what a client says of itself is never said as if it were known."""
    if client.listed:
        return f"<h1>{escape(client.name)} wants to act for you</h1>"
    named = f"that calls itself <q>{escape(client.name)}</q>" if client.name else "without a name"
    behind = (
        f"The client is described at <strong>{escape(client.host)}</strong>."
        if client.host
        else "The client registered itself: nobody has looked at who it is."
    )
    return f"<h1>A client {named} wants to act for you</h1><p>{behind}</p>"


def _loopback(redirect: str) -> str:
    if not redirect.startswith("http:"):
        return ""
    # An IPv6 address is no source that a policy could name.
    return " http:" if "[" in redirect else f" {origin(redirect)}"


def error_page(detail: str, request_id: str) -> Reply:
    """Something is wrong that a client can not be told: nobody is sent anywhere."""
    body = f"<h1>This can not go on</h1><p>{escape(detail)}</p><p>Request {escape(request_id)}</p>"
    return _page(400, body, "'none'")


def redirect_to(url: str, *more: Header) -> Reply:
    """Send the browser on with a `GET`, whatever it came with."""
    return Reply(303, (*_HEADERS, _NO_REFERRER, (b"location", url.encode()), *more))


def _page(status: int, body: str, forms: str) -> Reply:
    policy = (
        f"default-src 'none'; form-action {forms}; frame-ancestors 'none'; base-uri 'none'"
    ).encode()
    text = f'<!doctype html><html lang="en"><title>Caracal</title><body>{body}</body></html>'
    return Reply(
        status, (*_HEADERS, _SAME_ORIGIN, (b"content-security-policy", policy)), text.encode()
    )
