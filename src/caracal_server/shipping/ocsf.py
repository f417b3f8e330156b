"""Entries as OCSF 1.7.0 events (https://schema.ocsf.io). Pure; `docs/shipping.md` has the table."""

import base64
from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256
from typing import Final

from caracal.authority.events import Entry, Kind, Verdict
from caracal_server.shipping.batches import Line, Log

OCSF_VERSION: Final = "1.7.0"
OTHER: Final = 99
_SHA_256: Final = 3
_INFORMATIONAL, _LOW, _HIGH = 1, 2, 4
_UNKNOWN, _SUCCESS, _FAILURE = 0, 1, 2

Json = dict[str, object]


class EventClass(IntEnum):
    """Classes in use; thousands are the category."""

    BASE_EVENT = 0
    ACCOUNT_CHANGE = 3001
    AUTHORIZE_SESSION = 3003
    ENTITY_MANAGEMENT = 3004
    USER_ACCESS = 3005
    APPLICATION_LIFECYCLE = 6002
    API_ACTIVITY = 6003


@dataclass(frozen=True, slots=True)
class Mapped:
    """The class and activity of a kind; `activity` 0 takes it from the operation's method."""

    event_class: EventClass
    activity: int = OTHER
    entity: str = ""


_CREATE, _UPDATE, _DELETE, _SUSPEND, _RESUME = 1, 3, 4, 12, 13
_MANAGED = EventClass.ENTITY_MANAGEMENT
KINDS: Final[dict[str, Mapped]] = {
    Kind.EXCHANGE: Mapped(EventClass.AUTHORIZE_SESSION, 1),
    Kind.CALL: Mapped(EventClass.API_ACTIVITY, 0),
    Kind.CALL_RESULT: Mapped(EventClass.API_ACTIVITY),
    Kind.SESSION_START: Mapped(_MANAGED, _CREATE, "session"),
    Kind.SESSION_SUSPEND: Mapped(_MANAGED, _SUSPEND, "session"),
    Kind.SESSION_RESUME: Mapped(_MANAGED, _RESUME, "session"),
    Kind.SESSION_END: Mapped(_MANAGED, _DELETE, "session"),
    Kind.SESSION_LEASE: Mapped(_MANAGED, _UPDATE, "session"),
    Kind.SUBJECT_REVOKE: Mapped(EventClass.ACCOUNT_CHANGE, 5),
    Kind.DELEGATION_CREATE: Mapped(EventClass.USER_ACCESS, 1),
    Kind.DELEGATION_REVOKE: Mapped(EventClass.USER_ACCESS, 2),
    Kind.ZONE_APPLY: Mapped(_MANAGED, _UPDATE, "zone"),
    Kind.POLICY_DOCUMENT: Mapped(_MANAGED, _UPDATE, "policy document"),
    Kind.KEY_ROTATE: Mapped(_MANAGED, _UPDATE, "key"),
    Kind.OPERATOR_TOKEN: Mapped(_MANAGED, _UPDATE, "operator token"),
    Kind.ADMIN_REFUSED: Mapped(_MANAGED, OTHER, "administration"),
    Kind.SERVICE_START: Mapped(EventClass.APPLICATION_LIFECYCLE, 3),
    Kind.EVIDENCE_EXPORT: Mapped(_MANAGED, OTHER, "evidence"),
    "evidence.drop": Mapped(_MANAGED, _DELETE, "evidence"),
    Kind.EVIDENCE_SETTLE: Mapped(_MANAGED, OTHER, "evidence"),
    "evidence.redact": Mapped(_MANAGED, _UPDATE, "evidence"),
    "evidence.shred": Mapped(_MANAGED, _DELETE, "evidence"),
    Kind.TOOL_SEEN: Mapped(_MANAGED, OTHER, "tool"),
    Kind.TOOL_CHANGED: Mapped(_MANAGED, OTHER, "tool"),
    Kind.TOOL_ACCEPT: Mapped(_MANAGED, OTHER, "tool"),
    Kind.SHARD_CHECKPOINT: Mapped(_MANAGED, OTHER, "checkpoint"),
}
_METHODS: Final = {"POST": 1, "GET": 2, "HEAD": 2, "OPTIONS": 2, "PUT": 3, "PATCH": 3, "DELETE": 4}
_GRAVE: Final = frozenset({"evidence.drop", "evidence.shred"})


def ocsf_event(log: Log, line: Line) -> Json:
    """The event of an entry; one that can not be read, or of a kind without a class, is a base event."""
    entry = line.entry
    event = _about_the_record(log, line)
    mapped = KINDS.get(entry.kind) if entry is not None else None
    if entry is None or mapped is None:
        why = "an entry that this version does not know"
        return _classified(event, EventClass.BASE_EVENT, OTHER, why) | {"severity_id": _LOW}
    activity = mapped.activity or _METHODS.get(entry.operation.split(" ")[0].upper(), OTHER)
    event = _classified(event, mapped.event_class, activity, entry.kind)
    event |= _outcome(entry)
    return event | _detail(mapped, entry)


