"""The call goes upstream: credential in, response back, revocation watched, result recorded."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from caracal.authority.admission import AdmittedCall
from caracal.authority.mandates import Mandate, MandateClass
from caracal.authority.outcomes import Reason, Refused, Unavailable
from caracal.authority.resources import Resource
from caracal.authority.zones import CredentialKind, Provider
from caracal.tokens.refusal import TokenRefused
from caracal.wire.headers import Headers, forwardable_request_headers
from caracal.wire.upstream_url import UpstreamUrl
from caracal_server.gateway.caller import Body
from caracal_server.gateway.enforcement import Admission, IncomingCall
from caracal_server.gateway.entries import Carried
from caracal_server.gateway.metrics import GatewayMetrics
from caracal_server.gateway.passages import CallFailed, Passage, Passages
from caracal_server.gateway.placement import Placement, place, without_parameters
from caracal_server.gateway.results import Results, class_of
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
)
from caracal_server.ports.zones import ZoneDirectory


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
        metrics: GatewayMetrics,
    ) -> None:
        self._clock = clock
        self._directory = directory
        self._credentials = credentials
        self._mandates = mandates
        self._upstream = upstream
        self._metrics = metrics
        self._results = Results(clock, evidence, metrics)
        self._urls: dict[str, UpstreamUrl] = {}
        self.passages = Passages(authority)

    def open(
        self,
        admission: Admission,
        task: asyncio.Task[object],
        started: float,
        *,
        digests: bool = False,
    ) -> Passage:
        """Begin to carry an admitted call; `close` it whatever happens."""
        mandate = admission.admitted.mandate
        passage = Passage(mandate, admission.entry, task, started, digests=digests)
        self.passages.open(passage)
        if mandate.origins:
            # Nobody can revoke a link: its end is the only bound on what was handed on by it.
            left = (mandate.expires_at - self._clock.now()).total_seconds()
            passage.stop_after(
                left, Refused(Reason.MANDATE_EXPIRED, "its end came while the call ran")
            )
        return passage

    def close(self, passage: Passage, body: Body | None) -> None:
        """The call is over: record what became of it; `body` is what the caller sent."""
        self.passages.close(passage)
        failure = passage.failure
        self._metrics.count(None if failure is None else failure.reason)
        seconds = self._clock.monotonic() - passage.started
        carried = Carried(
            status=passage.status,
            received_bytes=passage.received_bytes,
            sent_bytes=0 if body is None else body.read_bytes,
            duration_us=int(seconds * 1_000_000),
            body="" if body is None else body.digest(),
            answer=passage.digest(),
            error=class_of(failure) if passage.error is None else passage.error,
        )
        self._results.record(passage.entry, failure, carried)

    async def send(
        self,
        incoming: IncomingCall,
        admission: Admission,
        added: Headers,
        body: AsyncIterator[bytes] | None,
    ) -> tuple[UpstreamResponse, Placement]:
        """Send an admitted call; return as soon as the upstream's response has begun.

        Returns:
            The response, and the placement that its headers must pass before the caller sees them.

        Raises:
            CallFailed: the authority ended, or nothing can be sent.
            UpstreamError: no response came.
            Unavailable: something the credential needs can not be reached.
        """
        admitted, target = admission.admitted, admission.target
        url = self._url(admitted.resource.upstream_url)
        bearer = incoming.arrival.bearer or b""
        placement = await self._place(admitted, bearer, target.query, url)
        # The admission waited for the disk, and the credential perhaps for a peer.
        self._require_authority(admitted)
        request = UpstreamRequest(
            method=incoming.method,
            url=url,
            target=_target(url, target.path_raw, placement.query),
            headers=(
                *forwardable_request_headers(incoming.headers, without=placement.replaces),
                *added,
                *placement.headers,
            ),
            body=body,
            content_length=incoming.arrival.content_length if body is not None else None,
        )
        try:
            response = await self._upstream.send(request)
        except ValueError as error:
            raise CallFailed(Refused(Reason.REQUEST_MALFORMED, str(error))) from None
        try:
            self._require_authority(admitted)
        except CallFailed:
            await response.aclose()
            raise
        return response, placement

    def received(self, passage: Passage, chunk: bytes) -> None:
        """Hold a chunk of the response against what has ended, before it is passed on.

        Raises:
            CallFailed: the authority ended.
        """
        mandate = passage.mandate
        refused = self.passages.revoked(mandate) or self._turned_off(mandate)
        if refused is not None:
            raise CallFailed(refused)
        passage.received_bytes += len(chunk)
        if passage.answer is not None:
            passage.answer.update(chunk)

    def _turned_off(self, mandate: Mandate) -> Refused | None:
        """Why a stream of a client that knows nothing of sessions goes no further: nobody ends those."""
        if mandate.mandate_class is not MandateClass.ACCESS:
            return None
        try:
            zone = self._directory.zone(mandate.zone_id)
        except Unavailable as error:
            return Refused(error.reason, error.detail)
        application = None if zone is None else zone.applications.get(mandate.application_id)
        if application is None or not application.usable(self._clock.now()):
            return Refused(Reason.CLIENT_UNKNOWN, "the application is not registered any more")
        return None

    def _require_authority(self, admitted: AdmittedCall) -> None:
        refused = self.passages.revoked(admitted.mandate)
        if refused is not None:
            raise CallFailed(refused)

    def _url(self, text: str) -> UpstreamUrl:
        url = self._urls.get(text)
        if url is None:
            url = self._urls[text] = UpstreamUrl.parse(text)
        return url

    async def _place(
        self, admitted: AdmittedCall, bearer: bytes, query: bytes, url: UpstreamUrl
    ) -> Placement:
        provider_id = admitted.resource.provider_id
        if provider_id is None:
            return Placement((), frozenset(), query)
        zone_id = admitted.mandate.zone_id
        zone = self._directory.zone(zone_id)
        provider = None if zone is None else zone.providers.get(provider_id)
        current = None if zone is None else zone.resources.get(admitted.resource.identifier)
        # The zone may have changed since the admission: this credential is for where calls go now.
        if provider is None or current is None or _moved(admitted.resource, current):
            raise CallFailed(
                Refused(Reason.CREDENTIAL_UNAVAILABLE, "the resource or its provider has changed")
            )
        if provider.allowed_hosts and url.host not in provider.allowed_hosts:
            raise CallFailed(
                Refused(
                    Reason.CREDENTIAL_HOST_REFUSED,
                    f"the credential of {provider.name} may not be sent to {url.host}",
                )
            )
        credential = self._credentials.credential(zone_id, provider_id)
        mandate = await self._resource_mandate(provider, admitted, bearer)
        placement = place(provider, credential, mandate=mandate, query=query)
        if isinstance(placement, Refused):
            raise CallFailed(placement)
        return placement

    async def _resource_mandate(
        self, provider: Provider, admitted: AdmittedCall, bearer: bytes
    ) -> str | None:
        if provider.kind is not CredentialKind.CARACAL_MANDATE and not provider.forward_identity:
            return None
        try:
            return await self._mandates.mint_for_resource(
                admitted.mandate,
                admitted.resource.identifier,
                token=bearer,
                now=self._clock.now(),
            )
        except TokenRefused as error:
            raise CallFailed(Refused(Reason.CREDENTIAL_UNAVAILABLE, error.detail)) from None


_REASONS: Final = {
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


def _moved(admitted: Resource, current: Resource) -> bool:
    return (admitted.upstream_url, admitted.provider_id) != (
        current.upstream_url,
        current.provider_id,
    )


def _target(url: UpstreamUrl, path: bytes, query: bytes) -> bytes:
    """The upstream's own path before the caller's; the upstream's own parameters win."""
    base = url.path.encode()
    if base != b"/":
        path = base if path == b"/" else base.rstrip(b"/") + path
    if url.query:
        own = url.query.encode()
        kept = without_parameters(query, own)
        query = b"&".join(part for part in (kept, own) if part)
    return path + b"?" + query if query else path
