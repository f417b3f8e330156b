"""Configurations: every mistake at once, with the field and the fix, and no secret in any of it."""

import os
import subprocess
import sys
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caracal import AsyncCaracal, Caracal
from caracal.sdk import Configuration, InvalidConfiguration, Secret
from caracal.sdk.profiles import read_environment, read_profile

PLANTED = "cs_planted-secret"
GOOD = {
    "CARACAL_ZONE_ID": "zone-1",
    "CARACAL_APPLICATION_ID": "app-1",
    "CARACAL_APP_CLIENT_SECRET": PLANTED,
}
PROFILE = """
zone_id = "zone-1"
application_id = "app-1"
app_client_secret_file = "secret"
sts_url = "https://caracal.example/"
gateway_url = "https://gateway.example"
default_ttl_seconds = 600

[[credentials]]
resource = "resource://reports"
upstream_prefix = "https://api.example/v1"

[[optional_credentials]]
resource = "resource://mail"
"""


def problems(read, *arguments) -> tuple[str, ...]:
    with pytest.raises(InvalidConfiguration) as refused:
        read(*arguments)
    assert PLANTED not in str(refused.value)
    return refused.value.problems


@pytest.fixture
def secret_file(tmp_path):
    path = tmp_path / "secret"
    path.write_text(PLANTED + "\n")
    path.chmod(0o600)
    return path


@pytest.fixture
def profile(tmp_path, secret_file):
    path = tmp_path / "caracal.toml"
    path.write_text(PROFILE)
    return path


def test_the_environment_is_read():
    found = read_environment(
        GOOD
        | {
            "CARACAL_RESOURCES": "resource://a=https://a.example/v1, resource://b=http://b.example",
            "CARACAL_APP_RESOURCES": "resource://a,resource://c",
            "CARACAL_DEFAULT_TTL_SECONDS": "60",
        }
    )
    assert found.client_secret.reveal() == PLANTED
    assert found.sts_url == found.coordinator_url == found.audit_url == "http://localhost:8080"
    assert found.gateway_url == "http://localhost:8081"
    assert found.resources == ("resource://a", "resource://b", "resource://c")
    assert found.prefixes == {
        "resource://a": "https://a.example/v1",
        "resource://b": "http://b.example",
    }
    assert found.default_ttl == timedelta(seconds=60)
    assert PLANTED not in repr(found)


def test_a_profile_is_read_and_the_environment_adds_resources(profile):
    found = read_profile(profile)
    assert found.client_secret.reveal() == PLANTED
    assert found.coordinator_url == found.sts_url == "https://caracal.example"
    assert found.resources == ("resource://reports", "resource://mail")
    assert found.prefixes == {"resource://reports": "https://api.example/v1"}
    assert found.default_ttl == timedelta(minutes=10)
    named = {
        "CARACAL_CONFIG": str(profile),
        "CARACAL_ZONE_ID": "ignored",
        "CARACAL_RESOURCES": "resource://reports=https://other.example",
    }
    assert read_environment(named).zone_id == "zone-1"
    assert read_environment(named).prefixes == {"resource://reports": "https://other.example"}
    for client in (Caracal.from_env(named), Caracal.from_profile(profile)):
        assert client.configuration.application_id == "app-1"
        client.close()


async def test_the_client_for_asyncio_reads_the_same(profile):
    async with AsyncCaracal.from_profile(profile) as one, AsyncCaracal.from_env(GOOD) as other:
        assert one.configuration.application_id == other.configuration.application_id
        assert "app-1" in repr(one)


def test_the_processs_own_environment_is_read_by_default(monkeypatch):
    for name, value in GOOD.items():
        monkeypatch.setenv(name, value)
    with Caracal.from_env() as client:
        assert client.configuration.zone_id == "zone-1"


def test_all_mistakes_are_named_at_once():
    found = problems(
        read_environment,
        {
            "CARACAL_APP_CLIENT_SECRET": PLANTED,
            "CARACAL_APP_CLIENT_SECRET_FILE": "/nowhere",
            "CARACAL_STS_URL": "http://caracal.example",
            "CARACAL_GATEWAY_URL": "gateway.example",
            "CARACAL_AUDIT_URL": "https://a.example/?q=1",
            "CARACAL_RESOURCES": "resource://a,no resource=https://x.example,resource://b=/v1",
            "CARACAL_DEFAULT_TTL_SECONDS": "-1",
            "CARACAL_BOOTSTRAP_TOKEN": "planted.b.t",
        },
    )
    for name in (
        "CARACAL_ZONE_ID",
        "CARACAL_APPLICATION_ID",
        "CARACAL_APP_CLIENT_SECRET_FILE",
        "CARACAL_STS_URL",
        "CARACAL_GATEWAY_URL",
        "CARACAL_AUDIT_URL",
        "CARACAL_DEFAULT_TTL_SECONDS",
        "CARACAL_BOOTSTRAP_TOKEN",
    ):
        assert [line for line in found if name in line], name
    assert len([line for line in found if "RESOURCES" in line]) == 3
    assert not [line for line in found if "planted" in line]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda path: path.chmod(0o640), "chmod 600"),
        (lambda path: path.chmod(0o604), "chmod 600"),
        (lambda path: path.write_text("\n"), "is empty"),
        (lambda path: path.write_bytes(b"\xff"), "not UTF-8"),
        (lambda path: path.write_text("x" * 5000), "more than 4096 bytes"),
        (lambda path: path.unlink(), "No such file"),
        (lambda path: (path.unlink(), os.mkfifo(path)), "not a file"),
        (lambda path: (path.unlink(), path.mkdir()), "Is a directory"),
    ],
)
def test_a_secret_file_that_is_not_safe_to_use_is_refused(secret_file, change, told):
    change(secret_file)
    given = {name: value for name, value in GOOD.items() if "SECRET" not in name}
    given["CARACAL_APP_CLIENT_SECRET_FILE"] = str(secret_file)
    (problem,) = problems(read_environment, given)
    assert told in problem
    assert "CARACAL_APP_CLIENT_SECRET_FILE" in problem


