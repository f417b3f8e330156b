"""Keys for one purpose each, derived from another key, which what they key does not outlive."""

import hashlib
import hmac
from typing import Final

from caracal.tokens.secret import Secret

FINGERPRINTS: Final = "caracal/fingerprint/1"
RECEIPTS: Final = "caracal/idempotency/1"
RECEIPT_REFERENCES: Final = "caracal/receipt-reference/1"


def derived_key(source: Secret, purpose: str) -> Secret:
    key = source.reveal().encode()
    return Secret(hmac.new(key, purpose.encode(), hashlib.sha256).hexdigest())
