"""Revoking a subject, on the wire of the Coordinator."""

from typing import Annotated

import msgspec

from caracal.authority.subjects import MAX_NAME_BYTES, User, name_fault
from caracal.wire.json_bodies import decode, refused

_Issuer = Annotated[str, msgspec.Meta(pattern=r"^[\x21-\x7e]{1,512}\Z")]
_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME_BYTES)]
_Reason = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]


class _RevokeMembers(msgspec.Struct):
    issuer: _Issuer
    subject_id: _Name
    reason: _Reason = ""


def parse_revoke_subject(body: bytes) -> tuple[User, str]:
    """The user that is to be revoked, and why; an empty reason when none is given.

    Raises:
        WireError: naming the member at fault.
    """
    members = decode(body, _RevokeMembers)
    fault = name_fault(members.subject_id)
    if fault is not None:
        raise refused("subject_id", f"no user is called that: {fault}")
    return User(members.issuer, members.subject_id), members.reason


def render_revoked_subject(user: User, sessions: int, delegations: int) -> bytes:
    return msgspec.json.encode(
        {
            "subject_id": user.name,
            "issuer": user.issuer,
            "sessions": sessions,
            "delegations": delegations,
        }
    )
