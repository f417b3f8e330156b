"""Nothing that looks like a mandate leaves, wherever a chunk ends; everything else leaves, and at once."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from caracal.run.redaction import LONGEST, REDACTED, Redactor

SECRET = b"a!b!c!d!e!f!"
TOKEN = b"eyJhbGciOi" + b"x" * 20 + b".eyJzdWIi" + b"y" * 30 + b"." + b"z" * 40
GENERATED = b"cs_" + b"s" * 43
SECRETS = (TOKEN, GENERATED, SECRET)

words = st.one_of(
    st.sampled_from(
        [*SECRETS, b"e", b"ey", b"eyJ", b"cs", b"cs_", b"a!b!", b" ", b"\n", b"docs_folder"]
    ),
    st.binary(max_size=8),
)
texts = st.lists(words, max_size=12).map(b" ".join)


def fed(data: bytes, cuts: list[int], *, idle: bool) -> bytes:
    redactor = Redactor([SECRET])
    at, shown = 0, b""
    for cut in [*sorted(cut % (len(data) + 1) for cut in cuts), len(data)]:
        shown += redactor.feed(data[at:cut])
        if idle and redactor.holding:
            shown += redactor.idle()
        at = max(at, cut)
    return shown + redactor.end()


@given(text=texts, cuts=st.lists(st.integers(0, 2000), max_size=20))
@example(text=TOKEN, cuts=list(range(len(TOKEN))))
def test_chunks_make_no_difference(text, cuts):
    whole = fed(text, [], idle=False)
    assert fed(text, cuts, idle=False) == whole
    for secret in SECRETS:
        assert secret not in whole


@given(text=texts, cuts=st.lists(st.integers(0, 2000), max_size=20))
def test_pauses_show_a_few_bytes_of_a_token_at_most(text, cuts):
    shown = fed(text, cuts, idle=True)
    for secret in SECRETS:
        assert secret not in shown
    # Without what was shown early, it is what would have been shown without pauses.
    whole = fed(text, [], idle=False)
    if not any(secret in text for secret in SECRETS):
        assert shown == whole


@given(st.binary(max_size=300).filter(lambda data: b"eyJ" not in data and b"cs_" not in data))
def test_what_is_no_token_passes_as_it_is(data):
    assert fed(data.replace(SECRET, b""), [7, 50, 120], idle=False) == data.replace(SECRET, b"")


@pytest.mark.parametrize(
    "secret", [b"d0fe4c1d", b"one-two-one", b"before-eyJ-after", b"before-cs_-after"]
)
def test_a_secret_at_the_end_of_a_chunk_is_whole_though_a_part_of_it_could_begin_another(secret):
    for begin in (b"", b"x ", b"x"):
        redactor = Redactor([secret])
        shown = redactor.feed(begin + secret) + redactor.idle() + redactor.feed(b"\n")
        assert shown + redactor.end() == begin + REDACTED + b"\n"


def test_a_token_among_words_is_taken_out():
    text = b"Authorization: Bearer " + TOKEN + b"\nsecret=" + GENERATED + b" " + SECRET + b"."
    redacted = fed(text, [], idle=False)
    assert redacted == b"Authorization: Bearer %b\nsecret=%b %b." % (REDACTED, REDACTED, REDACTED)


def test_a_line_leaves_at_once():
    redactor = Redactor()
    assert redactor.feed(b'{"jsonrpc": "2.0"}\n') == b'{"jsonrpc": "2.0"}\n'
    assert not redactor.holding


def test_a_prompt_is_shown_whole_when_nothing_follows():
    redactor = Redactor()
    assert redactor.feed(b"Your name") == b"Your nam"
    assert redactor.holding
    assert redactor.idle() == b"e"
    assert not redactor.holding
    assert redactor.feed(b": ") == b": "


def test_a_token_without_end_is_redacted_without_being_kept():
    redactor = Redactor()
    shown = redactor.feed(b"x eyJ" + b"a" * LONGEST)
    shown += b"".join(redactor.feed(b"a" * 1000) for _ in range(10))
    shown += redactor.feed(b"aaa done\n")
    assert shown == b"x " + REDACTED + b" done\n"
