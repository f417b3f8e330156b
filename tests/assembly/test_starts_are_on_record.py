"""What a process writes about itself when it starts: the same for the same, and no secret."""

import hashlib
import os
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from caracal.authority.policy.engine import PolicyEngine
from caracal.authority.policy.schema import PolicyVocabulary
from caracal.authority.zones import Zone
from caracal.tokens.secret import Secret
from caracal_server.assembly.installed import installed
from caracal_server.assembly.settings import PEER_SETTINGS, SETTINGS, read_settings
from caracal_server.assembly.start_entry import (
    InstanceLog,
    policies_digest,
    settings_digest,
    start_entry,
)
from tests.support.deployment import PERMIT_ALL
from tests.support.evidence_log import RecordingLog

ENVIRONMENT = {"CARACAL_PRIVATE_EGRESS_HOSTS": "b.test,a.test:8443,10.0.0.0/8,c.test,10.1.1.1"}
DIGEST_IN_ANOTHER_PROCESS = f"""
from caracal_server.assembly.settings import read_settings
from caracal_server.assembly.start_entry import settings_digest
print(settings_digest(read_settings({ENVIRONMENT!r})))
"""


class _Clock:
    def now(self) -> datetime:
        return datetime.fromtimestamp(7, UTC)

    def now_us(self) -> int:
        return 7_000_000

    def monotonic(self) -> float:
        return 7.0


def test_a_start_says_what_is_installed_and_with_which_settings_and_policies():
    settings = read_settings({})
    entry = start_entry(_Clock(), "i-1", settings, "caracal gateway", ())
    assert (entry.code, entry.code_state) == (installed().digest, installed().state)
    assert entry.digest == settings_digest(settings) != settings_digest(read_settings(ENVIRONMENT))
    assert entry.policy == hashlib.sha256(b"{}").hexdigest()
    assert start_entry(_Clock(), "i-1", settings, "caracal audit", None).policy == ""


def test_the_digest_of_settings_is_the_same_in_every_process():
    others = {
        subprocess.run(
            [sys.executable, "-c", DIGEST_IN_ANOTHER_PROCESS],
            capture_output=True, text=True, check=True, env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout.strip()
        for seed in ("1", "2")
    }  # fmt: skip
    assert others == {settings_digest(read_settings(ENVIRONMENT))}


def test_sets_have_one_spelling_and_secrets_none():
    assert settings_digest({"A": frozenset({"x", "y"})}) == settings_digest({"A": "x y"})
    assert settings_digest({"A": Secret("one")}) == settings_digest({"A": Secret("other")})


@pytest.mark.parametrize("setting", [*SETTINGS, *PEER_SETTINGS], ids=lambda one: one.name)
def test_no_setting_holds_a_secret(setting):
    """A secret is in a file, and the setting names the file; else its digest could be guessed at."""
    secret = any(
        word in setting.name for word in ("SECRET", "PASSWORD", "TOKEN", "KEY", "DATABASE")
    )
    assert not secret or setting.name.endswith(("_FILE", "_DIRECTORY"))


def test_the_digest_of_policies_is_over_zones_and_the_digests_of_their_policies():
    engine = PolicyEngine.compile(PERMIT_ALL, PolicyVocabulary(frozenset(), {}))
    zones = (Zone("z-2", "two", 1), Zone("z-1", "one", 1, policy=engine))
    expected = f'{{"z-1":"{engine.digest}","z-2":""}}'
    assert policies_digest(zones) == hashlib.sha256(expected.encode()).hexdigest()
    assert policies_digest(reversed(zones)) == policies_digest(zones)


async def test_every_entry_of_a_process_names_its_instance():
    log = RecordingLog()
    evidence = InstanceLog(log, "i-1")
    entry = start_entry(_Clock(), "i-1", {}, "caracal", None)
    await evidence.append(entry)
    evidence.enqueue(entry)
    assert {one.instance for one in log.entries} == {"i-1"}
    assert len(log.entries) == 2
