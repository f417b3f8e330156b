"""What was decided is decided again from its entry alone, and a change is seen where it is one."""

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from caracal.authority.admission import Call, decide_admission
from caracal.authority.events import ENTRY_FORMAT, Entry, Kind, Verdict
from caracal.authority.exchange import ExchangeRequest, decide_exchange
from caracal.authority.mandates import MandateClass, Origin
from caracal.authority.outcomes import Reason, Refused
from caracal.authority.policy.engine import PolicyEngine
from caracal.authority.policy.recording import Missing, asks_policy, read_asked
from caracal.authority.policy.replay import Replay
from caracal.authority.policy.schema import PolicyVocabulary
from caracal.authority.resources import Enforcement, OperationTable, Resource, parse_operation
from caracal.authority.scopes import LIFECYCLE, ScopeSet
from caracal.authority.zones import Application, Zone
from caracal_server.gateway import entries as call_entries
from caracal_server.sts import entries as exchange_entries
from tests.authority.policy.test_slicing import literal
from tests.authority.worlds import NOW, ORDERS, STOCK, World, agreed, mandate

SCOPES = ("read", "write", "delete")
CONDITIONS = (
    "true",
    'context.phase == "call"',
    "context.delegation.hops > 1",
    "context.delegation.hops * 9223372036854775807 > 0",
    "context.session.depth < 1",
    'context.session.labels.contains("pii")',
    'context.session.lifecycle == "task"',
    'context.call.path like "/items/*"',
    'context.call.operation == "GET /items/{id}"',
    'context.call.method == "GET"',
    'context.delegation.root == "Alpha"',
)
APPLICATIONS = {
    "alpha": Application("alpha", "Alpha"),
    "beta": Application("beta", "Beta"),
    "gamma": Application("gamma", "Gamma"),
}


@st.composite
def policies(draw) -> str:
    def rule(number: int) -> str:
        effect = draw(st.sampled_from(("permit", "permit", "permit", "forbid")))
        action = draw(st.sampled_from(("action", *(f'action == Action::"{s}"' for s in SCOPES))))
        places = (f"resource == {literal('Resource', uri)}" for uri in (ORDERS, STOCK))
        resource = draw(st.sampled_from(("resource", "resource", *places)))
        condition = draw(st.sampled_from(CONDITIONS))
        return (
            f'@id("p{number}") {effect} (principal, {action}, {resource}) when {{ {condition} }};'
        )

    return "\n".join(rule(number) for number in range(draw(st.integers(0, 5))))


def resource(identifier: str, enforcement: Enforcement, declared: ScopeSet) -> Resource:
    operations = (
        parse_operation("GET", "/items/{id}", "read"),
        parse_operation("POST", "/items", "write"),
    )
    known = tuple(one for one in operations if one.scope in declared)
    return Resource(
        f"id-of-{identifier}",
        identifier,
        identifier,
        "https://api.example",
        None,
        declared,
        OperationTable(known),
        enforcement,
    )


def zone_of(policy: str | None, resources: dict[str, Resource]) -> Zone:
    vocabulary = PolicyVocabulary(
        frozenset(one.name for one in APPLICATIONS.values()),
        {name: one.scopes for name, one in resources.items()},
    )
    return Zone(
        "zone",
        "zone",
        1,
        applications=APPLICATIONS,
        resources=resources,
        policy=None if policy is None else PolicyEngine.load(policy, vocabulary),
    )


@st.composite
def decided(draw, policy: str | None) -> list[Entry]:
    """A few decisions on mandates and calls, as they are recorded; every other one two hops away."""
    world = World()
    labels = draw(st.sampled_from(((), ("pii",), ("eu", "pii"))))
    service = draw(st.booleans())
    root = world.start("alpha")
    holder = world.start("beta", labels=labels, service=service)
    wide = {"scopes": "read write", "resources": frozenset({ORDERS, STOCK})}
    delegation = world.delegate(root, holder, hops=3, **wide)
    if draw(st.booleans()):
        further = world.start("gamma", labels=labels)
        delegation = world.delegate(holder, further, parent_id=delegation.id, hops=1, **wide)
        holder = further
    enforcement = draw(st.sampled_from(tuple(Enforcement)))
    declared = draw(st.sampled_from((ScopeSet.of(*SCOPES, LIFECYCLE), ScopeSet.of("read"))))
    zone = zone_of(policy, {uri: resource(uri, enforcement, declared) for uri in (ORDERS, STOCK)})
    caller = APPLICATIONS[holder.application_id]
    found = []
    for number in range(draw(st.integers(1, 3))):
        wanted = draw(st.sets(st.sampled_from((ORDERS, STOCK, "id-of-" + STOCK, "unknown:x"))))
        scopes = draw(st.sampled_from(("read", "read write", "agent:lifecycle read", "delete")))
        request = ExchangeRequest(tuple(wanted), ScopeSet.parse(scopes), holder.id, delegation.id)
        outcome = decide_exchange(zone, world.graph, caller, request, now=NOW)
        minted = mandate(agreed(world.hold(holder, delegation)), now=NOW)
        origins = tuple(Origin(f"m{step}", "key") for step in range(draw(st.integers(0, 3))))
        minted = msgspec.structs.replace(minted, scopes=ScopeSet.parse(scopes), origins=origins)
        if isinstance(outcome, Refused):
            entry = exchange_entries.refused(f"e{number}", zone, caller, request, outcome, at=1)
        else:
            granted = tuple(one.identifier for one in outcome.resources)
            of_it = msgspec.structs.replace(minted, resources=granted)
            entry = exchange_entries.granted(f"e{number}", zone, caller, of_it, outcome, at=1)
        found.append(entry)
        method, segments = draw(
            st.sampled_from(
                (("GET", ("items", "7")), ("POST", ("items",)), ("PUT", ("a b",)), ("GET", ("",)))
            )
        )
        found.append(
            called(
                zone,
                minted,
                holder,
                Call(draw(st.sampled_from((ORDERS, "id-of-" + ORDERS))), method, segments),
                number,
            )
        )
    return found


