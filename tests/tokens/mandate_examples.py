"""Mandates to test with: one that is right, and a strategy for all that could be."""

import json
from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from caracal.authority.mandates import Hop, Mandate, MandateClass, SubjectType
from caracal.authority.scopes import ScopeSet
from caracal.tokens.jws import RawToken, sign
from caracal.tokens.keys import KeyId, KeySet, SigningKey
from caracal.tokens.mandates import VerifiedMandate, verify_mandate

KEY = SigningKey.generate(KeyId("key-1"))
OTHER_KEY = SigningKey.generate(KeyId("key-2"))
KEYS = KeySet(KEY.public)
ISSUER = "https://sts.example.com"
NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
LIFETIME = timedelta(seconds=900)


def ulid(number: int) -> str:
    return f"01J{number:023d}"


def mandate_of_hops(hops: int, *, applications: int | None = None, **changes) -> Mandate:
    """A gateway mandate at the end of `hops` delegations among `applications` applications."""
    many = hops + 1 if applications is None else applications
    path = tuple(ulid(100 + i) for i in range(hops))
    sessions = tuple(ulid(200 + i) for i in range(hops + 1)) if hops else ()
    holders = [ulid(300 + i % many) for i in range(hops + 1)]
    chain = tuple(
        Hop(holders[i], sessions[i], path[i] if i < hops else None) for i in range(hops + 1) if hops
    )
    values = {
        "id": ulid(1),
        "zone_id": ulid(2),
        "mandate_class": MandateClass.GATEWAY,
        "issuer": ISSUER,
        "subject": holders[-1],
        "subject_type": SubjectType.APPLICATION,
        "application_id": holders[-1],
        "audience": (ISSUER,),
        "scopes": ScopeSet.of("rows:read", "rows:write"),
        "resources": ("resource://datasette",),
        "record": ulid(4),
        "root_record": ulid(5),
        "issued_at": NOW,
        "expires_at": NOW + LIFETIME,
        "session_path": sessions,
        "delegation_path": path,
        "chain": chain,
        "graph_epoch": 17,
    }
    return Mandate(**(values | changes))


def verify(token: str | bytes, **changes) -> VerifiedMandate:
    raw = token.encode() if isinstance(token, str) else token
    values = {
        "keys": KEYS,
        "issuer": ISSUER,
        "zone_id": ulid(2),
        "mandate_classes": (MandateClass.GATEWAY,),
        "audience": ISSUER,
        "now": NOW,
    }
    return verify_mandate(RawToken(raw), **(values | changes))


def signed(claims: object, key: SigningKey = KEY) -> bytes:
    """Any claims at all, rightly signed."""
    text = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    return sign(text, key)


ids = st.text("ABCxyz019_.:-", min_size=1, max_size=30)
_scopes = st.lists(st.sampled_from(["read", "write", "rows:read", "a/b"]), unique=True)
_subjects = st.fixed_dictionaries(
    {"subject": ids, "subject_type": st.just(SubjectType.APPLICATION)}
) | st.fixed_dictionaries(
    {
        "subject": st.sampled_from(["user-1", "auth0|5f7", "a b", "名前", "x" * 512]),
        "subject_type": st.just(SubjectType.USER),
        "subject_issuer": st.sampled_from(["https://a.example", "https://b.example/x"]),
    }
)
_uris = st.sampled_from(["res://a", "res://b", "https://api.example.com/v1"])


@st.composite
def mandates(draw) -> Mandate:
    hops = draw(st.integers(0, 4))
    sessions = tuple(draw(st.lists(ids, min_size=1 if hops else 0, max_size=4)))
    path = tuple(draw(st.lists(ids, min_size=hops, max_size=hops)))
    application = draw(ids)
    chain = tuple(Hop(draw(ids), draw(st.none() | ids), edge) for edge in path)
    if hops:
        chain = (*chain, Hop(application, sessions[-1], None))
    lifetime = draw(st.integers(1, 3600))
    audience = draw(st.lists(_uris, min_size=1, max_size=3))
    return mandate_of_hops(
        0,
        id=draw(ids),
        mandate_class=draw(st.sampled_from(MandateClass)),
        **draw(_subjects),
        application_id=application,
        audience=tuple(audience),
        scopes=ScopeSet.from_texts(draw(_scopes)),
        resources=tuple(draw(st.lists(_uris, max_size=3))),
        record=draw(ids),
        root_record=draw(ids),
        expires_at=NOW + timedelta(seconds=lifetime),
        session_path=sessions,
        delegation_path=path,
        chain=chain,
        graph_epoch=draw(st.integers(0, 2**53)),
    )
