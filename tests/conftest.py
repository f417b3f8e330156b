"""How hard Hypothesis searches: a little on a desk, more and repeatably in CI."""

import os

from hypothesis import HealthCheck, settings

from tests.support.postgres import postgres as postgres  # noqa: PLC0414 (a fixture, for every folder)

# A busy machine is slow; slowness says nothing about a property.
_PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

settings.register_profile("dev", _PATIENT, max_examples=50)
settings.register_profile("ci", _PATIENT, max_examples=100, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") == "true" else "dev")
