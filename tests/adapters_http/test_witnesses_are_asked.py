"""Witnesses are asked through the egress guard, within bounds, and believed in nothing but signatures."""

import pytest

from caracal.evidence.cosignatures import cosign
from caracal.evidence.witness_protocol import MAX_ANSWER_BYTES, Declined, Holds
from caracal_server.adapters.http.witnesses import GuardedWitnessClient
from caracal_server.ports.witnesses import WitnessUnreachable
from tests.adapters_http.raw_upstream import client, ok, upstream
from tests.evidence.witnesses import witness

LINE = cosign("log\n", *witness(1), 9)


async def asked(answer: bytes, private: str = "127.0.0.1", prefix: str = "/w/", **seconds):
    """What the client makes of an answer, and what it had sent."""
    heads = []

    async def speaks(conversation):
        heads.append(await conversation.request())
        await conversation.say(answer)

    async with (
        upstream(speaks) as there,
        client(private, **({"total": 2.0} | seconds)) as made,
    ):
        found = await GuardedWitnessClient(made).add_checkpoint(
            f"http://127.0.0.1:{there.port}{prefix}", "old 0\n\nnote"
        )
    return found, heads


async def test_a_request_is_posted_under_the_prefix_and_its_answer_read():
    for prefix in ("/w/", "/w"):
        found, [head] = await asked(ok(f"{LINE.render()}\n".encode()), prefix=prefix)
        assert found == (LINE,)
        assert head.startswith(b"POST /w/add-checkpoint HTTP/1.1\r\n")
    conflict = ok(b"7\n", "Content-Type: text/x.tlog.size").replace(b"200 OK", b"409 Conflict")
    assert (await asked(conflict))[0] == Holds(7)
    elsewhere = ok(b"", "Location: http://169.254.169.254/").replace(b"200 OK", b"302 Found")
    assert (await asked(elsewhere))[0] == Declined(302), "no redirect is followed"


@pytest.mark.parametrize(
    ("answer", "more"),
    [
        (ok(b"hello\n"), {}),
        (ok(b"7\n").replace(b"200 OK", b"409 Conflict"), {}),
        (ok(bytes(MAX_ANSWER_BYTES + 1)), {}),
        (b"nonsense\r\n\r\n", {}),
        (b"", {}),
        (ok(b"x"), {"private": "10.0.0.1"}),
        (ok(b"x"), {"prefix": "/w?query"}),
    ],
    ids=["no line", "no size", "too long", "not HTTP", "closed", "egress", "no prefix"],
)
async def test_whatever_else_comes_is_no_answer(answer, more):
    with pytest.raises(WitnessUnreachable):
        await asked(answer, **more)
