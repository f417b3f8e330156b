"""The call goes upstream: credential in, response back, revocation watched, result recorded."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from caracal.authority.admission import AdmittedCall
from caracal.authority.events import ENTRY_FORMAT, Entry, Kind
from caracal.authority.outcomes import Reason, Refused
from caracal.authority.zones import CredentialKind, Provider
from caracal.wire.headers import forwardable_request_headers
from caracal_server.gateway.enforcement import Admission, IncomingCall
from caracal_server.gateway.placement import Placement, place
from caracal_server.gateway.streams import Streams
from caracal_server.ports.clock import Clock
from caracal_server.ports.evidence import EvidenceLog
from caracal_server.ports.keys import Credentials
from caracal_server.ports.peers import LiveAuthority, ResourceMandates
from caracal_server.ports.upstream import (
    UpstreamClient,
    UpstreamError,
    UpstreamErrorKind,
    UpstreamRequest,
    UpstreamResponse,
    UpstreamUrl,
)
from caracal_server.ports.zones import ZoneDirectory

Headers = tuple[tuple[bytes, bytes], ...]


@dataclass(slots=True)
class CallResult:
    """What became of a call, filled in while it runs."""

    status: int = 0
    reason: str = ""
    detail: str = ""
    sent_bytes: int = 0
    received_bytes: int = 0
    body_read: bool = False


class Forwarding:
    """Carries admitted calls; the only place that holds an upstream credential in its hands."""

    def __init__(
        self,
        *,
        clock: Clock,
        directory: ZoneDirectory,
        credentials: Credentials,
        mandates: ResourceMandates,
        authority: LiveAuthority,
        upstream: UpstreamClient,
        evidence: EvidenceLog,
    ) -> None:
        self._clock = clock
        self._directory = directory
        self._credentials = credentials
        self._mandates = mandates
        self._authority = authority
        self._upstream = upstream
        self._evidence = evidence
        self._urls: dict[str, UpstreamUrl] = {}
        self.streams = Streams(authority)

    async def send(
        self,
        incoming: IncomingCall,
        admission: Admission,
        added: Headers,
        body: AsyncIterator[bytes] | None,
    ) -> UpstreamResponse | Refused:
        """Send an admitted call; return as soon as the upstream's response has begun."""
        admitted = admission.admitted
        url = self._url(admitted.resource.upstream_url)
        placement = await self._place(admitted, admission.target.query, url)
        if isinstance(placement, Refused):
            return placement
        request = UpstreamRequest(
            method=incoming.method,
            url=url,
            target=_target(url, admission.target.path_raw, placement.query),
            headers=(
                *forwardable_request_headers(incoming.headers, without=placement.replaces),
                *added,
                *placement.headers,
            ),
            body=body,
            content_length=admission.arrival.content_length if body is not None else None,
        )
        try:
            return await self._upstream.send(request)
        except UpstreamError as error:
            return refusal_of(error)
        except ValueError as error:
            return Refused(Reason.REQUEST_MALFORMED, str(error))

    async def relay(
        self,
        admitted: AdmittedCall,
        response: UpstreamResponse,
        result: CallResult,
        write: Callable[[bytes], Awaitable[None]],
    ) -> bool:
        """Pass the body on, chunk by chunk; return whether it came whole.

        Before each chunk the mandate is held against the revocations.
        """
        stream = self.streams.open(admitted.mandate, _current_task())
        try:
            async for chunk in response.body():
                stream.cut_by = stream.cut_by or self._authority.revocation(admitted.mandate)
                if stream.cut_by is not None:
                    break
                result.received_bytes += len(chunk)
                await write(chunk)
            else:
                return True
        except UpstreamError as error:
            refused = refusal_of(error)
            result.reason, result.detail = refused.reason, refused.detail
            return False
        except asyncio.CancelledError:
            if stream.cut_by is None:
                result.reason = Reason.CLIENT_GONE
                raise
            # The cancellation was ours and has done its work.
            stream.task.uncancel()
        finally:
            self.streams.close(stream)
            await response.aclose()
        result.reason, result.detail = Reason.MANDATE_REVOKED, stream.cut_by.reason
        return False

    def record(
        self, incoming: IncomingCall, admitted: AdmittedCall, result: CallResult, started: float
    ) -> None:
        """Record what became of the call; it is history by now, so nobody waits for it."""
        mandate = admitted.mandate
        self._evidence.enqueue(
            Entry(
                format=ENTRY_FORMAT,
                kind=Kind.CALL_RESULT,
                zone=mandate.zone_id,
                at=self._clock.now_us(),
                request=incoming.request_id,
                reason=result.reason,
                detail=result.detail,
                application=mandate.application_id,
                session=mandate.session_id or "",
                resource=admitted.resource.identifier,
                mandate=mandate.id,
                answers=incoming.request_id,
                status=result.status,
                received_bytes=result.received_bytes,
                sent_bytes=result.sent_bytes,
                duration_us=int((self._clock.monotonic() - started) * 1_000_000),
            )
        )

    def _url(self, text: str) -> UpstreamUrl:
        url = self._urls.get(text)
        if url is None:
            url = self._urls[text] = UpstreamUrl.parse(text)
        return url

    async def _place(
        self, admitted: AdmittedCall, query: bytes, url: UpstreamUrl
    ) -> Placement | Refused:
        zone = self._directory.zone(admitted.mandate.zone_id)
        provider_id = admitted.resource.provider_id
        provider = None if zone is None or provider_id is None else zone.providers.get(provider_id)
        if provider is None:
            if provider_id is not None:
                return Refused(Reason.CREDENTIAL_UNAVAILABLE, "the resource's provider is gone")
            return place(None, None, mandate=None, query=query)
        if provider.allowed_hosts and url.host not in provider.allowed_hosts:
            return Refused(
                Reason.CREDENTIAL_HOST_REFUSED,
                f"the credential of {provider.name} may not be sent to {url.host}",
            )
        credential = self._credentials.credential(admitted.mandate.zone_id, provider.id)
        mandate = await self._resource_mandate(provider, admitted)
        return place(provider, credential, mandate=mandate, query=query)

    async def _resource_mandate(self, provider: Provider, admitted: AdmittedCall) -> str | None:
        if provider.kind is not CredentialKind.CARACAL_MANDATE and not provider.forward_identity:
            return None
        return await self._mandates.mint_for_resource(
            admitted.mandate, admitted.resource.identifier, now=self._clock.now()
        )


