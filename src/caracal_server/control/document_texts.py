"""The kinds of text that a zone document holds, each with its pattern in words."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

Name = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
        extra={
            "says": "a name: 1 to 64 letters, digits and . _ -, beginning with a letter or digit"
        },
    ),
]
ScopeText = Annotated[
    str,
    Meta(
        pattern=r"^[\x21\x23-\x5b\x5d-\x7e]{1,128}$",
        extra={"says": 'a scope: 1 to 128 printable characters without space, " and \\'},
    ),
]
Text = Annotated[
    str,
    Meta(
        pattern=r"^[^\x00-\x1f\x7f]{1,200}$",
        extra={"says": "a text: 1 to 200 characters on one line"},
    ),
]
HeaderName = Annotated[
    str,
    Meta(
        pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$",
        extra={"says": "a header name, such as X-Api-Key"},
    ),
]
ParameterName = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9._~-]{1,128}$",
        extra={"says": "a query parameter: 1 to 128 letters, digits and . _ ~ -"},
    ),
]
SchemeWord = Annotated[
    str,
    Meta(
        pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]{0,40}$",
        extra={"says": 'one word, such as Bearer, or "" for none'},
    ),
]
HostName = Annotated[
    str,
    Meta(
        pattern=r"^[a-z0-9._:-]{1,253}$",
        extra={"says": "a host in lower case without port, such as api.example.com"},
    ),
]
TraitText = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z][A-Za-z0-9._:-]{0,127}$",
        extra={"says": "a trait: 1 to 128 letters, digits and . _ : -, beginning with a letter"},
    ),
]
SecureUrl = Annotated[
    str,
    Meta(
        max_length=512,
        pattern=r"^https://[^\s?#@]+$",
        extra={"says": "an https URL without user, query and fragment"},
    ),
]
EndpointName = Annotated[
    str,
    Meta(
        pattern=r"^[a-z0-9][a-z0-9-]{0,62}$",
        extra={
            "says": "the last part of a URL: 1 to 63 lower-case letters, digits and hyphens, "
            "beginning with a letter or digit"
        },
    ),
]
RedirectUri = Annotated[
    str,
    Meta(
        max_length=512,
        pattern=r"^(https://[^\s?#@]+|http://(127\.0\.0\.1|\[::1\]|localhost)(:[0-9]{1,5})?(/[^\s?#@]*)?)$",
        extra={
            "says": "an https URL, or http://127.0.0.1, http://[::1] or http://localhost, without user, "
            "query and fragment"
        },
    ),
]
KeyMember = Annotated[
    str,
    Meta(
        pattern=r"^[\x21-\x7e]{1,2048}$",
        extra={"says": "1 to 2048 visible ASCII characters"},
    ),
]
Audience = Annotated[
    str,
    Meta(
        pattern=r"^[\x21-\x7e]{1,512}$",
        extra={"says": "an audience: 1 to 512 visible ASCII characters"},
    ),
]
Instant = Annotated[datetime, Meta(tz=True)]


class Model(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Fields that are not known are refused: a misspelt one would be silently without effect."""
