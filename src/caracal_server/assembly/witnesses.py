"""The witnesses of a deployment's logs, and how they are reached."""

from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any, Final

from caracal.evidence.errors import EvidenceError
from caracal.evidence.witness_policy import parse_policy
from caracal_server.adapters.http.client import PooledUpstreamClient, verifying_context
from caracal_server.adapters.http.egress import EgressGuard
from caracal_server.adapters.http.pool import PoolLimits
from caracal_server.adapters.http.witnesses import GuardedWitnessClient
from caracal_server.assembly.settings import SettingInvalid
from caracal_server.audit.witness_standing import WitnessSettings
from caracal_server.ports.upstream import UpstreamTimeouts
from caracal_server.ports.witnesses import WitnessClient

TIMEOUT: Final = timedelta(seconds=5)
"""For one request to a witness, from the name's resolution to the last byte."""
_REQUIRE: Final = "require"


def witnesses(
    settings: dict[str, Any], stack: AsyncExitStack
) -> tuple[WitnessSettings, WitnessClient] | None:
    """Read the policy, if there is one, and make the client for it.

    Raises:
        SettingInvalid: the policy can not be used, or a mode is set without one.
    """
    wanted = _wanted(settings)
    if wanted is None:
        return None
    client = PooledUpstreamClient(
        EgressGuard(settings["PRIVATE_EGRESS_HOSTS"]),
        timeouts=UpstreamTimeouts(total=TIMEOUT),
        limits=PoolLimits(connections=16, waiting=64),
        tls=verifying_context(settings["TLS_EXTRA_CA_FILE"]),
    )
    stack.push_async_callback(client.aclose)
    return wanted, GuardedWitnessClient(client)


def _wanted(settings: dict[str, Any]) -> WitnessSettings | None:
    file, required = settings["WITNESS_POLICY_FILE"], settings["WITNESS_MODE"] == _REQUIRE
    refusing = settings["WITNESS_REFUSE"]
    if refusing and not required:
        raise SettingInvalid("CARACAL_WITNESS_REFUSE needs CARACAL_WITNESS_MODE=require")
    if file is None:
        if required:
            raise SettingInvalid("CARACAL_WITNESS_MODE=require needs CARACAL_WITNESS_POLICY_FILE")
        return None
    try:
        policy = parse_policy(file.read_bytes())
    except EvidenceError as fault:
        raise SettingInvalid(f"CARACAL_WITNESS_POLICY_FILE: {file}: {fault}") from None
    unreachable = [one.name for one in policy.witnesses if not one.url]
    if unreachable:
        raise SettingInvalid(
            f"CARACAL_WITNESS_POLICY_FILE: {file}: no URL for the witness {unreachable[0]!r}"
        )
    return WitnessSettings(policy, required, refusing, settings["WITNESS_STALE_SECONDS"])
