"""Tokens and secrets that the command line renews: shown once or written once, and never both."""

import json

import pytest

from caracal_server.cli.failures import ExitCode
from caracal_server.cli.operators import next_name


@pytest.mark.parametrize(
    ("name", "taken", "following"),
    [
        ("first", {"first"}, "first-2"),
        ("first", {"first", "first-2"}, "first-3"),
        ("first-9", {"first-9"}, "first-10"),
        ("first-again", {"first-again"}, "first-again-2"),
        ("7", {"7"}, "7-2"),
        ("n" * 64, {"n" * 64}, "n" * 62 + "-2"),
    ],
)
def test_the_next_token_is_named_after_the_one_before(name, taken, following):
    assert next_name(name, taken) == following


@pytest.fixture
def zone(caracal, tmp_path):
    file = tmp_path / "zone.json"
    file.write_text(json.dumps({"zone": "renewals", "applications": [{"name": "agent"}]}))
    caracal.ask("apply", str(file))
    return "renewals"


def test_a_renewed_secret_is_shown_once_or_written_to_a_file(caracal, cli, zone, tmp_path):
    shown = cli("application", "renew", "agent", "--zone", zone, environment=caracal.environment)
    assert shown.code == ExitCode.OK
    assert "counts no more" in shown.out
    assert shown.out.split()[-1].startswith("cs_")

    file = tmp_path / "agent.secret"
    arguments = ["--zone", zone, "--overlap", "60", "--output", str(file)]
    written = cli("application", "renew", "agent", *arguments, environment=caracal.environment)
    assert "counts for 60 s" in written.out
    assert "cs_" not in written.out
    assert file.read_text().startswith("cs_")
    assert file.stat().st_mode & 0o777 == 0o600


def test_what_can_not_be_renewed_is_said_and_leaves_no_file(caracal, cli, zone, tmp_path):
    file = tmp_path / "none"
    for command in (
        ("application", "renew", "nobody", "--zone", zone, "--output", str(file)),
        ("operator", "rotate", "nobody", "--output", str(file)),
        ("key", "retire-log"),
    ):
        ended = cli(*command, environment=caracal.environment)
        assert ended.code == ExitCode.REFUSED, ended.err
    assert not file.exists()


def test_the_token_before_is_revoked_once_the_next_one_is_written(caracal, cli, tmp_path):
    made, following = tmp_path / "a.token", tmp_path / "b.token"
    created = caracal.ask("operator", "create", "renewed", "--output", str(made))
    arguments = ["rotate", created["id"], "--output", str(following)]
    ended = cli("operator", *arguments, environment=caracal.environment)
    assert ended.code == ExitCode.OK
    assert f"{created['id']}, is revoked" in ended.out
    assert "ct_" not in ended.out
    for file, code in ((made, ExitCode.UNAUTHORISED), (following, ExitCode.OK)):
        as_operator = caracal.environment | {"CARACAL_OPERATOR_TOKEN_FILE": str(file)}
        assert cli("zone", "list", environment=as_operator).code == code
