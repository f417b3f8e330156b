"""The id of a request."""

import re
from collections.abc import Callable

from caracal.authority.identifiers import RequestId

_REQUEST_ID = re.compile(rb"[\x21-\x7e]{1,128}")


def request_id_or(raw: bytes | None, fresh: Callable[[], str]) -> RequestId:
    """The caller's own id when it is 1 to 128 visible ASCII characters, else a fresh one."""
    if raw is not None and _REQUEST_ID.fullmatch(raw) is not None:
        return RequestId(raw.decode("ascii"))
    return RequestId(fresh())
