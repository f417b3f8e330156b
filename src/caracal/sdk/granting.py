"""What the sessions of both kinds work out alike: grants, whose authority, and what a transport is for."""

from collections.abc import Iterable
from datetime import timedelta

from caracal.authority.scopes import InvalidScope, ScopeSet
from caracal.sdk.acting import WantedMandate
from caracal.sdk.configuration import Configuration, prefix_problems
from caracal.sdk.governed import Governed
from caracal.sdk.standing import Authority, Standing
from caracal.wire.calls.delegations import DELEGATE, Delegation, WantedGrant
from caracal.wire.calls.gateway import CALL, Destination
from caracal.wire.calls.refusals import InvalidRequest
from caracal.wire.calls.tokens import MANDATE
from caracal.wire.upstream_url import UpstreamUrl


def grant(
    resources: Iterable[str],
    scopes: Iterable[str],
    ttl: timedelta,
    max_hops: int,
    mandate_ttl: timedelta | None,
    held: Delegation | None,
) -> WantedGrant:
    """What is handed on, with the bounds stated that the held grant wants stated.

    Raises:
        InvalidRequest: it names nothing, or a scope that is none.
    """
    if isinstance(resources, str) or isinstance(scopes, str):
        raise InvalidRequest(
            DELEGATE, "one text is not several", code="invalid_options", fix="pass lists"
        )
    named = frozenset(resources)
    try:
        wanted = ScopeSet.from_texts(scopes)
    except InvalidScope as error:
        raise InvalidRequest(DELEGATE, str(error), code="scope_unknown") from None
    if not named or not wanted:
        raise InvalidRequest(
            DELEGATE,
            "a grant names resources and scopes",
            code="invalid_options",
            fix="name at least one of each",
        )
    bound = None if held is None else held.mandate_ttl
    if mandate_ttl is None and bound is not None:
        mandate_ttl = min(bound, ttl)
    budget = None if held is None else held.budget
    return WantedGrant(named, wanted, ttl, None, max_hops, mandate_ttl, budget)


def authority_of(standing: Standing, delegation: Delegation | None) -> Authority:
    """A session's authority.

    Raises:
        InvalidRequest: it holds nothing.
    """
    if delegation is None:
        raise InvalidRequest(
            MANDATE,
            "the session holds nothing",
            code="delegation_required",
            fix="open it with scopes and resources, or `accept` what was delegated to it",
        )
    return Authority(standing, delegation)


def governed(
    configuration: Configuration,
    wanted: WantedMandate,
    upstream_prefix: str | None,
    receipts: list[str] | None,
) -> Governed:
    """What a transport is for. An http or https identifier of a resource is a prefix by itself.

    Raises:
        InvalidRequest: the prefix is none.
    """
    resource = wanted.resource
    prefix = upstream_prefix or configuration.prefixes.get(resource)
    if prefix is None and resource.startswith(("https://", "http://")):
        prefix = None if prefix_problems(resource, resource) else resource
    problems = () if prefix is None else prefix_problems(resource, prefix)
    if problems:
        raise InvalidRequest(CALL, problems[0], code="invalid_options", fix="correct it")
    destination = Destination(
        UpstreamUrl.parse(configuration.gateway_url),
        resource,
        None if prefix is None else UpstreamUrl.parse(prefix),
    )
    return Governed(destination, wanted, receipts)
