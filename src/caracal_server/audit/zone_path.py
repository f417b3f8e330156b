"""The zone that a request's path names."""

from starlette.requests import Request

from caracal.authority.identifiers import InvalidIdentifier, ZoneId, parse_id
from caracal.authority.outcomes import Reason
from caracal_server.audit.logs import Logs
from caracal_server.web.problems import Problem, RequestRefused
from caracal_server.web.requests import refuse_params


def zone_of(request: Request, logs: Logs) -> ZoneId:
    """Read `{zone}`.

    Raises:
        RequestRefused: it is no id, or no log is called so.
    """
    try:
        zone_id = parse_id(ZoneId, request.path_params["zone"])
    except InvalidIdentifier as fault:
        raise refuse_params(str(fault)) from None
    if not logs.known(zone_id):
        raise RequestRefused(Problem(Reason.ZONE_UNKNOWN, f"there is no zone {zone_id}"))
    return zone_id
