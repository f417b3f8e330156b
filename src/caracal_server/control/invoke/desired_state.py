"""Documents of desired state: what a zone is to have of some kinds, compared with what it has.

One object after the other, each by the requests that a person would make: what fails does not stop the
rest, and doing it again goes on from there.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Annotated, Final

import msgspec

from caracal.authority.outcomes import Unavailable
from caracal_server.control.invoke.answers import Code, CommandRefused
from caracal_server.control.invoke.catalog import BY_NAME, KINDS
from caracal_server.control.invoke.inside import ZONE, InsideZone, Json

MAX_OBJECTS: Final = 256
_SECRET: Final = frozenset({"client_secret", "private_key", "api_key", "bearer_token", "password"})
_UNORDERED: Final = frozenset({"traits", "scopes", "operations"})
_MANAGED: Final = {
    "application": ("traits",),
    "identity-provider": ("name", "kind", "config"),
    "resource": (
        "name",
        "scopes",
        "upstream_url",
        "credential_provider_id",
        "operations",
        "operation_enforcement",
    ),
    "policy": ("content",),
    "policy-set": (),
}
_AT_CREATION: Final = {"policy": ("description",), "policy-set": ("description",)}
_RESERVED: Final = ("control:", "caracal.sys")


class DesiredObject(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    kind: str
    spec: dict[str, object]


class DesiredState(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    objects: Annotated[tuple[DesiredObject, ...], msgspec.Meta(max_length=MAX_OBJECTS)]
    prune: bool = False


class Fault(msgspec.Struct, frozen=True):
    code: str
    reason: str


class Outcome(msgspec.Struct, frozen=True, omit_defaults=True):
    kind: str
    identity: str
    action: str
    applied: bool | msgspec.UnsetType = msgspec.UNSET
    id: str = ""
    drift: tuple[str, ...] = ()
    error: Fault | None = None


class Summary(msgspec.Struct, frozen=True):
    created: int
    updated: int
    unchanged: int
    pruned: int
    failed: int


class Report(msgspec.Struct, frozen=True, rename="camel"):
    ok: bool
    dry_run: bool
    prune: bool
    zone_id: str
    outcomes: tuple[Outcome, ...]
    summary: Summary
    drift: bool


@dataclass(frozen=True, slots=True)
class Converge:
    """Brings a zone to a document.

    Attributes:
        scopes: of the control key's mandate.
        dry_run: only tells what would be done.
        prune: removes what the document does not name, of the kinds that it names.
    """

    zone: InsideZone
    scopes: frozenset[str]
    dry_run: bool
    prune: bool
    _live: dict[str, list[Json]] = field(default_factory=dict)

    async def __call__(self, state: DesiredState) -> Report:
        """Compare, and unless it is a dry run, change.

        Raises:
            CommandRefused: the document is none, is about another zone, or a scope is missing. Then
                nothing was done.
        """
        for one in state.objects:
            self._check(one)
        self._want_scopes({one.kind for one in state.objects})
        for kind in dict.fromkeys(one.kind for one in state.objects):
            self._live[kind] = await self.zone.ask("GET", _every(kind), writes=False)
        outcomes = [await self._converge(one) for one in state.objects]
        if self.prune:
            outcomes += [await self._remove(kind, row) for kind, row in self._unnamed(state)]
        return self._report(outcomes)

    def _check(self, one: DesiredObject) -> None:
        if one.kind not in KINDS:
            raise CommandRefused(Code.INVALID, f"there is no kind {one.kind[:60]!r}")
        identity, _ = KINDS[one.kind]
        known = {identity, "zone", "zone_id", *_MANAGED[one.kind], *_AT_CREATION.get(one.kind, ())}
        unknown = sorted(one.spec.keys() - known)
        if unknown:
            raise CommandRefused(Code.INVALID, f"{one.kind} has no field {unknown[0][:60]!r}")
        if not isinstance(one.spec.get(identity), str):
            raise CommandRefused(Code.INVALID, f"{one.kind} needs {identity}")
        for name in ("zone", "zone_id"):
            if one.spec.get(name, self.zone.zone) != self.zone.zone:
                raise CommandRefused(Code.ZONE_MISMATCH, f"{one.kind} is about another zone")
        traits = one.spec.get("traits", [])
        if not isinstance(traits, list) or any(
            str(trait).startswith(_RESERVED) for trait in traits
        ):
            raise CommandRefused(Code.DENIED, "control keys are no business of documents")

    def _want_scopes(self, kinds: set[str]) -> None:
        verbs = ["read"]
        if not self.dry_run:
            verbs += ["write", "delete"] if self.prune else ["write"]
        for kind in sorted(kinds):
            for verb in verbs:
                want_scope(self.scopes, f"control:{KINDS[kind][1]}:{verb}")

    async def _converge(self, one: DesiredObject) -> Outcome:
        identity = str(one.spec[KINDS[one.kind][0]])
        row = self._find(one.kind, identity)
        try:
            if row is None:
                return await self._create(one, identity)
            return await self._update(one, identity, row)
        except CommandRefused as refused:
            fault = Fault(refused.code.value[0], refused.reason)
        except Unavailable as unavailable:
            fault = Fault(Code.UPSTREAM.value[0], str(unavailable.reason))
        return Outcome(one.kind, identity, "unchanged", applied=False, error=fault)

    async def _create(self, one: DesiredObject, identity: str) -> Outcome:
        if self.dry_run:
            return Outcome(one.kind, identity, "create", applied=False)
        names = (KINDS[one.kind][0], *_MANAGED[one.kind], *_AT_CREATION.get(one.kind, ()))
        body = {_field(name): one.spec[name] for name in names if name in one.spec}
        made = await self.zone.ask("POST", _every(one.kind), body, writes=True)
        self._live[one.kind].append(made)
        return Outcome(one.kind, identity, "create", applied=True, id=made["id"])

    async def _update(self, one: DesiredObject, identity: str, row: Json) -> Outcome:
        live = row
        if one.kind == "policy":
            live = await self._ask_one("GET", one.kind, row, writes=False)
        drift = tuple(_drift(one, live))
        if not drift or self.dry_run:
            action = "update" if drift else "unchanged"
            return Outcome(one.kind, identity, action, applied=False, id=row["id"], drift=drift)
        if one.kind == "policy":
            command = BY_NAME["policy", "version"]
            content = {"content": one.spec["content"]}
            path, where = f"{ZONE}{command.path}", {command.entry: row["id"]}
            await self.zone.ask("POST", path, content, where, writes=True)
        else:
            body = {_field(name): one.spec[name] for name in drift}
            await self._ask_one("PATCH", one.kind, row, body, writes=True)
        return Outcome(one.kind, identity, "update", applied=True, id=row["id"], drift=drift)

    async def _remove(self, kind: str, row: Json) -> Outcome:
        identity = row[KINDS[kind][0]]
        if self.dry_run:
            return Outcome(kind, identity, "prune", applied=False, id=row["id"])
        try:
            await self._ask_one("DELETE", kind, row, writes=True)
        except CommandRefused as refused:
            fault = Fault(refused.code.value[0], refused.reason)
            return Outcome(kind, identity, "unchanged", applied=False, id=row["id"], error=fault)
        return Outcome(kind, identity, "prune", applied=True, id=row["id"])

    async def _ask_one(
        self, method: str, kind: str, row: Json, body: Json = None, *, writes: bool
    ) -> Json:
        command = BY_NAME[KINDS[kind][1], "get"]
        where = {command.entry: row["id"]}
        return await self.zone.ask(method, f"{ZONE}{command.path}", body, where, writes=writes)

    def _find(self, kind: str, identity: str) -> Json:
        rows = self._live[kind]
        return next((row for row in rows if row[KINDS[kind][0]] == identity), None)

    def _unnamed(self, state: DesiredState) -> Iterator[tuple[str, Json]]:
        """What the document does not name, of its kinds; never a control key."""
        for kind, rows in self._live.items():
            identity, _ = KINDS[kind]
            named = {one.spec[identity] for one in state.objects if one.kind == kind}
            for row in rows:
                traits: list[str] = row.get("traits", [])
                protected = any(trait.startswith(_RESERVED) for trait in traits)
                if row[identity] not in named and not protected:
                    yield kind, row

    def _report(self, outcomes: list[Outcome]) -> Report:
        def count(action: str) -> int:
            return sum(one.action == action and one.error is None for one in outcomes)

        failed = sum(one.error is not None for one in outcomes)
        created, updated, pruned = count("create"), count("update"), count("prune")
        return Report(
            ok=failed == 0,
            dry_run=self.dry_run,
            prune=self.prune,
            zone_id=self.zone.zone,
            outcomes=tuple(outcomes),
            summary=Summary(created, updated, count("unchanged"), pruned, failed),
            drift=created + updated + pruned > 0,
        )


def want_scope(scopes: frozenset[str], scope: str) -> None:
    """Check that a mandate carries a scope.

    Raises:
        CommandRefused: it does not.
    """
    if scope not in scopes:
        advice = f"ask for the scope {scope}, which the control key needs the trait for"
        raise CommandRefused(Code.DENIED, f"the mandate lacks the scope {scope}", advice)


def _every(kind: str) -> str:
    return f"{ZONE}{BY_NAME[KINDS[kind][1], 'list'].path}"


def _field(name: str) -> str:
    return "config_json" if name == "config" else name


def _drift(one: DesiredObject, live: Mapping[str, Json]) -> Iterator[str]:
    """The declared fields that are not as they are declared."""
    for name in _MANAGED[one.kind]:
        if name not in one.spec:
            continue
        wanted, there = one.spec[name], live.get(_field(name))
        if name == "content":
            latest = max(live["versions"], key=lambda version: version["version"])
            there, wanted = latest["content_sha256"], sha256(str(wanted).encode()).hexdigest()
        elif name == "config" and isinstance(wanted, dict) and isinstance(there, dict):
            wanted = {key: value for key, value in wanted.items() if key not in _SECRET}
            there = {key: there.get(key) for key in wanted}
        elif name in _UNORDERED:
            wanted, there = _unordered(wanted), _unordered(there)
        if wanted != there:
            yield name


def _unordered(values: object) -> object:
    if not isinstance(values, list):
        return values
    return sorted(
        f"{str(one.get('method')).upper()} {one.get('path')} {one.get('scope')}"
        if isinstance(one, dict)
        else str(one)
        for one in values
    )
