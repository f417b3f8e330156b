"""Client ID Metadata Documents are kept for a while; one that could not be had, not for long."""

import json

import pytest

from caracal.wire.client_metadata import MAX_DOCUMENT_BYTES
from caracal_server.adapters.http.client import verifying_context
from caracal_server.adapters.http.client_documents import (
    KEPT_SECONDS,
    TRIED_AGAIN_SECONDS,
    FetchedClientDocuments,
)
from caracal_server.ports.client_metadata import ClientMetadataUnavailable
from tests.adapters_http.certificates import serving_context, write_ca_file
from tests.adapters_http.raw_upstream import ScriptedResolver, client, ok, upstream
from tests.support.zone import HandClock

DOCUMENT = json.dumps({"client_name": "A"}).encode()


async def test_who_keeps_a_host_busy_for_a_moment_does_not_keep_its_clients_out_for_minutes(
    tmp_path,
):
    answers = [
        b"HTTP/1.1 429 Too Many Requests\r\ncontent-length: 0\r\n\r\n",
        ok(b"x" * (MAX_DOCUMENT_BYTES + 1)),
        ok(DOCUMENT),
    ]
    asked, clock, ca_file = [], HandClock(), write_ca_file(tmp_path)

    async def speaks(conversation):
        while True:
            asked.append(await conversation.request())
            await conversation.say(answers[min(len(asked), len(answers)) - 1])

    async with (
        upstream(speaks, serving_context(ca_file)) as there,
        client(
            "127.0.0.1",
            tls=verifying_context(None, ca_file),
            resolver=ScriptedResolver(["127.0.0.1"]),
            total=5.0,
        ) as upstreams,
    ):
        documents = FetchedClientDocuments(upstreams, clock)
        url = f"https://api.example:{there.port}/client.json"
        for attempt in (1, 2):
            for _ in "ab":
                with pytest.raises(ClientMetadataUnavailable):
                    await documents.fetch(url)
            assert len(asked) == attempt
            clock.move(seconds=TRIED_AGAIN_SECONDS + 0.1)
        for _ in "ab":
            assert await documents.fetch(url) == DOCUMENT
            clock.move(seconds=KEPT_SECONDS / 2 - 1)
        assert len(asked) == 3
        clock.move(seconds=3)
        assert await documents.fetch(url) == DOCUMENT
        assert len(asked) == 4