def test_a_secret_in_a_profile_is_for_its_owner_only(profile):
    profile.write_text(PROFILE.replace('secret_file = "secret"', f'secret = "{PLANTED}"'))
    profile.chmod(0o644)
    assert "chmod 600" in problems(read_profile, profile)[0]
    profile.chmod(0o600)
    assert read_profile(profile).client_secret.reveal() == PLANTED


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("unknown = 1", "unknown"),
        ("zone_id = 7", "zone_id"),
        ("= broken", "no TOML"),
        ("default_ttl_seconds = 86401", "default_ttl_seconds"),
        ("[[credentials]]\nresource = 'x'", "credentials"),
        ("[[credentials]]\nupstream = 'x'", "credentials"),
    ],
)
def test_a_profile_is_read_strictly(tmp_path, line, told):
    path = tmp_path / "caracal.toml"
    path.write_text(f'application_id = "a"\napp_client_secret = "{PLANTED}"\n{line}\n')
    path.chmod(0o600)
    assert told in " ".join(problems(read_profile, path))


def test_resources_may_be_in_a_file(tmp_path):
    file = tmp_path / "resources.json"
    given = GOOD | {"CARACAL_RESOURCES_FILE": str(file)}
    file.write_text('{"resource://a": "https://a.example"}')
    assert read_environment(given).prefixes == {"resource://a": "https://a.example"}
    file.write_text('[{"resource_id": "resource://b", "upstream_prefix": "https://b.example"}]')
    assert read_environment(given).prefixes == {"resource://b": "https://b.example"}
    file.write_text('[{"resource_id": "resource://b"}, {"resource_id": 1}, 7]')
    assert len(problems(read_environment, given)) == 3
    for text in ("", "7", "[", '{"a": 1}'):
        file.write_text(text)
        assert "CARACAL_RESOURCES_FILE" in problems(read_environment, given)[0]


def test_in_production_addresses_have_no_defaults():
    found = problems(read_environment, GOOD | {"CARACAL_ENV": "production"})
    assert len(found) == 3


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.9.1", "[::1]"])
def test_http_is_for_loopback_only(host):
    given = {"zone_id": "z", "application_id": "a", "client_secret": Secret("s")}
    assert Configuration(**given, sts_url=f"http://{host}:1")
    for other in ("http://10.0.0.1", "http://localhost.example", "http://[fe80::1]", ""):
        with pytest.raises(InvalidConfiguration, match="sts_url"):
            Configuration(**given, sts_url=other)


@pytest.mark.parametrize(
    "wrong",
    [
        {"zone_id": "a b"},
        {"client_secret": Secret("")},
        {"client_secret": Secret("a\nb")},
        {"resources": ("no uri",)},
        {"prefixes": {"resource://a": "nowhere"}},
        {"prefixes": {"resource://a": "https://a.example?q"}},
        {"default_ttl": timedelta(days=2)},
    ],
)
def test_a_configuration_checks_itself(wrong):
    given = {"zone_id": "z", "application_id": "a", "client_secret": Secret("s")} | wrong
    with pytest.raises(InvalidConfiguration):
        Configuration(**given)


@given(st.dictionaries(st.sampled_from([*GOOD, "CARACAL_STS_URL", "CARACAL_RESOURCES"]), st.text()))
def test_any_environment_is_a_configuration_or_a_list_of_mistakes(environment):
    try:
        assert read_environment(environment).zone_id
    except InvalidConfiguration as refused:
        assert all(refused.problems)  # noqa: PT017 (either is fine; this is the other)


@given(
    text=st.one_of(st.text(), st.text(alphabet='zone_id="[]\n#{}credentials=resource', max_size=80))
)
def test_any_profile_is_a_configuration_or_a_list_of_mistakes(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "fuzzed.toml"
    path.write_bytes(text.encode(errors="replace"))
    with pytest.raises(InvalidConfiguration) as refused:
        read_profile(path)
    assert refused.value.problems


def test_importing_caracal_loads_no_http_client():
    script = (
        "import sys, caracal; assert 'httpx' not in sys.modules;"
        "assert 'Caracal' in dir(caracal); caracal.Caracal; assert 'httpx' in sys.modules;"
        "\ntry: caracal.Nothing\nexcept AttributeError: pass\nelse: sys.exit(1)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
