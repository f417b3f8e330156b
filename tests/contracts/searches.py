"""A log whose entries repeat their fields at different distances, and queries that fit some of them."""

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from caracal.authority.events import Kind, Verdict
from caracal_server.ports.evidence import EvidenceQuery
from tests.contracts.logs import BEGIN_US, Log

BEGIN = datetime.fromtimestamp(BEGIN_US // 1_000_000, UTC)
KINDS = (Kind.EXCHANGE, Kind.CALL, Kind.CALL_RESULT)


def records_of(log: Log, count: int):
    """Entries whose fields repeat at different distances; the clock goes back now and then."""
    for number in range(count):
        yield log.entry(
            number,
            kind=KINDS[number % 3],
            verdict=Verdict.REFUSE if number % 7 == 0 else Verdict.ALLOW,
            request=f"request-{number // 3}",
            session=f"session-{number // 40}" if number % 5 else "",
            application=f"application-{number % 4}",
            delegations=(f"delegation-{number // 90}", "root") if number % 4 == 0 else (),
            mandate=f"mandate-{number // 2}",
            resource="a:1 b:2" if number % 9 == 0 else 'c:"3"',
            asked=("d:4",) if number == 700 else (),
            operation=f"GET /{'é' if number % 2 else 'x'}/{number // 200}/" + "y" * 60,
            scopes="read write" if number % 3 else "read",
            policy=f"digest-{number // 1000}",
            policies=("rare",) if number in {3, 1500} else ("often",),
            reason="policy_forbid" if number % 7 == 0 else "",
            instance=f"instance-{number // 1500}",
            target="target" if number == 1 else "",
            actor="ops" if number % 500 == 0 else "",
            at=BEGIN_US + number * 1_000 - (50_000 if number % 100 == 99 else 0),
        )


queries = st.builds(
    EvidenceQuery,
    request=st.none() | st.integers(0, 900).map("request-{}".format),
    session=st.none() | st.integers(0, 70).map("session-{}".format),
    application=st.none() | st.integers(0, 4).map("application-{}".format),
    kind=st.none() | st.sampled_from(KINDS),
    verdict=st.none() | st.sampled_from(list(Verdict)),
    delegation=st.none() | st.sampled_from(["root", "delegation-9", "none"]),
    mandate=st.none() | st.integers(0, 1400).map("mandate-{}".format),
    resource=st.none() | st.sampled_from(["a:1", "b:2", 'c:"3"', "d:4", "a", "e"]),
    operation=st.none() | st.sampled_from(["GET", "GET /é/3/", "GET /x/1/" + "y" * 60, "y"]),
    scope=st.none() | st.sampled_from(["read", "write", "rea"]),
    policy=st.none() | st.sampled_from(["digest-0", "digest-2"]),
    deciding=st.none() | st.sampled_from(["rare", "often"]),
    reason=st.none() | st.just("policy_forbid"),
    instance=st.none() | st.sampled_from(["instance-0", "instance-1"]),
    target=st.none() | st.just("target"),
    actor=st.none() | st.just("ops"),
    since=st.none() | st.integers(-10, 2700).map(lambda ms: BEGIN + timedelta(milliseconds=ms)),
    until=st.none() | st.integers(-10, 2700).map(lambda ms: BEGIN + timedelta(milliseconds=ms)),
    after_index=st.none() | st.integers(-1, 2700),
    limit=st.sampled_from([1, 3, 100, 5000]),
    ascending=st.booleans(),
)
