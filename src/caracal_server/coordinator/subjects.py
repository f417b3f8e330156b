"""For whom a session works: the caller's own record, or one that the caller brings proof of."""

from dataclasses import dataclass
from typing import Final

from caracal.authority.graph import ZoneGraph
from caracal.authority.identifiers import RecordId
from caracal.authority.mandates import Mandate
from caracal.authority.outcomes import Reason, Refused
from caracal.authority.subjects import ProvenUser
from caracal.tokens.refusal import TokenRefused
from caracal.wire.sessions import StartSessionBody
from caracal_server.coordinator.callers import ApplicationCaller
from caracal_server.coordinator.entries import Act
from caracal_server.coordinator.proofs import MandateProofs


@dataclass(frozen=True, slots=True)
class Bound:
    """The record that a session is started under; `proof` if it is not the caller's own."""

    record: RecordId
    proof: Mandate | None = None

    @property
    def proven(self) -> ProvenUser | None:
        user = None if self.proof is None else self.proof.user
        if self.proof is None or user is None:
            return None
        return ProvenUser(user, self.proof.expires_at)

    def revoked(self, graph: ZoneGraph) -> Refused | None:
        """Why the proof counts no more; to be asked in the moment in which the session starts."""
        if self.proof is None or graph.revocations.covering(self.proof) is None:
            return None
        return _mismatch("its authority was revoked")


@dataclass(frozen=True, slots=True)
class SubjectProofs:
    """Proves records: by the mandate that was issued with one."""

    mandates: MandateProofs

    def __call__(
        self, act: Act, caller: ApplicationCaller, body: StartSessionBody
    ) -> Bound | Refused:
        """The record that a request names, if the caller may start a session under it."""
        named = body.subject_session_id
        if named is None:
            return Bound(caller.mandate.record) if body.subject_token is None else _NO_RECORD
        if named == caller.mandate.record:
            return Bound(named)
        if body.subject_token is None:
            return _NO_PROOF
        try:
            proof = self.mandates.prove(body.subject_token, act.at)
        except TokenRefused as refused:
            return _mismatch(refused.detail)
        if proof.zone_id != act.zone_id:
            return _mismatch("it is of another zone")
        if proof.application_id != caller.application.id:
            return _mismatch("it was issued to another application")
        if proof.record != named:
            return _mismatch("subject_session_id is not its record")
        return Bound(named, proof)


def _mismatch(detail: str) -> Refused:
    return Refused(Reason.SUBJECT_TOKEN_MISMATCH, f"subject_token: {detail}")


_NO_RECORD: Final = Refused(
    Reason.REQUEST_MALFORMED, "subject_token proves a subject_session_id: name it"
)
_NO_PROOF: Final = Refused(
    Reason.SESSION_UNKNOWN,
    "subject_session_id is not the authority record of the mandate: send its own as subject_token",
)
