"""What the admin API is about: the kinds of things in a zone, and what each calls its fields."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from caracal.authority.outcomes import Reason
from caracal_server.control.document_faults import Fault, ZoneDocumentInvalid
from caracal_server.web.meanings.admin_answers import AdminAnswer
from caracal_server.web.problems import Issue, Problem, RequestRefused

_ISSUES_SHOWN: Final = 100
_ENTRY: Final = 2


@dataclass(frozen=True, slots=True)
class Subject:
    """A kind of thing.

    Attributes:
        group: the field of a zone document that holds them; empty for the zone itself.
        spelling: fields of a zone document, as a request spells them.
    """

    noun: str
    group: str
    invalid: AdminAnswer
    missing: AdminAnswer
    spelling: Mapping[str, str] = field(default_factory=dict)

    def unknown(self) -> RequestRefused:
        """What to raise when the zone has none of that id."""
        detail = f"the zone has no {self.noun} of that id"
        return RequestRefused(Problem(Reason.ENTRY_UNKNOWN, detail, self.missing))

    def refuse(self, name: str, message: str, answer: AdminAnswer | None = None) -> RequestRefused:
        """What to raise when a field will not do."""
        return RequestRefused(
            Problem(
                Reason.REQUEST_MALFORMED,
                f"{name}: {message}",
                answer or self.invalid,
                issues=(Issue((name,), message),),
            )
        )

    def taken(self, name: str, answer: AdminAnswer) -> RequestRefused:
        """What to raise when another has what `name` asks for."""
        message = f"another {self.noun} of the zone has it"
        return RequestRefused(
            Problem(
                Reason.ENTRY_TAKEN, f"{name}: {message}", answer, issues=(Issue((name,), message),)
            )
        )

    def absent(self, name: str, message: str) -> RequestRefused:
        """What to raise for a field that Caracal has nothing for."""
        return absent(message, name)

    def invalid_document(self, invalid: ZoneDocumentInvalid) -> Problem:
        """The faults of a document, as those of the request that would have made it."""
        issues = tuple(map(self._issue, invalid.faults[:_ISSUES_SHOWN]))
        first = issues[0]
        detail = ".".join(map(str, first.path)) + f": {first.message}"
        return Problem(Reason.ZONE_FILE_INVALID, detail, self.invalid, issues=issues)

    def _issue(self, fault: Fault) -> Issue:
        path = fault.path
        if self.group and len(path) > _ENTRY and path[0] == self.group:
            path = path[_ENTRY:]
        if path and isinstance(path[0], str):
            path = (self.spelling.get(path[0], path[0]), *path[1:])
        return Issue(path, fault.message)


def absent(message: str, *path: str) -> RequestRefused:
    """What to raise for what Caracal has nothing for."""
    detail = ": ".join((*path, message))
    issues = (Issue(path, message),) if path else ()
    return RequestRefused(
        Problem(Reason.FEATURE_ABSENT, detail, AdminAnswer.UNSUPPORTED, issues=issues)
    )


ZONE: Final = Subject(
    "zone",
    "",
    AdminAnswer.INVALID_ZONE,
    AdminAnswer.ZONE_NOT_FOUND,
    {"zone": "slug", "title": "name"},
)
APPLICATION: Final = Subject(
    "application",
    "applications",
    AdminAnswer.INVALID_APPLICATION,
    AdminAnswer.APPLICATION_NOT_FOUND,
    dict(zip(("title", "secret"), ("name", "client_secret"), strict=True)),
)
PROVIDER: Final = Subject(
    "provider",
    "providers",
    AdminAnswer.INVALID_PROVIDER,
    AdminAnswer.PROVIDER_NOT_FOUND,
    {"title": "name", "name": "identifier"},
)
RESOURCE: Final = Subject(
    "resource",
    "resources",
    AdminAnswer.INVALID_RESOURCE,
    AdminAnswer.RESOURCE_NOT_FOUND,
    {
        "upstream": "upstream_url",
        "provider": "credential_provider_id",
        "enforcement": "operation_enforcement",
    },
)
ISSUER: Final = Subject(
    "subject issuer",
    "subject_issuers",
    AdminAnswer.INVALID_SUBJECT_ISSUER,
    AdminAnswer.SUBJECT_ISSUER_NOT_FOUND,
)
