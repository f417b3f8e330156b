"""T41: who holds a narrowed mandate makes it wider, uses it again, or after its parent has ended."""

import asyncio
import base64
import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import httpx
import msgspec
import pytest

from caracal.authority.mandates import Bound
from caracal.authority.narrowing import Link
from caracal.authority.scopes import ScopeSet
from caracal.tokens.holders import HolderKey, render_holder, thumbprint
from caracal.tokens.links import sign_link
from tests.support.deployment import (
    API,
    READ,
    WRITE,
    Authority,
    eventually,
    gather_answers,
    reason,
)

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
PARENT, CHILD, STRANGER = (HolderKey.generate() for _ in range(3))


@dataclass
class Held:
    """A mandate bound to the parent's key, with both scopes."""

    authority: Authority
    root: str = ""
    ends: datetime = field(init=False)

    def __post_init__(self) -> None:
        self.ends = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=600)
        self.root = self.root or self.authority.mint(
            f"{READ} {WRITE}",
            holder_jwk=render_holder(PARENT.holder).decode(),
            ttl_seconds=700,
        )

    def link(self, **changes) -> Link:
        values = {
            "id": secrets.token_hex(16),
            "scopes": ScopeSet.of(READ),
            "resources": (API,),
            "issued_at": datetime.now(UTC),
            "expires_at": self.ends,
        }
        return Link(**(values | changes))

    def chain(self, *steps: tuple[Link, HolderKey]) -> str:
        parts = [self.root.encode()]
        for wanted, key in steps:
            parts.append(sign_link(parts[-1], wanted, key))
        return b"~".join(parts).decode()

    def handed(self, hand_ons: int = 0, **changes) -> tuple[Link, HolderKey]:
        return self.link(bound=Bound(CHILD.holder, hand_ons), **changes), PARENT

    def closed(self) -> str:
        return self.chain((self.link(), PARENT))

    def refusal(self, chain: str, path: str = "/json", method: str = "GET") -> str:
        answer = self.authority.use(chain, path, method)
        assert answer.status_code in (401, 403), answer.text
        return reason(answer)


@pytest.fixture(scope="module")
def held(deployment) -> Held:
    """For all attacks that leave nothing behind."""
    return Held(deployment.zone().agent().authority())


def test_a_helper_calls_with_what_was_handed_to_it_and_the_entry_names_the_chain(held, upstream):
    zone = held.authority.agent.zone
    chain = held.chain(held.handed(), (held.link(), CHILD))
    path = f"/json?{zone.name}-helper"
    answer = held.authority.use(chain, path)
    assert answer.status_code == 200, answer.text
    assert len(upstream.to(path)) == 1
    entry = zone.entry(answer.headers["x-request-id"], "call")
    assert entry["holders"] == [thumbprint(PARENT.holder), thumbprint(CHILD.holder)]
    [minted] = [
        found
        for found in zone.evidence(kind="exchange", verdict="allow")
        if found["mandate"] == entry["narrowed"][0]
    ]
    assert minted["holders"] == [thumbprint(PARENT.holder)]
    assert entry["narrowed"][1:] == [_id(chain.split("~")[1])]
    assert entry["mandate"] == _id(chain.split("~")[2])
    zone.verify_evidence()


