import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from caracal.tokens.jws import MAX_TOKEN_BYTES
from caracal.verify import Code
from caracal.verify.bearer import bearer_token
from caracal.verify.refusals import NotVerified
from tests.verify.examples import refusal

_PIECES = st.sampled_from([b"Bearer", b"bearer", b" ", b"\t", b",", b"a.b.c", b"=", b"\x00", b'"'])
_VALUES = st.lists(_PIECES, max_size=6).map(b"".join) | st.binary(max_size=40)


@pytest.mark.parametrize("value", [b"Bearer a.b.c", b"bearer  a.b.c", b"BEARER a.b.c"])
def test_the_scheme_has_any_case_and_blanks_may_follow(value):
    assert bearer_token([value]) == b"a.b.c"


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ([], Code.MISSING_TOKEN),
        ([b""], Code.MISSING_TOKEN),
        ([b"Basic YTpi"], Code.MISSING_TOKEN),
        ([b"BearerX a"], Code.MISSING_TOKEN),
        ([b"Bearer"], Code.INVALID_REQUEST),
        ([b"Bearer "], Code.INVALID_REQUEST),
        ([b"Bearer a b"], Code.INVALID_REQUEST),
        ([b"Bearer a,Bearer b"], Code.INVALID_REQUEST),
        ([b"Bearer a\n"], Code.INVALID_REQUEST),
        ([b"Bearer a", b"Bearer a"], Code.INVALID_REQUEST),
        ([b"Bearer a", b"Basic b"], Code.INVALID_REQUEST),
        ([b"Bearer " + b"a" * (MAX_TOKEN_BYTES + 1)], Code.INVALID_TOKEN),
    ],
)
def test_everything_else_is_refused_with_a_code(values, code):
    assert refusal(bearer_token, values).code is code


@given(st.lists(_VALUES, max_size=2))
@example([b"Bearer a\x0b"])
def test_a_token_comes_out_only_where_the_grammar_has_one(values):
    try:
        token = bearer_token(values)
    except NotVerified as refused:
        assert refused.status in (400, 401)  # noqa: PT017 (both ways are judged)
        return
    [value] = values
    assert re.fullmatch(rb"[A-Za-z0-9\-._~+/]+=*", token)
    assert value.lower().startswith(b"bearer ")
    assert value.endswith(b" " + token)
