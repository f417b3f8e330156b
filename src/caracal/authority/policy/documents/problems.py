"""Why a data document is not taken, and where."""

from enum import StrEnum
from typing import Final

import msgspec

_SHOWN: Final = 60


class Fault(StrEnum):
    """The reasons, as clients know them; some are followed by a colon and a name."""

    EMPTY = "empty_policy"
    TOO_LARGE = "content_too_large"
    UNTERMINATED = "unterminated_string"
    UNBALANCED = "unbalanced_delimiters"
    NO_PACKAGE = "missing_package_declaration"
    PACKAGE_NAME = "invalid_package_name"
    OTHER_PACKAGE = "must_use_package_caracal_authz"
    NO_DIRECTIVE = "must_be_data_document"
    DEFINES_RESULT = "data_document_must_not_define_result"
    NO_DATA = "data_document_must_define_data"
    OTHER_RULE = "data_document_rule_not_allowed"
    BUILTIN = "forbidden_builtin"
    NOT_DATA = "data_document_must_be_plain_data"
    REPEATED = "data_document_defined_twice"
    SHAPE = "data_document_malformed"


class Place(msgspec.Struct, frozen=True, order=True):
    """Lines and columns count from 1, columns in characters."""

    line: int
    column: int


class DocumentInvalid(ValueError):
    """A text is no data document.

    Attributes:
        construct: what stands there, in a few words, or what it should be.
        name: the rule or the function that the fault is about, if it has one.
    """

    def __init__(self, fault: Fault, place: Place, construct: str, name: str = "") -> None:
        self.fault, self.place, self.name = fault, place, name[:_SHOWN]
        self.construct = construct if len(construct) <= _SHOWN else construct[:_SHOWN] + "..."
        super().__init__(f"{place.line}:{place.column}: {self.reason}: {self.construct}")

    @property
    def reason(self) -> str:
        """As clients know it, such as `data_document_rule_not_allowed:allow`."""
        return f"{self.fault}:{self.name}" if self.name else str(self.fault)


class BundleInvalid(ValueError):
    """Documents, each of them good, do not go together."""
