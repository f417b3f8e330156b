"""Base64url without padding (RFC 7515 section 2), in its one canonical form."""

import base64
import binascii

_URL_SAFE = bytes.maketrans(b"+/", b"-_")


def encode(data: bytes) -> bytes:
    return binascii.b2a_base64(data, newline=False).translate(_URL_SAFE, b"=")


def decode(text: bytes) -> bytes:
    """Decode `text`.

    Encoding the answer again must give `text`: so padding, other alphabets, line breaks and stray
    trailing bits are all refused, and a value has one spelling only.

    Raises:
        ValueError: when `text` is not canonical.
    """
    try:
        data = base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))
    except binascii.Error as error:
        raise ValueError("not base64url") from error
    if encode(data) != text:
        raise ValueError("not canonical base64url")
    return data
