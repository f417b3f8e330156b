"""What is wrong with a message."""

from enum import StrEnum

from caracal.authority.outcomes import Reason


class Fault(StrEnum):
    """Which part of a message is at fault; the edge turns it into a status."""

    METHOD = "method"
    MEDIA_TYPE = "media_type"
    TOO_LARGE = "too_large"
    MALFORMED = "malformed"


class WireError(Exception):
    """A message that can not be read as what it should be.

    Attributes:
        code: the stable word that stock clients branch on.
        field: the field, member or header at fault; empty when it is the message as a whole.
        description: one sentence that says what is wrong, the limit and what to do; never a value
            that could be a secret.
    """

    def __init__(
        self,
        description: str,
        *,
        code: str,
        field: str = "",
        reason: Reason = Reason.REQUEST_MALFORMED,
        fault: Fault = Fault.MALFORMED,
    ) -> None:
        super().__init__(description)
        self.description = description
        self.code = code
        self.field = field
        self.reason = reason
        self.fault = fault
