"""Session mandates proven, and remembered as proven: an application sends the same one many times."""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime

from caracal.authority.mandates import Mandate, MandateClass
from caracal.authority.outcomes import Reason
from caracal.tokens.jws import RawToken
from caracal.tokens.keys import KeySet
from caracal.tokens.mandates import unverified_routing, verify_mandate
from caracal.tokens.refusal import TokenRefused
from caracal_server.ports.keys import VerifyingKeys

REMEMBERED = 4_096


@dataclass(frozen=True, slots=True)
class _Proof:
    """What a token was proven to say, with the key set that proved it."""

    mandate: Mandate
    keys: KeySet


class MandateProofs:
    """Proves session mandates of any zone.

    A proof is remembered under the token's digest, the last used so many of them, and holds as long as
    the zone's key set is the very one that proved it and the mandate has not expired. Whether it was
    revoked is asked every time, by who calls this.
    """

    __slots__ = ("_issuer", "_keys", "_proofs", "_remembered")

    def __init__(self, keys: VerifyingKeys, issuer: str, remembered: int = REMEMBERED) -> None:
        self._keys = keys
        self._issuer = issuer
        self._remembered = remembered
        self._proofs: OrderedDict[bytes, _Proof] = OrderedDict()

    def prove(self, raw: RawToken, now: datetime) -> Mandate:
        """The mandate that the token is.

        Raises:
            TokenRefused: it is none, or not one of ours, not of class session, or not valid now.
        """
        digest = hashlib.sha256(raw).digest()
        proof = self._proofs.get(digest)
        if proof is not None and self._holds(proof, now):
            self._proofs.move_to_end(digest)
            return proof.mandate
        self._proofs.pop(digest, None)
        proof = self._prove(raw, now)
        self._proofs[digest] = proof
        if len(self._proofs) > self._remembered:
            self._proofs.popitem(last=False)
        return proof.mandate

    def _holds(self, proof: _Proof, now: datetime) -> bool:
        mandate = proof.mandate
        return (
            self._keys.key_set(mandate.zone_id) is proof.keys
            and mandate.issued_at <= now < mandate.expires_at
        )

    def _prove(self, raw: RawToken, now: datetime) -> _Proof:
        zone_id = unverified_routing(raw).zone_id
        keys = self._keys.key_set(zone_id)
        if keys is None:
            raise TokenRefused(Reason.MANDATE_KEY_UNKNOWN, "no key of ours signed it")
        verified = verify_mandate(
            raw,
            keys=keys,
            issuer=self._issuer,
            zone_id=zone_id,
            mandate_classes=(MandateClass.SESSION,),
            audience=self._issuer,
            now=now,
        )
        return _Proof(verified.mandate, keys)