_REASONS = {
    UpstreamErrorKind.REFUSED_BY_EGRESS: Reason.EGRESS_REFUSED,
    UpstreamErrorKind.UNRESOLVABLE: Reason.UPSTREAM_UNREACHABLE,
    UpstreamErrorKind.CONNECT_FAILED: Reason.UPSTREAM_UNREACHABLE,
    UpstreamErrorKind.TLS_FAILED: Reason.UPSTREAM_UNREACHABLE,
    UpstreamErrorKind.CONNECT_TIMEOUT: Reason.UPSTREAM_TIMEOUT,
    UpstreamErrorKind.FIRST_BYTE_TIMEOUT: Reason.UPSTREAM_TIMEOUT,
    UpstreamErrorKind.IDLE_TIMEOUT: Reason.UPSTREAM_TIMEOUT,
    UpstreamErrorKind.TOTAL_TIMEOUT: Reason.UPSTREAM_TIMEOUT,
    UpstreamErrorKind.PROTOCOL_ERROR: Reason.UPSTREAM_PROTOCOL,
    UpstreamErrorKind.HEADER_TOO_LARGE: Reason.UPSTREAM_PROTOCOL,
    UpstreamErrorKind.CLOSED_EARLY: Reason.UPSTREAM_CLOSED_EARLY,
}


def refusal_of(error: UpstreamError) -> Refused:
    """An upstream's failure in our words."""
    return Refused(_REASONS[error.kind], error.detail)


def _target(url: UpstreamUrl, path: bytes, query: bytes) -> bytes:
    base = url.path.rstrip("/").encode()
    return base + path + (b"?" + query if query else b"")


def _current_task() -> asyncio.Task[object]:
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("a call is relayed inside a task")
    return task
