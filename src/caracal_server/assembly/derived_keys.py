"""Keys for one purpose each, derived from the pepper: what they key outlives no pepper."""

import hashlib
import hmac
from typing import Final

from caracal.tokens.secret import Secret

FINGERPRINTS: Final = "caracal/fingerprint/1"
RECEIPTS: Final = "caracal/idempotency/1"


def derived_key(pepper: Secret, purpose: str) -> Secret:
    key = pepper.reveal().encode()
    return Secret(hmac.new(key, purpose.encode(), hashlib.sha256).hexdigest())