def _id(part: str) -> str:
    digest = hashlib.sha256(part.rpartition(".")[0].encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def test_a_narrowed_mandate_does_not_do_what_its_root_could(held):
    assert held.refusal(held.closed(), "/sink", "POST") == "operation_scope_missing"
    wide = held.chain((held.link(scopes=ScopeSet.of(READ, WRITE)), PARENT))
    assert held.authority.use(wide, "/sink", "POST", content=b"x").status_code == 200


def test_what_was_dropped_from_a_chain_leaves_nothing_that_counts(held):
    chain = held.chain(held.handed(), (held.link(), CHILD))
    root, handed, closing = chain.split("~")
    assert held.refusal(root) == "narrowing_unfinished"
    assert held.refusal(f"{root}~{handed}") == "narrowing_unfinished"
    assert held.refusal(f"{root}~{closing}") == "mandate_signature"
    assert held.refusal(f"{root}~") == "mandate_malformed"
    assert held.refusal(f"{handed}~{closing}") == "mandate_malformed"


def test_a_helper_can_not_close_what_its_parent_narrowed_in_another_way(held):
    """The child has the root and its own key; it would rather narrow the root itself."""
    assert held.refusal(held.chain((held.link(), CHILD))) == "mandate_signature"
    wide = held.link(scopes=ScopeSet.of(READ, WRITE))
    assert held.refusal(held.chain(held.handed(), (wide, CHILD))) == "narrowing_widens"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"scopes": ScopeSet.of(READ, "api:admin")}, "narrowing_widens"),
        ({"resources": (API, "resource://other")}, "narrowing_widens"),
        ({"expires_at": datetime.now(UTC) + timedelta(hours=1)}, "narrowing_widens"),
        ({"bound": Bound(CHILD.holder, 9)}, "narrowing_too_deep"),
    ],
)
def test_a_link_that_states_more_refuses_the_whole_chain(held, changes, expected):
    assert held.refusal(held.chain((held.link(**changes), PARENT))) == expected


def test_a_chain_is_not_handed_on_more_often_than_the_delegation_allows(deployment):
    authority = deployment.zone().agent().authority(constraints={"resources": [API], "max_hops": 1})
    held = Held(authority)
    assert held.refusal(held.chain(held.handed(), (held.link(), CHILD))) == "narrowing_too_deep"
    assert authority.use(held.closed(), "/json").status_code == 200


def test_links_that_are_reordered_repeated_or_moved_are_refused(held, deployment):
    chain = held.chain(held.handed(1), (held.link(bound=Bound(CHILD.holder, 0)), CHILD))
    root, first, second = chain.split("~")
    closing = sign_link(second.encode(), held.link(), CHILD).decode()
    for parts in ((root, second, first, closing), (root, first, first, closing)):
        assert held.refusal("~".join(parts)) in {"mandate_signature", "narrowing_broken"}
    assert held.refusal(f"{root}~{first}~{second}~{closing}~{closing}") == "narrowing_broken"
    other = Held(deployment.zone().agent().authority())
    assert other.refusal(f"{other.root}~{held.closed().split('~')[1]}") == "narrowing_broken"


def test_a_link_is_signed_by_the_key_that_is_named_and_by_no_other(held):
    assert held.refusal(held.chain((held.link(), STRANGER))) == "mandate_signature"
    chain = held.closed()
    forged = chain[: chain.rindex(".")] + "." + "A" * 86
    assert held.refusal(forged) == "mandate_signature"


def test_the_header_of_a_link_brings_no_key_and_no_algorithm(held):
    root, closing = held.closed().split("~")
    claims = closing.split(".")[1]
    jwk = msgspec.json.decode(render_holder(STRANGER.holder))
    for more in ({"jwk": jwk}, {"kid": "x"}, {"jku": "https://a.example"}, {"alg": "none"}):
        text = {"alg": "ES256", "typ": "caracal-narrowing+jwt"} | more
        header = base64.urlsafe_b64encode(msgspec.json.encode(text)).decode().rstrip("=")
        signed = f"{header}.{claims}"
        made = base64.urlsafe_b64encode(STRANGER.sign(signed.encode())).decode().rstrip("=")
        assert held.refusal(f"{root}~{signed}.{made}") in {"mandate_malformed", "mandate_signature"}


def test_of_many_uses_of_one_chain_exactly_one_reaches_the_upstream(held, upstream):
    zone = held.authority.agent.zone
    chain, path = held.closed(), f"/json?{zone.name}-replay"
    url = f"{zone.deployment.running.gateway}{path}"
    answers = asyncio.run(gather_answers(url, [held.authority.headers(chain)] * 16))
    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 15
    assert {reason(it) for it in answers if it.status_code == 401} == {"mandate_replayed"}
    assert len(upstream.to(path)) == 1


