"""What a data document says, typed. Open first: `parse_data_document`."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeVar

from caracal.authority.identifiers import ApplicationId, is_id
from caracal.authority.policy.documents.literals import Items, Literal, Members, Scalar
from caracal.authority.policy.documents.problems import DocumentInvalid, Fault
from caracal.authority.policy.documents.syntax import Rule, read_rules
from caracal.authority.resources import InvalidResource, ResourceUri, parse_resource_uri
from caracal.authority.scopes import InvalidScope, Scope, parse_scope
from caracal.authority.sessions import MAX_LABEL_LENGTH

MAX_TTL_SECONDS: Final = 366 * 24 * 3600
_NAME: Final = re.compile(r"[\x20-\x7e]{1,128}")
_T = TypeVar("_T")


class Approver(StrEnum):
    OPERATOR = "operator"
    SUBJECT = "subject"
    ANY = "any"


class Privacy(StrEnum):
    IDENTIFIED = "identified"
    PSEUDONYMOUS = "pseudonymous"
    ANONYMOUS = "anonymous"


@dataclass(frozen=True, slots=True)
class Ownership:
    """Who may use a resource, and in which roles.

    Attributes:
        application: the key that `app_ids` gives the one application.
        roles: the scopes that a session may have whose label the role is.
    """

    application: str
    roles: Mapping[str, frozenset[Scope]]


@dataclass(frozen=True, slots=True)
class Confinement:
    """Sessions with a label that begins so have these scopes at most."""

    label_prefix: str
    scopes: frozenset[Scope]


@dataclass(frozen=True, slots=True)
class ApprovalTier:
    """A scope of this tier needs a human."""

    tier: str
    approver: Approver = Approver.OPERATOR
    ttl_seconds: int | None = None
    privacy: Privacy = Privacy.IDENTIFIED


@dataclass(frozen=True, slots=True)
class DataDocument:
    """What one document defines; `None` for what it says nothing about.

    Attributes:
        restrict: why nothing is allowed, all of it at once; empty for no reason.
        added_restrictions: those that it adds to whatever others say.
        risk: the tier of a scope.
    """

    app_ids: Mapping[str, ApplicationId] | None = None
    grants: Mapping[ResourceUri, Ownership] | None = None
    confinement: frozenset[Confinement] | None = None
    restrict: frozenset[str] | None = None
    added_restrictions: frozenset[str] = frozenset()
    risk: Mapping[Scope, str] | None = None
    approval_tiers: frozenset[ApprovalTier] | None = None


def parse_data_document(text: str) -> DataDocument:
    """Read a data document.

    Raises:
        DocumentInvalid: at the first thing that is no plain data, or not what its rule is made of.
    """
    written = read_rules(text)
    rules = {rule.name: rule for rule in written if not rule.partial}
    added = [rule for rule in written if rule.partial]
    return DataDocument(
        app_ids=_of(rules, "app_ids", _app_ids),
        grants=_of(rules, "grants", _grants),
        confinement=_of(rules, "confinement", _confinement),
        restrict=_of(rules, "restrict", _restrict),
        added_restrictions=frozenset(_reason(rule.literal) for rule in added),
        risk=_of(rules, "risk", _risk),
        approval_tiers=_of(rules, "approval_tiers", _approval_tiers),
    )


def _of(rules: Mapping[str, Rule], name: str, read: Callable[[Literal], _T]) -> _T | None:
    rule = rules.get(name)
    if rule is None:
        return None
    try:
        return read(rule.literal)
    except _Unfit as unfit:
        fault = Fault.SHAPE if unfit.fault is None else unfit.fault
        raise DocumentInvalid(fault, unfit.literal.place, str(unfit), name) from None


class _Unfit(ValueError):
    def __init__(self, literal: Literal, wanted: str, fault: Fault | None = None) -> None:
        super().__init__(wanted)
        self.literal, self.fault = literal, fault


def _app_ids(literal: Literal) -> dict[str, ApplicationId]:
    return {
        _plain(literal, key): _application_id(value) for key, value in _members(literal).items()
    }


def _application_id(literal: Literal) -> ApplicationId:
    text = _text(literal)
    if not is_id(text):
        raise _Unfit(literal, "want the id of an application")
    return ApplicationId(text)


def _grants(literal: Literal) -> dict[ResourceUri, Ownership]:
    return {_uri(literal, key): _ownership(value) for key, value in _members(literal).items()}


def _uri(literal: Literal, text: str) -> ResourceUri:
    try:
        return parse_resource_uri(text)
    except InvalidResource:
        raise _Unfit(literal, "want the identifiers of resources as keys") from None


def _ownership(literal: Literal) -> Ownership:
    members = _fields(literal, ("application", "roles"))
    roles = _members(members["roles"])
    return Ownership(
        _name(members["application"]),
        {_label(members["roles"], role): _scopes(scopes) for role, scopes in roles.items()},
    )


def _confinement(literal: Literal) -> frozenset[Confinement]:
    return frozenset(map(_confined, _listed(literal)))


def _confined(literal: Literal) -> Confinement:
    members = _fields(literal, ("label_prefix", "scopes"))
    prefix = members["label_prefix"]
    text = _text(prefix)
    return Confinement(_label(prefix, text) if text else "", _scopes(members["scopes"]))


def _restrict(literal: Literal) -> frozenset[str]:
    if isinstance(literal, Members):
        return frozenset(literal.members)
    return frozenset(map(_reason, _items(literal)))


def _reason(literal: Literal) -> str:
    """An entry of `restrict`: any entry counts, whatever it says."""
    return str(literal.value) if isinstance(literal, Scalar) else f"line {literal.place.line}"


def _risk(literal: Literal) -> dict[Scope, str]:
    tiers: dict[Scope, str] = {}
    for entry in _listed(literal):
        members = _fields(entry, ("scope", "tier"))
        scope, tier = _scope(members["scope"]), _name(members["tier"])
        if tiers.setdefault(scope, tier) != tier:
            raise _Unfit(entry, f"{scope} is in two tiers", Fault.REPEATED)
    return tiers


def _approval_tiers(literal: Literal) -> frozenset[ApprovalTier]:
    return frozenset(map(_approval_tier, _listed(literal)))


def _approval_tier(literal: Literal) -> ApprovalTier:
    members = _fields(literal, ("tier",), ("approver", "ttl_seconds", "privacy"))
    tier = _name(members["tier"])
    approver = _choice(members.get("approver"), Approver, Approver.OPERATOR)
    privacy = _choice(members.get("privacy"), Privacy, Privacy.IDENTIFIED)
    return ApprovalTier(tier, approver, _seconds(members.get("ttl_seconds")), privacy)


_Choice = TypeVar("_Choice", bound=StrEnum)


def _choice(literal: Literal | None, choices: type[_Choice], otherwise: _Choice) -> _Choice:
    if literal is None:
        return otherwise
    for one in choices:
        if isinstance(literal, Scalar) and literal.value == one:
            return one
    raise _Unfit(literal, f"want one of {', '.join(choices)}")


def _seconds(literal: Literal | None) -> int | None:
    if literal is None:
        return None
    value = literal.value if isinstance(literal, Scalar) else None
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MAX_TTL_SECONDS:
        raise _Unfit(literal, f"want 1 to {MAX_TTL_SECONDS} seconds")
    return value


def _scopes(literal: Literal) -> frozenset[Scope]:
    return frozenset(map(_scope, _items(literal)))


def _scope(literal: Literal) -> Scope:
    try:
        return parse_scope(_text(literal))
    except InvalidScope:
        raise _Unfit(literal, "want a scope: printable characters without a space") from None


def _name(literal: Literal) -> str:
    return _plain(literal, _text(literal))


def _plain(literal: Literal, text: str) -> str:
    """A name. Beyond ASCII two names can look alike and be two."""
    if _NAME.fullmatch(text) is None:
        raise _Unfit(literal, f"want 1 to 128 printable ASCII characters, not {text!a}")
    return text


def _label(literal: Literal, text: str) -> str:
    if len(text) > MAX_LABEL_LENGTH:
        raise _Unfit(literal, f"want a label of at most {MAX_LABEL_LENGTH} characters")
    return _plain(literal, text)


def _text(literal: Literal) -> str:
    if not isinstance(literal, Scalar) or not isinstance(literal.value, str):
        raise _Unfit(literal, "want a text")
    return literal.value


def _items(literal: Literal) -> tuple[Literal, ...]:
    if not isinstance(literal, Items):
        raise _Unfit(literal, "want an array or a set")
    return literal.items


def _listed(literal: Literal) -> tuple[Literal, ...]:
    if not isinstance(literal, Items) or not literal.listed:
        raise _Unfit(literal, "want an array")
    return literal.items


def _members(literal: Literal) -> Mapping[str, Literal]:
    if not isinstance(literal, Members):
        raise _Unfit(literal, "want an object")
    return literal.members


def _fields(
    literal: Literal, needed: tuple[str, ...], more: tuple[str, ...] = ()
) -> Mapping[str, Literal]:
    """The members of an object that has those it needs, and none that is not known."""
    members = _members(literal)
    for name in needed:
        if name not in members:
            raise _Unfit(literal, f"{name} is missing")
    for name, member in members.items():
        if name not in needed and name not in more:
            raise _Unfit(member, f"{name} is not known here")
    return members
