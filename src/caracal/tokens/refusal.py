"""Why a token was not accepted."""

from caracal.authority.outcomes import Reason


class TokenRefused(Exception):
    """The token does not prove what it must.

    Attributes:
        reason: one of the `MANDATE_*` or `SUBJECT_*` reasons.
        detail: one sentence; it never holds the token or a part of its signature.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
