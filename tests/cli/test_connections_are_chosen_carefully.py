"""Which server and which token a command uses, and where a token never goes."""

import json
from pathlib import Path

import pytest

from caracal_server.cli.connection import find_connection
from caracal_server.cli.failures import CommandFailed, ExitCode

TOKEN = "ct_a-token-of-an-operator"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory in which `caracal up` wrote down where it is."""
    directory = tmp_path / "data"
    directory.mkdir()
    token = directory / "operator.token"
    token.write_text(TOKEN + "\n")
    written = {
        "control": "http://127.0.0.1:1",
        "gateway": "http://127.0.0.1:2",
        "operator_token_file": str(token),
        "data": str(directory),
        "pid": 1,
    }
    (directory / "server.json").write_text(json.dumps(written))
    return directory


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text("another-token\n")
    return file


def test_what_up_wrote_down_is_used(data):
    found = find_connection(None, None, data)
    assert found.server == "http://127.0.0.1:1"
    assert found.token.matches(TOKEN)


def test_what_is_given_comes_first(data, token_file):
    found = find_connection("https://caracal.example/", token_file, data)
    assert found.server == "https://caracal.example"
    assert found.token.matches("another-token")


def test_the_environment_comes_between(cli, data, token_file):
    environment = {"CARACAL_SERVER": "http://127.0.0.1:3", "CARACAL_DATA": str(data)}
    ended = cli("status", environment=environment, stdin="")
    assert "no operator token is known for http://127.0.0.1:3" in ended.err
    environment["CARACAL_OPERATOR_TOKEN_FILE"] = str(token_file)
    assert "no Caracal answers at http://127.0.0.1:3" in cli("status", environment=environment).err
    ended = cli("status", "--server", "http://127.0.0.1:4", environment=environment)
    assert "no Caracal answers at http://127.0.0.1:4" in ended.err
    assert ended.code == ExitCode.UNREACHABLE


def test_a_token_that_was_written_down_goes_to_no_other_server(data):
    with pytest.raises(CommandFailed) as failed:
        find_connection("https://elsewhere.example", None, data)
    assert failed.value.code is ExitCode.USAGE
    assert TOKEN not in failed.value.line


def test_the_same_server_spelled_with_a_slash_is_no_other(data):
    assert find_connection("http://127.0.0.1:1/", None, data).token.matches(TOKEN)


def test_a_token_is_not_sent_in_clear_over_a_network(cli, token_file):
    arguments = ("status", "--server", "http://192.0.2.1", "--token-file", str(token_file))
    refused = cli(*arguments)
    assert refused.code == ExitCode.USAGE
    assert "in clear" in refused.err


@pytest.mark.parametrize("server", ["http://localhost:1", "http://[::1]:1", "http://127.8.8.8:1"])
def test_loopback_is_no_network(server, token_file):
    assert find_connection(server, token_file).server == server


@pytest.mark.parametrize(
    "server",
    [
        "127.0.0.1:8080",
        "ftp://127.0.0.1",
        "http://",
        "http://127.0.0.1:port",
        "http://user:pw@127.0.0.1",
        "http://127.0.0.1/?q=1",
        "http://127.0.0.1/#f",
        "http://127.0.0.1/a b",
        "http://127.0.0.1\n.example",
        "http://[::1",
    ],
)
def test_what_is_no_address_is_refused(server, token_file):
    with pytest.raises(CommandFailed) as failed:
        find_connection(server, token_file)
    assert failed.value.code is ExitCode.USAGE
    assert "pw" not in failed.value.line


@pytest.mark.parametrize(
    "content",
    [b"", b"\n", b"two words", b"two\nlines", b"\xff\xfe", b"x" * 5000, b"secret\r\nx: y"],
    ids=["empty", "blank", "words", "lines", "bytes", "long", "header"],
)
def test_a_file_without_a_token_is_refused_and_not_shown(tmp_path, content):
    file = tmp_path / "token"
    file.write_bytes(content)
    with pytest.raises(CommandFailed) as failed:
        find_connection("http://127.0.0.1:1", file)
    assert failed.value.code is ExitCode.USAGE
    assert "secret" not in failed.value.line
    assert "xxxx" not in failed.value.line


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(CommandFailed, match="absent"):
        find_connection("http://127.0.0.1:1", tmp_path / "absent")


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"control": 1, "operator_token_file": "x"}'])
def test_a_spoilt_server_file_is_named(data, content):
    (data / "server.json").write_text(content)
    with pytest.raises(CommandFailed, match=r"server\.json") as failed:
        find_connection(None, None, data)
    assert failed.value.code is ExitCode.USAGE


def test_a_connection_does_not_show_its_token(data):
    assert TOKEN not in repr(find_connection(None, None, data))
