"""The graph once more, in the plainest way: two dictionaries, scanned whole for every question."""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass
class NaiveSession:
    parent: str | None
    application: str
    service: bool
    ends: datetime
    status: str = "active"
    with_parent: bool = False


@dataclass
class NaiveDelegation:
    parent: str | None
    source: str
    target: str
    scopes: frozenset[str]
    hops: int
    ends: datetime
    inherited: bool = False
    active: bool = True


class NaiveGraph:
    def __init__(self) -> None:
        self.sessions: dict[str, NaiveSession] = {}
        self.delegations: dict[str, NaiveDelegation] = {}

    def above(self, name: str | None) -> list[str]:
        return [] if name is None else [name, *self.above(self.sessions[name].parent)]

    def below(self, names: set[str]) -> set[str]:
        return {each for each in self.sessions if names & set(self.above(each))}

    def path(self, name: str | None) -> list[str]:
        return [] if name is None else [*self.path(self.delegations[name].parent), name]

    def present(self, name: str) -> bool:
        return name in self.sessions and self.sessions[name].status != "ended"

    def live(self, name: str, now: datetime) -> bool:
        return name in self.sessions and all(
            self.sessions[each].status == "active" and now < self.sessions[each].ends
            for each in self.above(name)
        )

    def in_force(self, name: str, now: datetime) -> bool:
        return self.delegations[name].active and now < self.delegations[name].ends

    def whole(self, name: str, now: datetime) -> bool:
        return all(
            self.in_force(each, now) and self.live(self.delegations[each].source, now)
            for each in self.path(name)
        )

    def received(self, target: str, now: datetime) -> list[str]:
        return [
            name
            for name, row in self.delegations.items()
            if row.target == target and self.in_force(name, now)
        ]

    def leads(self, start: str, goal: str, now: datetime) -> bool:
        reached: set[str] = {start}
        while (
            more := {
                row.target
                for name, row in self.delegations.items()
                if row.source in reached and self.in_force(name, now)
            }
            - reached
        ):
            reached |= more
        return goal in reached

    def end(self, roots: set[str], fallen: frozenset[str] = frozenset()) -> None:
        gone = {name for name in self.below(roots) if self.present(name)}
        for name in gone:
            self.sessions[name].status = "ended"
        first = {
            name
            for name, row in self.delegations.items()
            if row.active and (name in fallen or {row.source, row.target} & gone)
        }
        for name, row in self.delegations.items():
            if first & set(self.path(name)):
                row.active = False

    def revoke(self, root: str) -> None:
        fallen = frozenset(name for name in self.delegations if root in self.path(name))
        issuer = self.sessions[self.delegations[root].source].application
        targets = {
            name
            for name in (
                self.delegations[each].target for each in fallen if self.delegations[each].active
            )
            if self.sessions[name].application == issuer
        }
        self.end({name for name in targets if self.present(name)}, fallen)

    def suspend(self, root: str, *, with_parent: bool = False) -> None:
        row = self.sessions[root]
        if row.status == "active":
            row.status, row.with_parent = "suspended", with_parent
            for name, each in self.sessions.items():
                if each.parent == root:
                    self.suspend(name, with_parent=True)

    def resume(self, root: str, now: datetime) -> None:
        row = self.sessions[root]
        row.status = "active"
        if row.service:
            row.ends = now + timedelta(seconds=120)
        for name, each in self.sessions.items():
            waiting = each.status == "suspended" and each.with_parent
            if each.parent == root and waiting and (each.service or now < each.ends):
                self.resume(name, now)

    def sweep(self, now: datetime) -> None:
        late = [name for name, row in self.sessions.items() if row.ends <= now]
        self.end({name for name in late if not self.sessions[name].service})
        for name in sorted(late, key=lambda name: len(self.above(name))):
            self.suspend(name)
