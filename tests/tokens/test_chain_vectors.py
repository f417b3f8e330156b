"""Chains made without our code: they mean what they say, or are refused for the reason they say."""

import json
from datetime import UTC, datetime

import pytest

from caracal.authority.mandates import MandateClass
from caracal.tokens.jws import RawToken
from caracal.tokens.mandates import verify_chain
from caracal.tokens.refusal import TokenRefused
from tests.tokens.test_vectors import PUBLIC
from tests.tokens.vectors.make_chains import FILE, document

VECTORS = json.loads(FILE.read_text())
AT = datetime(2026, 1, 1, 0, 1, tzinfo=UTC)


def prove(token: str):
    return verify_chain(
        RawToken(token.encode()),
        keys=PUBLIC,
        issuer=VECTORS["issuer"],
        zone_id=VECTORS["zone_id"],
        mandate_classes=(MandateClass.GATEWAY,),
        audience=VECTORS["issuer"],
        now=AT,
    ).mandate


def test_the_file_is_what_its_script_makes():
    assert FILE.read_text() == document() + "\n"


@pytest.mark.parametrize("vector", VECTORS["accepted"], ids=lambda v: v["name"])
def test_a_vector_that_is_accepted_means_what_it_says(vector):
    proven, means = prove(vector["chain"]), vector["means"]
    assert proven.scopes.render() == means["scope"]
    assert list(proven.resources) == means["target"]
    assert int(proven.expires_at.timestamp()) == means["exp"]
    assert len(proven.origins) == vector["chain"].count("~")


@pytest.mark.parametrize("vector", VECTORS["refused"], ids=lambda v: v["name"])
def test_a_vector_that_is_refused_is_refused_for_its_reason(vector):
    with pytest.raises(TokenRefused) as refused:
        prove(vector["chain"])
    assert refused.value.reason == vector["reason"]