def called(zone, minted, session, call, number) -> Entry:
    assert minted.mandate_class is MandateClass.GATEWAY
    outcome = decide_admission(zone, minted, session, call, now=NOW)
    if isinstance(outcome, Refused):
        operation = f"{call.method} {call.path}"
        return call_entries.refused(
            f"c{number}", zone, minted, call.resource, operation, outcome, at=1
        )
    return call_entries.allowed(f"c{number}", zone, outcome, at=1)


def as_stored(entry: Entry) -> Entry:
    return msgspec.json.decode(msgspec.json.encode(entry), type=Entry)


def replayed(entries: list[Entry], policy: str | None):
    empty = PolicyVocabulary(frozenset(), {})
    engine = None if policy is None else PolicyEngine.load(policy, empty)
    run = Replay(lambda _: engine)
    for index, entry in enumerate(entries):
        run.take(index, as_stored(entry))
    return run.report()


@settings(max_examples=80)
@given(data=st.data(), policy=st.none() | policies())
def test_the_policy_that_decided_reproduces_every_decision(data, policy):
    entries = data.draw(decided(policy))
    report = replayed(entries, policy)
    assert report.first_difference is None
    assert report.unreplayed == ()
    assert report.replayed == report.decisions == sum(map(asks_policy, entries))


@settings(max_examples=80)
@given(data=st.data(), before=policies(), after=policies())
def test_another_policy_changes_exactly_what_it_decides_otherwise(data, before, after):
    entries = [one for one in data.draw(decided(before)) if asks_policy(one)]
    report = replayed(entries, after)
    now = PolicyEngine.load(after, PolicyVocabulary(frozenset(), {}))
    allowed = refused = 0
    for entry in entries:
        asked = read_asked(entry)
        for uri in dict.fromkeys(asked.resources):
            was = entry.verdict is Verdict.ALLOW and uri in entry.resource.split()
            permitted = all(
                scope not in asked.undeclared
                and now.decide_named(asked.question(uri, scope)).permitted
                for scope in asked.scopes
            )
            allowed += permitted and not was
            refused += was and not permitted
    assert sum(group.count for group in report.newly_allowed) == allowed
    assert sum(group.count for group in report.newly_refused) == refused
    assert report.differing >= (allowed + refused > 0)


def entry(**changes) -> Entry:
    return Entry(
        format=ENTRY_FORMAT,
        kind=changes.pop("kind", Kind.CALL),
        zone="zone",
        at=1,
        request=changes.pop("request", "r"),
        **changes,
    )


def test_what_the_record_does_not_say_is_named_and_not_guessed():
    known = {"policy": "d", "lifecycle": "task", "scopes": "read", "resource": ORDERS}
    entries = [
        entry(policy="d", verdict=Verdict.ALLOW, request="old"),
        entry(reason=Reason.POLICY_NO_PERMIT, request="older"),
        entry(**known, operation="GET /" + "x" * 2000),
        entry(**known, operation="GET /x", committed={"labels": "h"}),
        entry(**known | {"scopes": "no\ttoken"}),
        entry(kind=Kind.SESSION_END),
        entry(verdict=Verdict.ALLOW, request="allowed by nothing"),
    ]
    report = replayed(entries, "")
    assert report.decisions == 6
    assert report.replayed == 0
    assert {(one.why, one.count) for one in report.unreplayed} == {
        (Missing.NOT_RECORDED, 4),
        (Missing.TOO_LONG, 1),
        (Missing.SHREDDED, 1),
    }


def test_a_policy_version_whose_text_is_gone_is_named():
    run = Replay(lambda _: Missing.POLICY_UNKNOWN)
    run.take(
        0, entry(policy="d", lifecycle="task", scopes="read", resource=ORDERS, operation="GET /")
    )
    assert run.report().unreplayed[0].why is Missing.POLICY_UNKNOWN


def test_the_first_difference_says_what_is_recorded_and_what_is_said_now():
    known = {
        "policy": "d",
        "lifecycle": "task",
        "scopes": "read",
        "operation": "GET /x",
        "resource": ORDERS,
        "application_name": "Alpha",
    }
    later = entry(**known, verdict=Verdict.ALLOW, policies=("p",), request="later")
    first = entry(**known, verdict=Verdict.REFUSE, reason=Reason.POLICY_NO_PERMIT, request="first")
    run = Replay(
        lambda _: PolicyEngine.load(
            '@id("q") permit (principal, action, resource);', PolicyVocabulary(frozenset(), {})
        )
    )
    run.take(7, later)
    run.take(3, first)
    run.take(9, later)
    found = run.report().first_difference
    assert (found.index, found.request) == (3, "first")
    assert found.recorded == "refused (policy_no_permit) by no policy"
    assert found.replayed == f"allowed on {ORDERS} by q"
    report = replayed([later], "forbid (principal, action, resource);")
    assert report.first_difference.replayed == "refused (policy_forbid) by policy0"
    assert report.newly_refused[0].reasons == ("policy_forbid",)


def test_an_outcome_is_remembered_within_bounds():
    known = {"policy": "d", "lifecycle": "task", "scopes": "read", "resource": ORDERS}
    asked = []
    run = Replay(asked.append, limit=2)
    for path in "abca":
        run.take(0, entry(**known, operation=f"GET /{path}"))
    assert len(asked) == 4
    for _ in range(5):
        run.take(0, entry(**known, operation="GET /a"))
    assert len(asked) == 4
