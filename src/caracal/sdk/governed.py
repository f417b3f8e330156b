"""What a transport makes of a caller's request: where it goes, what it carries, who answered."""

from dataclasses import dataclass

import httpx

from caracal.sdk import surroundings
from caracal.sdk.acting import WantedMandate
from caracal.sdk.engine import answer
from caracal.wire.calls.gateway import CALL, Destination, call_headers
from caracal.wire.calls.refusals import CaracalError, InvalidRequest, read_refusal
from caracal.wire.calls.tokens import Mandate
from caracal.wire.trace_context import TraceContext


@dataclass(frozen=True, slots=True)
class Governed:
    """What a transport is for.

    Attributes:
        wanted: of each mandate.
        receipts: gets the reference of each answer that names one.
    """

    destination: Destination
    wanted: WantedMandate
    receipts: list[str] | None = None

    def target(self, request: httpx.Request) -> str:
        """Where at the Gateway a request leads.

        Raises:
            InvalidRequest: its URL means something else than the resource; nothing is sent.
        """
        url = request.url
        raw = url.raw_path.decode("ascii")
        found = self.destination.target(url.scheme, url.host, url.port, raw)
        if found is None:
            raise InvalidRequest(
                CALL,
                f"{url.scheme}://{url.netloc.decode('ascii', 'replace')} is not "
                f"{self.destination.resource}",
                code="destination_foreign",
                fix="use a path, the Gateway's URL, or name the upstream's as upstream_prefix",
            )
        return found

    def outgoing(
        self, request: httpx.Request, target: str, mandate: Mandate, trace: TraceContext
    ) -> httpx.Request:
        """The request that is sent: to the Gateway, whatever the caller's said about authority."""
        gateway = self.destination.gateway
        carried = call_headers(
            [
                (name.decode("latin-1"), value.decode("latin-1"))
                for name, value in request.headers.raw
            ],
            self.destination.resource,
            mandate.token,
            trace.headers(surroundings.random_bytes),
        )
        # httpx adds no Host to a request that comes with its stream.
        headers = (("host", gateway.authority), *carried)
        url = httpx.URL(
            scheme=gateway.scheme,
            host=gateway.host,
            port=gateway.port,
            raw_path=target.encode("ascii"),
        )
        if not request.url.scheme:
            # A relative URL says nothing of where it went; httpx needs that to read cookies.
            request.url = url
        return httpx.Request(
            request.method,
            url,
            headers=[(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers],
            stream=request.stream,
            extensions=request.extensions,
        )

    def keep(self, response: httpx.Response) -> None:
        reference = response.headers.get("caracal-receipt")
        if self.receipts is not None and reference:
            self.receipts.append(reference)


def refusal(response: httpx.Response, body: bytes) -> CaracalError:
    """What the Gateway said itself; anything else that answered in its place is unexpected."""
    return read_refusal(answer(response, body), CALL)
