"""An upstream's URL is parsed once, and one that could be read in two ways is refused."""

import pytest

from caracal.wire.upstream_url import UpstreamUrl


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://api.example", ("http", "api.example", 80, "/", "")),
        ("HTTPS://API.Example:8443/v1/?a=b", ("https", "api.example", 8443, "/v1/", "a=b")),
        ("https://[FD00::0001]/x", ("https", "fd00::1", 443, "/x", "")),
        ("http://10.0.0.1:80", ("http", "10.0.0.1", 80, "/", "")),
        ("http://my_service-1:8080", ("http", "my_service-1", 8080, "/", "")),
    ],
)
def test_an_upstream_url_is_parsed_once_into_its_parts(text, expected):
    url = UpstreamUrl.parse(text)
    assert (url.scheme, url.host, url.port, url.path, url.query) == expected


def test_the_authority_leaves_a_default_port_out():
    assert UpstreamUrl.parse("https://api.example:443").authority == "api.example"
    assert UpstreamUrl.parse("http://api.example:443").authority == "api.example:443"
    assert UpstreamUrl.parse("http://[::1]:8080").authority == "[::1]:8080"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "api.example",
        "//api.example",
        "ftp://api.example",
        "file:///etc/passwd",
        "http://",
        "http://:80",
        "http://user@api.example",
        "http://user:secret@api.example",
        "http://api.example#fragment",
        "http://api.example\\@evil.example",
        "http://api.example/a b",
        "http://api.example/\r\nX: y",
        "http://bücher.example",
        "http://api.example:0",
        "http://api.example:65536",
        "http://api.example:99999999",
        "http://api.example:",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0x7f.1/",
        "http://127.1/",
        "http://0177.0.0.1/",
        "http://010.0.0.1/",
        "http://127.0.0.1./",
        "http://api.example./",
        "http://api..example/",
        "http://-api.example/",
        "http://[::1/",
        "http://[fe80::1%25eth0]/",
        "http://[127.0.0.1]/",
        "http://" + "a" * 64 + ".example",
        "http://" + "a." * 127 + "example",
        "http://api.example/../admin",
        "http://api.example/%2e%2E/admin",
        "http://api.example/.",
    ],
)
def test_an_upstream_url_that_could_be_read_two_ways_is_refused(text):
    with pytest.raises(ValueError, match=r"upstream URL|host name|TCP port|IP address"):
        UpstreamUrl.parse(text)
