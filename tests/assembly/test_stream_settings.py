"""Where revocations are published: settings that could leak a key or a password stop the start."""

import pytest

from caracal_server.assembly.revocation_streams import streams_of
from caracal_server.assembly.settings import SettingInvalid, read_settings

KEY = "a1" * 32
WORD = "open" + "sesame"


@pytest.fixture
def settings(tmp_path):
    def read(url=None, key=None, **more):
        environment = dict(more)
        for name, text in (("URL", url), ("KEY", key)):
            if text is not None:
                (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
                environment[f"CARACAL_STREAMS_{name}_FILE"] = str(tmp_path / name)
        return streams_of(read_settings(environment))

    return read


def test_nothing_is_published_unless_both_are_named(settings):
    assert settings() is None
    for given in ({"url": "rediss://valkey"}, {"key": KEY}):
        with pytest.raises(SettingInvalid, match="need each other"):
            settings(**given)


@pytest.mark.parametrize(
    "url",
    [
        f"rediss://user:{WORD}@valkey.example:6380/0",
        "redis://127.0.0.1:6379/0",
        "redis://[::1]/1",
        "redis://localhost",
        "unix:///run/valkey.sock",
    ],
)
def test_an_address_with_tls_or_on_this_machine_will_do(settings, url):
    found = settings(f"{url}\n", f"{KEY}\n")
    assert (found.url.reveal(), found.key.reveal()) == (url, KEY)
    assert WORD not in repr(found)
    assert KEY not in repr(found)


@pytest.mark.parametrize(
    "url",
    [
        f"redis://user:{WORD}@valkey.example",
        "redis://10.0.0.1",
        "rediss://valkey.example?ssl_cert_reqs=none",
        f"rediss://valkey.example#{WORD}",
        "http://valkey.example",
        "rediss://valkey.example:port",
        "rediss://[",
        "",
        b"\xff",
    ],
)
def test_any_other_address_is_refused_and_not_shown(settings, url):
    with pytest.raises(SettingInvalid) as refused:
        settings(url, KEY)
    assert WORD not in str(refused.value)


def test_a_network_that_encrypts_may_be_named(settings):
    found = settings("redis://valkey.example", KEY, CARACAL_UNSAFE_STREAMS_NO_TLS="true")
    assert found is not None


@pytest.mark.parametrize("key", ["", "a1" * 31, "zz" * 32, b"\xff" * 32])
def test_a_key_that_is_none_is_refused_and_not_shown(settings, key):
    with pytest.raises(SettingInvalid, match="STREAMS_KEY_FILE"):
        settings("rediss://valkey.example", key)
