"""The admin API, put together. Open first: `AdminApi.routes`; docs/admin-api.md lists every route."""

from dataclasses import dataclass

from caracal_server.control.admin.absent import AdminAbsences
from caracal_server.control.admin.applications import AdminApplications
from caracal_server.control.admin.editing import ZoneEdits
from caracal_server.control.admin.issuers import AdminIssuers
from caracal_server.control.admin.policies import AdminPolicies
from caracal_server.control.admin.policy_effect import AdminPolicyEffect, FollowDocuments
from caracal_server.control.admin.policy_sets import AdminPolicySets
from caracal_server.control.admin.policy_shelf import Shelves
from caracal_server.control.admin.providers import AdminProviders
from caracal_server.control.admin.resources import AdminResources
from caracal_server.control.admin.zones import AdminZones
from caracal_server.control.apply import ApplyZone
from caracal_server.control.gate import Gate
from caracal_server.control.renewal import RenewSecret
from caracal_server.ports.policy_library import PolicyLibrary
from caracal_server.web.routes import Route


@dataclass(frozen=True, slots=True)
class AdminApi:
    """What stock admin clients find under `/v1`, beside Control's own routes."""

    gate: Gate
    apply: ApplyZone
    renew: RenewSecret
    library: PolicyLibrary

    def routes(self) -> tuple[Route, ...]:
        shelves = Shelves(self.library, self.apply.clock, self.apply.entropy, self.apply.acts)
        edits = ZoneEdits(self.gate, self.apply, FollowDocuments(shelves))
        return (
            *AdminZones(edits).routes(),
            *AdminApplications(edits, self.renew).routes(),
            *AdminProviders(edits).routes(),
            *AdminResources(edits).routes(),
            *AdminIssuers(edits).routes(),
            *AdminAbsences(edits).routes(),
            *AdminPolicies(edits, shelves).routes(),
            *AdminPolicySets(edits, shelves).routes(),
            *AdminPolicyEffect(edits, shelves).routes(),
        )