def _about_the_record(log: Log, line: Line) -> Json:
    placed, entry = line.placed, line.entry
    try:
        raw = placed.data.decode()
    except UnicodeDecodeError:
        raw = base64.b64encode(placed.data).decode()
    metadata: Json = {
        "version": OCSF_VERSION,
        "product": {"name": "Caracal", "vendor_name": "Caracal"},
        "log_name": log.origin,
        "log_provider": "caracal",
        "sequence": placed.index,
        "uid": f"{log.origin}/{placed.index}",
        "tenant_uid": log.zone,
    }
    if entry is not None:
        metadata |= _filled({"correlation_uid": entry.request, "event_code": entry.kind.value})
        metadata |= {"original_time": str(entry.at)}
        if entry.sequenced_at:
            metadata["logged_time"] = entry.sequenced_at // 1000
    when = entry.at if entry is not None and entry.at else line.at
    return {
        "metadata": metadata,
        "time": when // 1000,
        "raw_data": raw,
        "raw_data_hash": {
            "algorithm": "SHA-256",
            "algorithm_id": _SHA_256,
            "value": sha256(raw.encode()).hexdigest(),
        },
        "unmapped": {
            "log": log.origin,
            "index": placed.index,
            "leaf_hash": placed.leaf_hash,
            "intact": line.intact,
        },
    }


def _classified(event: Json, event_class: EventClass, activity: int, name: str) -> Json:
    return event | {
        "class_uid": int(event_class),
        "category_uid": int(event_class) // 1000,
        "activity_id": activity,
        "type_uid": int(event_class) * 100 + activity,
        **({"activity_name": name} if activity == OTHER else {}),
    }


def _outcome(entry: Entry) -> Json:
    failed = entry.verdict is Verdict.REFUSE or bool(entry.error)
    known = failed or entry.verdict is Verdict.ALLOW or entry.kind is Kind.CALL_RESULT
    severity = _HIGH if entry.kind.value in _GRAVE else _LOW if failed else _INFORMATIONAL
    return _filled(
        {"status_code": entry.reason or entry.error.value, "status_detail": entry.detail}
    ) | {
        "severity_id": severity,
        "status_id": _FAILURE if failed else _SUCCESS if known else _UNKNOWN,
    }


def _detail(mapped: Mapped, entry: Entry) -> Json:
    match mapped.event_class:
        case EventClass.API_ACTIVITY:
            return _api_activity(entry)
        case EventClass.AUTHORIZE_SESSION:
            said = _user(entry) | {
                "actor": _actor(entry),
                "privileges": entry.scopes.split() or ["none"],
            }
            return said | _session(entry)
        case EventClass.USER_ACCESS:
            resource = entry.resource or entry.target or "delegation"
            privileges = entry.scopes.split() or [entry.kind.value]
            said = {"privileges": privileges, "resources": [{"name": resource}]}
            return said | _user(entry) | {"actor": _actor(entry)}
        case EventClass.ACCOUNT_CHANGE:
            return _user(entry) | {"actor": _actor(entry)}
        case EventClass.APPLICATION_LIFECYCLE:
            app = {"name": entry.target or "caracal", "vendor_name": "Caracal"}
            return {"app": app | _filled({"version": entry.code, "uid": entry.request})}
        case _:
            uid = entry.session if mapped.entity == "session" else entry.digest
            entity = {"name": entry.target or entry.session or mapped.entity, "type": mapped.entity}
            return {"entity": entity | _filled({"uid": uid}), "actor": _actor(entry)}


def _api_activity(entry: Entry) -> Json:
    api: Json = {"operation": entry.operation or entry.kind.value}
    api["request"] = {"uid": entry.answers or entry.request}
    caller = {"svc_name": entry.application_name or entry.application or "caracal"}
    said: Json = {
        "api": api,
        "actor": _actor(entry),
        "src_endpoint": caller | _filled({"uid": entry.application}),
    }
    if entry.status or entry.error:
        api["response"] = {"code": entry.status} | _filled({"error": entry.error.value})
        said |= {"duration": entry.duration_us // 1000}
    if entry.resource:
        api["service"] = {"name": entry.resource}
        said["resources"] = [{"name": entry.resource}]
    return said


def _actor(entry: Entry) -> Json:
    """Who acted: an application, for a session and perhaps a person; or an operator."""
    name = entry.application_name or entry.application or "caracal"
    actor: Json = {"app_name": name} | _filled({"app_uid": entry.application})
    if entry.subject or entry.actor:
        actor |= {"user": {"name": entry.actor or entry.subject} | _filled({"uid": entry.subject})}
    if entry.policy and entry.verdict is not Verdict.NONE:
        decided = [{"uid": one, "version": entry.policy} for one in entry.policies]
        decision = {"decision": entry.verdict.value}
        actor["authorizations"] = [
            {**decision, "policy": policy} for policy in decided or [{"version": entry.policy}]
        ]
    return actor | _session(entry)


def _user(entry: Entry) -> Json:
    name = entry.subject or entry.target or entry.application_name or entry.application or "unknown"
    return {"user": {"name": name} | _filled({"uid": entry.subject or entry.application})}


def _session(entry: Entry) -> Json:
    return {"session": {"uid": entry.session}} if entry.session else {}


def _filled(fields: dict[str, str]) -> Json:
    return {name: value for name, value in fields.items() if value}
