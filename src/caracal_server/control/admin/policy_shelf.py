"""A zone's data documents and policy sets: found, added, and read together as a bundle."""

import asyncio
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from caracal.authority.events import Kind
from caracal.authority.outcomes import Reason
from caracal.authority.policy.documents.bundle import Bundle, merge
from caracal.authority.policy.documents.data_document import DataDocument, parse_data_document
from caracal.authority.policy.documents.problems import BundleInvalid, DocumentInvalid
from caracal_server.control.acts import Act, ActLog
from caracal_server.control.admin.subjects import Subject
from caracal_server.ports.clock import Clock
from caracal_server.ports.entropy import Entropy
from caracal_server.ports.policy_library import Item, ItemKind, PolicyLibrary
from caracal_server.ports.zones import ZoneRecord
from caracal_server.web.meanings.admin_answers import AdminAnswer
from caracal_server.web.problems import Issue, Problem, RequestRefused

MAX_ITEMS: Final = 5_000
MAX_MANIFEST: Final = 256
_TRIES: Final = 4

POLICY: Final = Subject(
    "policy", "policies", AdminAnswer.INVALID_BODY, AdminAnswer.POLICY_NOT_FOUND
)
POLICY_SET: Final = Subject(
    "policy set", "policy-sets", AdminAnswer.INVALID_BODY, AdminAnswer.POLICY_SET_NOT_FOUND
)


