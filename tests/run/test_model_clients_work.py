"""The `openai` and `anthropic` clients as they are published, whole answers and streams."""

from threading import Event

import pytest

from tests.run.launching import Launching
from tests.run.model_server import WORD, WORDS
from tools.repository import ROOT

PYTHON = ROOT / ".venv" / "tools" / "clients" / "bin" / "python"
SENTENCE = "".join(WORDS)

OPENAI = """
import sys, openai
client = openai.OpenAI()
ask = dict(model="recorded", messages=[{"role": "user", "content": "Say it."}])
if sys.argv[1] == "whole":
    print(client.chat.completions.create(**ask).choices[0].message.content)
else:
    for chunk in client.chat.completions.create(**ask, stream=True):
        print(chunk.choices[0].delta.content or "", end="", flush=True)
"""
ANTHROPIC = """
import sys, anthropic
client = anthropic.Anthropic()
ask = dict(model="recorded", max_tokens=9, messages=[{"role": "user", "content": "Say it."}])
if sys.argv[1] == "whole":
    print(client.messages.create(**ask).content[0].text)
else:
    with client.messages.stream(**ask) as stream:
        for text in stream.text_stream:
            print(text, end="", flush=True)
"""
PROGRAMS = {"openai": OPENAI, "anthropic": ANTHROPIC}


@pytest.fixture(scope="module")
def thinking(deployment, models) -> Launching:
    """An agent that may chat, at both makers of models, and nothing else."""
    assert PYTHON.exists(), f"{PYTHON} is not there: `make test` installs what these tests run"
    url = f"http://{models.authority}"
    zone = deployment.zone(
        providers=[
            {"name": "bearer", "kind": "bearer_token", "secret": WORD},
            {"name": "key", "kind": "api_key", "header": "X-Api-Key", "secret": WORD},
        ],
        resources=[
            {
                "identifier": "resource://openai",
                "upstream": url,
                "provider": "bearer",
                "operations": {"POST /v1/chat/completions": "chat"},
            },
            {
                "identifier": "resource://anthropic",
                "upstream": url,
                "provider": "key",
                "operations": {"POST /v1/messages": "chat"},
            },
        ],
    )
    options = (
        "--scope",
        "chat",
        "--resource",
        "resource://openai",
        "--resource",
        "resource://anthropic",
    )
    return Launching(
        zone,
        options=(
            *options,
            "--openai",
            "resource://openai#/v1",
            "--anthropic",
            "resource://anthropic",
        ),
    )


@pytest.mark.parametrize("client", ["openai", "anthropic"])
def test_a_client_gets_an_answer_with_a_key_that_it_never_has(thinking, models, client):
    own = dict.fromkeys(("OPENAI_API_KEY", "ANTHROPIC_API_KEY"), "from-the-shell")
    done = thinking.run(str(PYTHON), "-c", PROGRAMS[client], "whole", **own)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{SENTENCE}\n"
    path, key, body = models.asked[-1]
    assert path == {"openai": "/v1/chat/completions", "anthropic": "/v1/messages"}[client]
    assert key == {"openai": f"Bearer {WORD}", "anthropic": WORD}[client]
    assert body["messages"] == [{"role": "user", "content": "Say it."}]


@pytest.mark.parametrize("client", ["openai", "anthropic"])
def test_a_stream_arrives_event_by_event(thinking, models, client):
    """The server sends the second word only after the program has shown the first."""
    models.wait_for = Event()
    try:
        with thinking.started(str(PYTHON), "-c", PROGRAMS[client], "stream") as process:
            first = process.stdout.read(len(WORDS[0]))
            assert first.decode() == WORDS[0], process.stderr.read().decode()
            models.wait_for.set()
            assert process.stdout.read().decode() == SENTENCE.removeprefix(WORDS[0])
            assert process.wait(20) == 0
    finally:
        models.wait_for.set()
        models.wait_for = None


def test_what_is_refused_is_an_error_that_a_client_shows(thinking):
    script = (
        "import openai\n"
        "try: openai.OpenAI().embeddings.create(model='m', input='x')\n"
        "except openai.PermissionDeniedError as error: print(error.message)\n"
    )
    done = thinking.run(str(PYTHON), "-c", script)
    assert done.returncode == 0, done.stderr
    assert "[operation_undeclared]" in done.stdout
