"""Chains to test with: holders, a mandate bound to one, and links of any kind."""

import json
from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from caracal.authority.mandates import Bound, Mandate, MandateClass
from caracal.authority.narrowing import Link
from caracal.authority.scopes import ScopeSet
from caracal.tokens import base64url
from caracal.tokens.holders import HolderKey, parse_holder
from caracal.tokens.jws import RawToken
from caracal.tokens.links import sign_link
from caracal.tokens.mandates import VerifiedMandate, mint, verify_chain
from tests.tokens.mandate_examples import ISSUER, KEY, KEYS, NOW, mandate_of_hops, ulid

HOLDERS = tuple(HolderKey.generate() for _ in range(5))
SCOPES = ("rows:read", "rows:write", "rows:drop")
RESOURCES = ("resource://a", "resource://b", "resource://c")
LIFETIME = timedelta(seconds=600)
HAND_ONS = 4


def bound_mandate(**changes) -> Mandate:
    values = {
        "scopes": ScopeSet.of(*SCOPES[:2]),
        "resources": RESOURCES[:2],
        "expires_at": NOW + LIFETIME,
        "bound": Bound(HOLDERS[0].holder, HAND_ONS),
    }
    return mandate_of_hops(2, **(values | changes))


def link(holder: int | None = None, hand_ons: int = 0, **changes) -> Link:
    """A link that narrows `bound_mandate()`: it closes, or names the key of `HOLDERS[holder]`."""
    values = {
        "id": "a1",
        "scopes": ScopeSet.of("rows:read"),
        "resources": RESOURCES[:1],
        "issued_at": NOW,
        "expires_at": NOW + timedelta(seconds=300),
        "bound": None if holder is None else Bound(HOLDERS[holder].holder, hand_ons),
    }
    return Link(**(values | changes))


def chain(root: bytes, *steps: tuple[Link, HolderKey]) -> bytes:
    """The root and a link for each step, each signed to follow the one before."""
    parts = [root]
    for wanted, key in steps:
        parts.append(sign_link(parts[-1], wanted, key))
    return b"~".join(parts)


def root_token(**changes) -> bytes:
    return mint(bound_mandate(**changes), KEY).encode()


def closed(*, hand_ons: tuple[int, ...] = ()) -> bytes:
    """A chain handed on once for each of `hand_ons`, which the last holder closed."""
    steps = [(link(at, left), HOLDERS[at - 1]) for at, left in enumerate(hand_ons, 1)]
    return chain(root_token(), *steps, (link(), HOLDERS[len(hand_ons)]))


def prove(token: bytes, **changes) -> VerifiedMandate:
    values = {
        "keys": KEYS,
        "issuer": ISSUER,
        "zone_id": ulid(2),
        "mandate_classes": (MandateClass.GATEWAY,),
        "audience": ISSUER,
        "now": NOW,
    }
    return verify_chain(RawToken(token), **(values | changes))


def stated(token: bytes) -> dict:
    """The claims of the last link."""
    return json.loads(base64url.decode(token.split(b"~")[-1].split(b".")[1]))


def signed_as(claims: object, key: HolderKey, header: object = None) -> bytes:
    """Any claims and header at all, rightly signed by a holder."""
    header = {"alg": "ES256", "typ": "caracal-narrowing+jwt"} if header is None else header
    parts = [
        it if isinstance(it, bytes) else json.dumps(it, separators=(",", ":")).encode()
        for it in (header, claims)
    ]
    text = b".".join(base64url.encode(part) for part in parts)
    return text + b"." + base64url.encode(key.sign(text))


@st.composite
def links(draw, *, closes: bool | None = None) -> Link:
    """Links that narrow and links that would widen, in every respect."""
    closes = draw(st.booleans()) if closes is None else closes
    holder = draw(st.sampled_from(range(len(HOLDERS))))
    seconds = draw(st.integers(1, 900))
    return link(
        None if closes else holder,
        draw(st.integers(0, 5)),
        id=draw(st.sampled_from(["a1", "a2"])),
        scopes=ScopeSet.from_texts(draw(st.sets(st.sampled_from(SCOPES), min_size=1))),
        resources=tuple(
            draw(st.lists(st.sampled_from(RESOURCES), min_size=1, max_size=3, unique=True))
        ),
        expires_at=NOW + timedelta(seconds=seconds),
    )


def handed_on_to(
    jwk: str, *, expires_at: datetime | None = datetime(2100, 1, 1, tzinfo=UTC), targets: int = 1
) -> str:
    """A chain that ends with that key, for those who read no signatures: it never ends, or has ended."""
    named = tuple(f"resource://{number:03}" for number in range(targets))
    ends = expires_at or NOW
    bound = Bound(parse_holder(jwk.encode()), 1)
    step = link(bound=bound, scopes=ScopeSet.of("rows:read"), resources=named, expires_at=ends)
    return chain(b"root", (step, HOLDERS[0])).decode()
