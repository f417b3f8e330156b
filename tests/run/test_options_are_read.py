"""What a launch is told is checked as a whole, before anything is asked or started."""

import pytest

from caracal.run.options import OPTIONS, LaunchProblem, read_launch
from tests.run.launching import Launching

API = "resource://api"


def read(command=("true",), **given):
    values = {option.name: [] for option in OPTIONS} | {"resource": [f"{API}=read"]}
    return read_launch(values | given, command)


def problems(**given) -> tuple[str, ...]:
    with pytest.raises(LaunchProblem) as wrong:
        read(**given)
    return wrong.value.problems


def test_resources_have_scopes_of_their_own_or_those_for_all():
    launch = read(resource=[f"{API}=read,write", "https://api.example/v1"], scope=["look"])
    assert {name: scopes.render() for name, scopes in launch.resources.items()} == {
        API: "read write",
        "https://api.example/v1": "look",
    }


def test_well_known_clients_get_their_variables():
    launch = read(openai=[f"{API}#/v1/"], github=[API], map=[f"DOCS_URL={API}#/docs"])
    assert {(each.variable, each.path) for each in launch.mapped} == {
        ("OPENAI_BASE_URL", "/v1"),
        ("OPENAI_API_BASE", "/v1"),
        ("GITHUB_API_URL", ""),
        ("DOCS_URL", "/docs"),
    }
    assert launch.keys == ("OPENAI_API_KEY", "GITHUB_TOKEN", "GH_TOKEN")


def test_hosts_that_go_directly_are_named_exactly():
    launch = read(allow_direct=["Pypi.example", "db.example:5000", "[::1]:80", "[::2]"])
    assert launch.direct == {
        ("pypi.example", 80),
        ("pypi.example", 443),
        ("db.example", 5000),
        ("::1", 80),
        ("::2", 80),
        ("::2", 443),
    }


@pytest.mark.parametrize(
    "text", ["", "a/b", "http://x", "a:b", "a:0", "a:99999", "u@h", "*", "a?b"]
)
def test_what_is_no_host_is_refused(text):
    assert "is no HOST or HOST:PORT" in problems(allow_direct=[text])[0]


@pytest.mark.parametrize(
    "variable",
    ["LD_PRELOAD", "NODE_OPTIONS", "CARACAL_APP_CLIENT_SECRET", "a-b", "1A", "", "A B", "Ä"],
)
def test_no_base_url_gets_into_a_variable_that_does_something_else(variable):
    assert "--map" in problems(map=[f"{variable}={API}"])[0]


def test_everything_that_is_wrong_is_said_at_once():
    found = problems(
        command=(),
        resource=["api", "resource://b", f'{API}=not"a scope'],
        map=["X", "URL=resource://c", "URL=resource://b#v1"],
        allow_direct=["/"],
    )
    assert len(found) == 9


def test_a_launch_without_a_resource_is_refused():
    assert problems(resource=[]) == ("--resource: name at least one",)


def test_the_command_line_says_it_and_ends_with_2(launching: Launching):
    done = launching.run("true", options=("--resource", "api"))
    assert done.returncode == 2
    assert done.stderr.startswith("caracal: --resource: 'api'")
    assert "Traceback" not in done.stderr


def test_both_command_lines_know_the_same_options(launching: Launching):
    for done in (
        launching.run("true", options=("--help",)),
        launching.zone.deployment.running.run("run", "--help"),
    ):
        assert all(option.flag in done.stdout for option in OPTIONS)