@dataclass(frozen=True, slots=True)
class Shelf:
    """All items of one zone, oldest first."""

    items: tuple[Item, ...]

    def of(self, kind: ItemKind) -> tuple[Item, ...]:
        return tuple(item for item in self.items if item.kind is kind)

    def find(self, kind: ItemKind, identity: str) -> Item | None:
        return next((item for item in self.of(kind) if item.id == identity), None)

    def get(self, subject: Subject, identity: str) -> Item:
        """The policy or the policy set of that id.

        Raises:
            RequestRefused: there is none.
        """
        found = self.find(ItemKind.POLICY if subject is POLICY else ItemKind.SET, identity)
        if found is None:
            raise subject.unknown()
        return found

    def versions(self, parent: Item) -> tuple[Item, ...]:
        """Its versions, the first one first."""
        kind = ItemKind.POLICY_VERSION if parent.kind is ItemKind.POLICY else ItemKind.SET_VERSION
        mine = (item for item in self.of(kind) if item.parent == parent.id)
        return tuple(sorted(mine, key=lambda item: int(item.name)))

    def version(self, parent: Item, identity: str) -> Item:
        """The version of a policy set of that id.

        Raises:
            RequestRefused: it has none.
        """
        for item in self.versions(parent):
            if item.id == identity:
                return item
        detail = f"{parent.name} has no version of that id"
        raise RequestRefused(Problem(Reason.ENTRY_UNKNOWN, detail, AdminAnswer.VERSION_NOT_FOUND))


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be added: a policy, whose first version has the content, or a set."""

    name: str
    description: str
    content: str | None = None


@dataclass(frozen=True, slots=True)
class Shelves:
    """The library as the admin API uses it."""

    library: PolicyLibrary
    clock: Clock
    entropy: Entropy
    acts: ActLog

    async def of(self, record: ZoneRecord) -> Shelf:
        return Shelf(await self.library.items(record.id))

    async def text(self, item: Item) -> str:
        return (await self.library.texts(item.zone_id, [item.id])).get(item.id, "")

    async def add_named(
        self, record: ZoneRecord, subject: Subject, wanted: Wanted, act: Act
    ) -> tuple[Item, ...]:
        """Add a policy with its first version, or a policy set without any.

        Raises:
            RequestRefused: the name is taken, or there are too many.
            Unavailable: it may or may not have been added.
        """
        shelf = await self.of(record)
        self._want_room(shelf)
        kind = ItemKind.POLICY if subject is POLICY else ItemKind.SET
        if any(item.name == wanted.name for item in shelf.of(kind)):
            raise _name_taken(subject)
        named = self._item(record, kind, "", wanted.name, wanted.description)
        items, digest = {named: wanted.description}, ""
        if wanted.content is not None:
            first = self._item(record, ItemKind.POLICY_VERSION, named.id, "1", wanted.content)
            items[first], digest = wanted.content, first.digest
        await self._record(act, named, f"add the {subject.noun} {wanted.name}", digest)
        if not await self.library.add(items):
            raise _name_taken(subject)
        return tuple(items)

    async def add_version(self, record: ZoneRecord, parent: Item, text: str, act: Act) -> Item:
        """Add the next version of a policy or a policy set.

        Raises:
            RequestRefused: there are too many, or others were first every time.
            Unavailable: it may or may not have been added.
        """
        policy = parent.kind is ItemKind.POLICY
        kind = ItemKind.POLICY_VERSION if policy else ItemKind.SET_VERSION
        for _ in range(_TRIES):
            shelf = await self.of(record)
            self._want_room(shelf)
            numbers = [int(item.name) for item in shelf.versions(parent)]
            number = str(max(numbers, default=0) + 1)
            item = self._item(record, kind, parent.id, number, text)
            await self._record(act, item, f"add version {number} of {parent.name}", item.digest)
            if await self.library.add({item: text}):
                return item
        raise RequestRefused(Problem(Reason.ZONE_CHANGED, "others are adding versions"))

    async def remove(self, parent: Item, versions: Iterable[Item], act: Act) -> None:
        """Remove a policy or a policy set, and some of its versions.

        Raises:
            Unavailable: it may or may not have been removed.
        """
        await self._record(act, parent, f"remove {parent.name}", "")
        ids = [parent.id, *(one.id for one in versions)]
        await self.library.remove(parent.zone_id, ids)

    async def _record(self, act: Act, item: Item, detail: str, digest: str) -> None:
        await self.acts.record(
            Kind.POLICY_DOCUMENT,
            item.zone_id,
            act,
            target=item.id,
            detail=detail,
            digest=digest,
        )

    async def bundle(self, shelf: Shelf, version: Item) -> Bundle:
        """What a version of a policy set says.

        Raises:
            RequestRefused: a document is gone, or they do not go together.
        """
        ids = read_manifest(await self.text(version))
        texts = await self.library.texts(version.zone_id, ids)
        names = {item.id: item for item in shelf.of(ItemKind.POLICY_VERSION)}
        if not texts.keys() >= set(ids):
            detail = "a policy version that it refers to does not exist any more"
            raise RequestRefused(
                Problem(Reason.ENTRY_UNKNOWN, detail, AdminAnswer.REFERENCED_VERSION_MISSING)
            )
        titles = {item.id: item.name for item in shelf.of(ItemKind.POLICY)}
        documents = {
            f"{titles.get(names[one].parent, one)} version {names[one].name}": texts[one]
            for one in ids
        }
        return await asyncio.to_thread(take_together, documents)

    def _item(self, record: ZoneRecord, kind: ItemKind, parent: str, name: str, text: str) -> Item:
        return Item(
            id=self.entropy.new_id(),
            zone_id=record.id,
            kind=kind,
            parent=parent,
            name=name,
            digest=sha256(text.encode()).hexdigest(),
            created_at=self.clock.now(),
        )

    def _want_room(self, shelf: Shelf) -> None:
        if len(shelf.items) >= MAX_ITEMS:
            detail = f"the zone keeps {MAX_ITEMS} policies, sets and versions; delete some"
            raise RequestRefused(Problem(Reason.ENTRY_TAKEN, detail, AdminAnswer.INVALID_BODY))


def _name_taken(subject: Subject) -> RequestRefused:
    if subject is POLICY:
        return subject.taken("name", AdminAnswer.POLICY_NAME_CONFLICT)
    return subject.taken("name", AdminAnswer.POLICY_SET_NAME_CONFLICT)


def render_manifest(ids: Iterable[str]) -> str:
    """The manifest of a set version, as its digest is taken."""
    return json.dumps([{"policy_version_id": one} for one in ids], separators=(",", ":"))


def read_manifest(text: str) -> tuple[str, ...]:
    return tuple(entry["policy_version_id"] for entry in json.loads(text or "[]"))


def read_document(text: str) -> DataDocument:
    """Read a data document.

    Raises:
        RequestRefused: it is none.
    """
    try:
        return parse_data_document(text)
    except DocumentInvalid as invalid:
        raise RequestRefused(document_problem(invalid)) from None


def document_problem(invalid: DocumentInvalid) -> Problem:
    where = ("content", invalid.place.line, invalid.place.column)
    return Problem(
        Reason.POLICY_INVALID,
        invalid.reason,
        AdminAnswer.INVALID_REGO,
        issues=(Issue(where, invalid.construct),),
    )


def take_together(texts: Mapping[str, str]) -> Bundle:
    """Read documents and merge them.

    Raises:
        RequestRefused: one is none, or they contradict each other.
    """
    try:
        return merge({name: read_document(text) for name, text in texts.items()})
    except BundleInvalid as invalid:
        raise RequestRefused(
            Problem(Reason.POLICY_INVALID, str(invalid), AdminAnswer.INVALID_POLICY_BUNDLE)
        ) from None
