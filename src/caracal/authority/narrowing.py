"""Narrowing without the issuer: what each link of a chain may still say (docs/adr/0012)."""

from datetime import datetime
from typing import Final

import msgspec

from caracal.authority.constraints import MAX_HOPS
from caracal.authority.identifiers import MandateId
from caracal.authority.mandates import Bound, Mandate, Origin
from caracal.authority.outcomes import Reason, Refused
from caracal.authority.resources import ResourceUri
from caracal.authority.scopes import ScopeSet

MAX_LINKS: Final = MAX_HOPS
"""A delegation has at most ten hops, itself one of them: nine are left to hand on, and one link closes."""


class Link(msgspec.Struct, frozen=True):
    """One step of a chain, as its signer stated it.

    Attributes:
        id: the digest of what was signed.
        bound: who may narrow further; `None` closes the chain.
    """

    id: MandateId
    scopes: ScopeSet
    resources: tuple[ResourceUri, ...]
    issued_at: datetime
    expires_at: datetime
    bound: Bound | None = None


def narrowed(held: Mandate, thumbprint: str, link: Link) -> Mandate | Refused:
    """What is left of `held` after `link`, which the key with `thumbprint` signed.

    Everything but scopes, resources, end and holder stays: the ancestry, and so what revokes it. The
    instant of issue stays too, because the issuer's clock said it.

    Returns:
        `Refused` when the link states anything that `held` does not.
    """
    if held.bound is None:
        return Refused(Reason.NARROWING_BROKEN, "nothing follows what names no holder")
    excess = link.scopes.without(held.scopes)
    if excess:
        return Refused(Reason.NARROWING_WIDENS, f"the one before does not hold: {excess.render()}")
    beyond = [resource for resource in link.resources if resource not in held.resources]
    if beyond:
        return Refused(Reason.NARROWING_WIDENS, f"the one before does not reach {beyond[0]}")
    if link.expires_at > held.expires_at:
        return Refused(
            Reason.NARROWING_WIDENS, f"the one before ends at {held.expires_at.isoformat()}"
        )
    if link.bound is not None and link.bound.hand_ons >= held.bound.hand_ons:
        return Refused(
            Reason.NARROWING_TOO_DEEP,
            f"the one before may be handed on {held.bound.hand_ons} times, this one included",
        )
    return msgspec.structs.replace(
        held,
        id=link.id,
        scopes=held.scopes.meet(link.scopes),
        resources=link.resources,
        expires_at=link.expires_at,
        bound=link.bound,
        origins=(*held.origins, Origin(held.id, thumbprint)),
    )
