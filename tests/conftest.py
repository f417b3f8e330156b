"""How hard Hypothesis searches: a little on a desk, more and repeatably in CI. What is measured, and what not."""

import os
from collections.abc import Generator
from pathlib import Path

import pytest
from coverage import Coverage
from hypothesis import HealthCheck, settings

from tests.support.postgres import postgres as postgres  # noqa: PLC0414 (a fixture, for every folder)

# A busy machine is slow; slowness says nothing about a property.
_PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

settings.register_profile("dev", _PATIENT, max_examples=50)
settings.register_profile("ci", _PATIENT, max_examples=100, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") == "true" else "dev")

_MEASURE = "COVERAGE_PROCESS_CONFIG"
_MEASURING = os.environ.get(_MEASURE)
_CHILDREN_MEASURED = frozenset({"admin", "apart", "cli", "run", "scenarios"})
"""What runs in processes of its own runs in these folders' tests; to measure it again elsewhere costs a third."""
_UNMEASURED = frozenset({"assurance", "deploy", "distribution", "release", "tools"})
"""Folders whose tests start builds and scanners: nobody learns from the coverage of those."""


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    if _MEASURING is None:
        return (yield)
    folder = item.path.relative_to(Path(__file__).parent).parts[0]
    if folder in _CHILDREN_MEASURED:
        os.environ[_MEASURE] = _MEASURING
    else:
        os.environ.pop(_MEASURE, None)
    measuring = Coverage.current() if folder in _UNMEASURED else None
    if measuring is not None:
        measuring.stop()
    try:
        return (yield)
    finally:
        if measuring is not None:
            measuring.start()
