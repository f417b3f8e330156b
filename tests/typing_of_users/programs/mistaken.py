"""Mistakes that a checker is to find: one on each line that says so."""

from caracal import Caracal
from caracal.verify import UNTIL_EXPIRY, AsyncVerifier, Verifier
from caracal.verify.asgi import App
from caracal.verify.mcp import McpMiddleware, caller
from caracal.verify.wsgi import CaracalMiddleware


def mistakes(app: App, verifier: Verifier, later: AsyncVerifier, client: Caracal) -> None:
    verifier.require(scope=["a:read"])  # mistake: there is no setting of that name
    verifier.require(max_hops="2")  # mistake: a number
    Verifier(issuer="", audience="", zone_id="")  # mistake: what of revocations?
    Verifier(issuer="", audience="", zone_id="", revocations=None)  # mistake: a view
    McpMiddleware(app, verifier=verifier)  # mistake: it needs the one for asyncio
    CaracalMiddleware(lambda environ, start: [b""], verifier=later)  # mistake: the other one
    caller(app)  # mistake: a context
    print(later.authorize(None).subject)  # mistake: it is to be awaited
    client.session(ttl=5)  # mistake: a timedelta
    print(UNTIL_EXPIRY.revoke("id"))  # mistake: nothing is told to it
