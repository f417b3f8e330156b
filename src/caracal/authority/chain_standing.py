"""Whether every application that handed an authority on may still do so."""

from datetime import datetime

from caracal.authority.mandates import Hop
from caracal.authority.outcomes import Reason, Refused
from caracal.authority.zones import Application, Zone


def root_application(
    zone: Zone, chain: tuple[Hop, ...], holder: Application, *, now: datetime
) -> Application | Refused:
    """The application that a chain starts from; `holder` for an empty chain.

    Refused when an application in the chain is removed, disabled or expired: what it had handed on
    ends with it.

    Source: docs/delegation.md D9.
    """
    root = holder
    for position, hop in enumerate(chain):
        application = zone.applications.get(hop.application_id)
        if application is None or not application.usable(now):
            return Refused(
                Reason.CLIENT_UNKNOWN,
                f"the application {hop.application_id} in the delegation chain is not usable any more",
            )
        if position == 0:
            root = application
    return root
