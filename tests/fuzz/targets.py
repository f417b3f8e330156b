"""The parsers: how each reads a kept input, and what holds of whatever it takes.

Each returns whether it took the input. A refusal that is typed is a `False`; any other exception is a failure.
"""

import hashlib
import json
from datetime import timedelta
from pathlib import Path

from caracal.authority.narrowing import MAX_LINKS
from caracal.authority.outcomes import Reason
from caracal.sdk.configuration import Configuration, InvalidConfiguration
from caracal.sdk.profiles import read_profile
from caracal.tokens import base64url
from caracal.tokens.holders import render_holder
from caracal.tokens.links import sign_link, verify_link
from caracal.tokens.refusal import TokenRefused
from caracal.wire.errors import WireError
from caracal.wire.mcp import message_id, parse_message
from caracal.wire.trace_context import TraceContext, parse_baggage, parse_trace_context
from tests.tokens.chains import HOLDERS, bound_mandate, prove, root_token
from tests.tokens.mandate_examples import NOW

ROOT, HELD = root_token(), bound_mandate()


def mcp(item: bytes) -> bool:
    """Header lines, an empty line, and the body."""
    head, _, body = item.partition(b"\n\n")
    headers = [_header(line) for line in head.split(b"\n")]
    told = message_id(body)
    try:
        found = parse_message(body, headers)
    except WireError as refused:
        if refused.reason in {Reason.MCP_MESSAGE_INVALID, Reason.MCP_HEADER_MISMATCH}:
            return False
        raise
    message = json.loads(body)
    assert found.method == message.get("method", "response")
    assert told == message.get("id")
    again = json.dumps(message, ensure_ascii=True).encode()
    assert parse_message(again, headers) == found, "how it is written makes no difference"
    return True


def _header(line: bytes) -> tuple[bytes, bytes]:
    name, _, value = line.partition(b":")
    return name.lower(), value.strip()


def chains(item: bytes) -> bool:
    """A header and claims for each link, in lines; who holds the key signs them as they stand."""
    lines = item.split(b"\n")
    parts = [ROOT]
    for at, (header, claims) in enumerate(zip(lines[::2], lines[1::2], strict=False)):
        filled = _filled(claims, parts[-1], at)
        signed = base64url.encode(header) + b"." + base64url.encode(filled)
        key = HOLDERS[at % len(HOLDERS)]
        parts.append(signed + b"." + base64url.encode(key.sign(signed)))
    try:
        found = prove(b"~".join(parts)).mandate
    except TokenRefused:
        return False
    assert 2 <= len(parts) <= MAX_LINKS + 1
    assert found.scopes.scopes <= HELD.scopes.scopes
    assert set(found.resources) <= set(HELD.resources)
    assert found.expires_at <= HELD.expires_at
    for at in range(1, len(parts)):
        key = HOLDERS[at - 1]
        link = verify_link(parts[at], parts[at - 1], key.holder)
        again = verify_link(sign_link(parts[at - 1], link, key), parts[at - 1], key.holder)
        assert (again.scopes, again.resources, again.bound) == (
            link.scopes,
            link.resources,
            link.bound,
        )
        assert (again.issued_at, again.expires_at) == (link.issued_at, link.expires_at)
    return True


def _filled(claims: bytes, before: bytes, at: int) -> bytes:
    words = {
        b"PREV": base64url.encode(hashlib.sha256(before).digest()),
        b"HOLDER": render_holder(HOLDERS[(at + 1) % len(HOLDERS)].holder),
        b"IAT": str(int(NOW.timestamp())).encode(),
        b"EXP": str(int((NOW + timedelta(seconds=300)).timestamp())).encode(),
    }
    for word, value in words.items():
        claims = claims.replace(word, value, 1)
    return claims


def baggage(item: bytes) -> bool:
    """Header lines."""
    text = item.decode("latin-1")
    headers = [(name, value) for name, _, value in (it.partition(":") for it in text.split("\n"))]
    parse_baggage(text)
    found = parse_trace_context(headers)
    if found is None:
        return False
    again = parse_trace_context(found.headers(lambda size: bytes([1]) * size))
    assert again == TraceContext(found.trace_id, found.flags, found.state, found.baggage)
    stated = [member.strip(" \t") for _, value in headers for member in value.split(",")]
    members = found.baggage.split(",") if found.baggage else []
    assert set(members) <= set(stated)
    assert not any(member.lower().startswith("caracal.") for member in members)
    assert (found.baggage + found.state).isascii()
    assert "\r" not in found.baggage + found.state
    return bool(found.state and found.baggage)


def profiles(item: bytes, folder: Path) -> bool:
    """A whole file."""
    found = _profile(item, folder)
    if isinstance(found, InvalidConfiguration):
        assert all(found.problems)
        assert found.problems
        return False
    assert _profile(_rendered(found).encode(), folder) == found
    return True


def _profile(item: bytes, folder: Path) -> Configuration | InvalidConfiguration:
    file = folder / "profile.toml"
    file.touch(mode=0o600)
    file.write_bytes(item)
    try:
        return read_profile(file)
    except InvalidConfiguration as refused:
        return refused


def told_of(item: bytes, folder: Path) -> str:
    """All that a refused profile's reader is told."""
    found = _profile(item, folder)
    return "\n".join(found.problems) if isinstance(found, InvalidConfiguration) else repr(found)


def _rendered(configuration: Configuration) -> str:
    values = {
        "zone_id": configuration.zone_id,
        "application_id": configuration.application_id,
        "app_client_secret": configuration.client_secret.reveal(),
        "sts_url": configuration.sts_url,
        "coordinator_url": configuration.coordinator_url,
        "gateway_url": configuration.gateway_url,
        "audit_url": configuration.audit_url,
    }
    lines = [f"{name} = {_quoted(value)}" for name, value in values.items() if value]
    if configuration.default_ttl is not None:
        lines.append(f"default_ttl_seconds = {int(configuration.default_ttl.total_seconds())}")
    for resource in configuration.resources:
        lines += ["[[credentials]]", f"resource = {_quoted(resource)}"]
        prefix = configuration.prefixes.get(resource)
        lines += [f"upstream_prefix = {_quoted(prefix)}"] if prefix else []
    return "\n".join(lines)


def _quoted(text: str) -> str:
    """TOML's basic strings are those of JSON, but for what is beyond 16 bits and the delete character."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
