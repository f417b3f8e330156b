"""Mandates narrowed without a network, for calls of one's own and for helpers (docs/wire.md, Narrowing)."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

import msgspec

from caracal.authority.identifiers import MandateId
from caracal.authority.mandates import Bound
from caracal.authority.narrowing import Link
from caracal.authority.resources import ResourceUri, parse_resource_uri
from caracal.authority.scopes import InvalidScope, ScopeSet
from caracal.sdk import surroundings
from caracal.sdk.acting import WantedMandate
from caracal.tokens import base64url
from caracal.tokens.holders import (
    Confirmation,
    HolderKey,
    bound_of,
    parse_holder,
    render_holder,
)
from caracal.tokens.jws import MAX_TOKEN_BYTES
from caracal.tokens.links import SEPARATOR, sign_link
from caracal.tokens.secret import Secret
from caracal.wire.calls.refusals import InvalidRequest
from caracal.wire.calls.tokens import Mandate

NARROW: Final = "narrow a mandate"
RECEIVE: Final = "receive a narrowed mandate"
_ID_BYTES: Final = 16


class _Stated(msgspec.Struct):
    """What mandates and links state under the same names. Nothing rests on it: the Gateway verifies."""

    scope: str
    target: tuple[str, ...]
    exp: Annotated[int, msgspec.Meta(ge=0, le=2**37)]
    cnf: Confirmation
    hand_ons: Annotated[int, msgspec.Meta(ge=0, le=2**31)] = 0


@dataclass(frozen=True, slots=True, eq=False)
class NarrowingKey:
    """A key of one holder; it never leaves the process that made it."""

    _key: HolderKey

    @classmethod
    def generate(cls) -> "NarrowingKey":
        return cls(HolderKey.generate())

    @property
    def public(self) -> str:
        """What a giver names this holder by: a JWK, and no secret."""
        return render_holder(self._key.holder).decode()

    def receive(self, chain: str) -> "NarrowableMandate":
        """What was handed to this key.

        Raises:
            InvalidRequest: it is no chain, or ends with another holder.
        """
        try:
            stated = _stated(chain)
            bound = bound_of(stated.cnf, stated.hand_ons)
            mandate = NarrowableMandate(
                chain,
                ScopeSet.parse(stated.scope),
                tuple(parse_resource_uri(text) for text in stated.target),
                datetime.fromtimestamp(stated.exp, UTC),
                stated.hand_ons,
                self._key,
            )
        except (ValueError, OverflowError, RecursionError):
            raise InvalidRequest(
                RECEIVE,
                "it is no mandate that can be narrowed",
                code="narrowing_broken",
                fix="pass what `narrowable` or `hand_on` gave",
            ) from None
        if bound is None or bound.holder != self._key.holder:
            raise InvalidRequest(
                RECEIVE,
                "it was handed to another key",
                code="narrowing_broken",
                fix="have it handed on to `public` of this key",
            )
        return mandate

    def binding(self, wanted: WantedMandate) -> WantedMandate:
        """The same, bound to this key; for this package."""
        return replace(wanted, holder=self._key.holder)


@dataclass(frozen=True, slots=True, eq=False)
class NarrowableMandate:
    """A mandate that the key which is kept here narrows. Threads may share it.

    Attributes:
        chain: what is handed on; it counts for nothing without the key.
        hand_ons: how often it may be handed on to another holder.
    """

    chain: str = field(repr=False)
    scopes: ScopeSet
    resources: tuple[ResourceUri, ...]
    expires_at: datetime
    hand_ons: int
    _key: HolderKey = field(repr=False)

    def for_call(
        self, scopes: Iterable[str] | None = None, *, ttl: timedelta | None = None
    ) -> Mandate:
        """A mandate for one call, with all that is held when nothing is named.

        Whoever gets it can make that call, and hand nothing on.

        Raises:
            InvalidRequest: it would be more than is held, or has ended.
        """
        link = self._link(scopes, ttl, None)
        lifetime = link.expires_at - link.issued_at
        return Mandate(Secret(self._followed_by(link)), lifetime, link.scopes, "")

    def hand_on(
        self,
        to: str,
        scopes: Iterable[str],
        *,
        ttl: timedelta | None = None,
        hand_ons: int = 0,
    ) -> str:
        """A chain for the holder of another key, who narrows it further and makes calls with it.

        Args:
            to: `public` of the other's `NarrowingKey`.
            scopes: what the other gets.
            ttl: until this ends when it is left out.
            hand_ons: how often the other may hand on.

        Raises:
            InvalidRequest: it would be more than is held, or has ended, or `to` is no key.
        """
        if not 0 <= hand_ons < self.hand_ons:
            raise InvalidRequest(
                NARROW,
                f"it may be handed on {self.hand_ons} times, this time included",
                code="narrowing_too_deep",
                fix="open the session with more max_hops, or pass fewer hand_ons",
            )
        try:
            bound = Bound(parse_holder(to.encode()), hand_ons)
        except ValueError as error:
            raise InvalidRequest(
                NARROW, str(error), code="invalid_options", fix="pass `public` of the other's key"
            ) from None
        return self._followed_by(self._link(scopes, ttl, bound))

    def _link(
        self, scopes: Iterable[str] | None, ttl: timedelta | None, bound: Bound | None
    ) -> Link:
        wanted = self.scopes if scopes is None else _scopes(scopes)
        excess = wanted.without(self.scopes)
        now = surroundings.utc_now().replace(microsecond=0)
        ends = self.expires_at if ttl is None else (now + ttl).replace(microsecond=0)
        if excess or not wanted:
            raise _widens(f"it does not hold: {excess.render()}" if excess else "name a scope")
        if ends > self.expires_at or ends <= now:
            raise _widens(f"it ends at {self.expires_at.isoformat()}, and not before it begins")
        identity = MandateId(surroundings.random_bytes(_ID_BYTES).hex())
        return Link(identity, wanted, self.resources, now, ends, bound)

    def _followed_by(self, link: Link) -> str:
        last = self.chain.rpartition(SEPARATOR.decode())[2].encode()
        chain = self.chain + (SEPARATOR + sign_link(last, link, self._key)).decode()
        if len(chain) > MAX_TOKEN_BYTES:
            raise InvalidRequest(
                NARROW,
                f"it would have {len(chain)} bytes, at most {MAX_TOKEN_BYTES} are accepted",
                code="mandate_too_large",
                fix="hand it on less often",
            )
        return chain


def _stated(chain: str) -> _Stated:
    last = chain.rpartition(SEPARATOR.decode())[2]
    _, payload, _ = last.encode().split(b".")
    return msgspec.json.decode(base64url.decode(payload), type=_Stated)


def _scopes(scopes: Iterable[str]) -> ScopeSet:
    if isinstance(scopes, str):
        raise InvalidRequest(
            NARROW, "one text is not several scopes", code="scope_missing", fix="pass a list"
        )
    try:
        return ScopeSet.from_texts(scopes)
    except InvalidScope as error:
        raise InvalidRequest(NARROW, str(error), code="scope_unknown") from None


def _widens(why: str) -> InvalidRequest:
    return InvalidRequest(NARROW, why, code="narrowing_widens", fix="ask for less")
