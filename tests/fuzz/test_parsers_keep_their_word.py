"""Parsers of what strangers send: kept inputs go where they always went, and small changes to them end in a typed refusal."""

import functools
import time
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz import targets
from tests.fuzz.mutations import CORPUS, corpus, mutations

SECONDS = 1.0
"""Of the processor, for 64 KiB at most."""
PARSERS = ("baggage", "chains", "mcp", "profiles")
KEPT = {name: corpus(name) for name in PARSERS}

Target = Callable[[bytes], bool]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("profiles")


@pytest.fixture(params=PARSERS)
def name(request) -> str:
    return request.param


@pytest.fixture
def target(name, folder) -> Target:
    read = getattr(targets, name)
    return functools.partial(read, folder=folder) if name == "profiles" else read


def took(target: Target, item: bytes) -> bool:
    begun = time.process_time()
    taken = target(item)
    assert time.process_time() - begun < SECONDS
    return taken


def test_every_kept_input_belongs_to_a_parser_and_says_what_becomes_of_it():
    assert {folder.name for folder in CORPUS.iterdir()} == set(PARSERS)
    for kept in KEPT.values():
        assert {name.partition("-")[0] for name in kept} == {"good", "bad"}


def test_kept_inputs_are_taken_or_refused_as_their_names_say(name, target):
    found = {item: took(target, text) for item, text in KEPT[name].items()}
    assert found == {item: item.startswith("good-") for item in found}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_what_nearly_is_right_is_taken_whole_or_refused(name, target, data):
    took(target, data.draw(mutations(KEPT[name])))


def test_no_refused_profile_tells_its_secret(folder):
    for text in KEPT["profiles"].values():
        assert "hidden-word" not in targets.told_of(text, folder)