def test_the_other_signature_of_a_closing_link_is_no_second_call(held):
    """ECDSA has two signatures for each text; whoever has one can compute the other."""
    chain = held.closed()
    assert held.authority.use(chain, "/json").status_code == 200
    text, _, signature = chain.rpartition(".")
    pair = base64.urlsafe_b64decode(signature + "==")
    other = pair[:32] + (ORDER - int.from_bytes(pair[32:])).to_bytes(32)
    twin = f"{text}.{base64.urlsafe_b64encode(other).decode().rstrip('=')}"
    assert held.refusal(twin) == "mandate_replayed"


def test_a_chain_that_is_too_deep_or_too_large_is_refused(held):
    assert held.refusal(held.root + "~a.b.c" * 11) == "narrowing_too_deep"
    assert held.refusal(held.closed() + "x" * 8192) == "mandate_too_large"


@pytest.mark.parametrize("ended", ["session", "root", "delegation"])
def test_what_ends_the_parent_ends_all_that_was_narrowed_from_it(deployment, ended):
    authority = deployment.zone().agent().authority()
    held = Held(authority)
    chain = held.chain(held.handed(), (held.link(), CHILD))
    assert authority.use(held.closed(), "/json").status_code == 200
    if ended == "delegation":
        agent = authority.agent
        gone = agent.steer("PATCH", f"delegations/{authority.delegation}/revoke")
        assert gone.status_code == 200, gone.text
    else:
        authority.agent.zone.kill(getattr(authority, ended))
    assert held.refusal(chain) == "mandate_revoked"
    assert held.refusal(held.closed()) == "mandate_revoked"


def test_a_call_that_streams_is_cut_when_the_parent_ends(deployment, upstream):
    authority = deployment.zone().agent().authority()
    held = Held(authority)
    url = f"{deployment.running.gateway}/drip"
    chain = held.chain(held.handed(), (held.link(), CHILD))
    with deployment.http.stream("GET", url, headers=authority.headers(chain)) as answer:
        request = answer.headers["x-request-id"]
        chunks = answer.iter_raw()
        next(chunks)
        authority.agent.zone.kill(authority.session)
        with pytest.raises(httpx.RemoteProtocolError):
            list(chunks)
    result = authority.agent.zone.entry(request, "call.result")
    assert result["error"] == "cut_by_revocation"


def test_a_chain_proves_nothing_to_the_services_that_mint_and_steer(held):
    agent = held.authority.agent
    control = agent.zone.deployment.running.control
    for token in (held.closed(), held.root):
        answer = agent.zone.deployment.http.get(
            f"{control}/zones/{agent.zone.id}/agents", headers={"authorization": f"Bearer {token}"}
        )
        assert answer.status_code == 401
        traded = held.authority.ask(
            subject_token=token,
            subject_token_type="urn:ietf:params:oauth:token-type:access_token",
        )
        assert traded.status_code in (401, 403)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"holder_jwk": "{}"}, "request_malformed"),
        ({"holder_jwk": "AAAA"}, "request_malformed"),
        ({"ttl_seconds": 901}, "lifetime_too_long"),
        ({"agent_session_id": None, "delegation_edge_id": None}, "delegation_required"),
    ],
)
def test_a_mandate_is_bound_only_to_a_key_and_not_for_long(held, fields, expected):
    asked = {"holder_jwk": render_holder(PARENT.holder).decode()} | fields
    answer = held.authority.ask(**asked)
    assert answer.status_code >= 400
    assert reason(answer) == expected


def test_results_are_recorded_for_calls_with_chains(held):
    answer = held.authority.use(held.closed(), "/json")
    zone = held.authority.agent.zone
    result = eventually(
        lambda: zone.evidence(kind="call.result", request=answer.headers["x-request-id"])
    )
    assert result[0]["status"] == 200
