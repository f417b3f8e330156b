"""No address inside the operator's network is dialled unless the operator listed it."""

import re
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caracal_server.adapters.http.egress import (
    METADATA_ADDRESSES,
    AddressClass,
    EgressGuard,
    PrivateEgress,
    classify,
)
from caracal_server.ports.upstream import UpstreamError

REFUSED = {
    "0.0.0.0": "unspecified",
    "0.1.2.3": "unspecified",
    "::": "unspecified",
    "127.0.0.1": "loopback",
    "127.255.255.254": "loopback",
    "::1": "loopback",
    "169.254.1.1": "link-local",
    "fe80::1": "link-local",
    "fe80::1%eth0": "link-local",
    "10.0.0.1": "private",
    "172.16.0.1": "private",
    "172.31.255.255": "private",
    "192.168.1.1": "private",
    "100.64.0.1": "carrier-grade NAT",
    "100.127.255.254": "carrier-grade NAT",
    "fc00::1": "unique local",
    "fdff::1": "unique local",
    "224.0.0.1": "multicast",
    "239.255.255.255": "multicast",
    "ff02::1": "multicast",
    "169.254.169.254": "cloud metadata",
    "169.254.170.2": "cloud metadata",
    "100.100.100.200": "cloud metadata",
    "168.63.129.16": "cloud metadata",
    "fd00:ec2::254": "cloud metadata",
    "fe80::a9fe:a9fe%eth0": "cloud metadata",
    "::ffff:127.0.0.1": "translated",
    "::ffff:8.8.8.8": "translated",
    "::7f00:1": "translated",
    "2002:7f00:1::": "translated",
    "2002:a9fe:a9fe::1": "translated",
    "2001:0:a9fe:a9fe::1": "translated",
    "64:ff9b::10.0.0.1": "translated",
    "64:ff9b::169.254.169.254": "translated",
    "64:ff9b:1::8.8.8.8": "translated",
    "2001:4860::5efe:10.0.0.1": "translated",
    "240.0.0.1": "reserved",
    "255.255.255.255": "reserved",
    "192.0.2.1": "reserved",
    "198.18.0.1": "reserved",
    "2001:db8::1": "reserved",
    "fec0::1": "reserved",
}


@pytest.mark.parametrize(("text", "kind"), REFUSED.items())
def test_every_class_of_special_address_is_refused_and_named(text, kind):
    with pytest.raises(UpstreamError) as caught:
        EgressGuard().permitted("evil.example", 80, [ip_address(text)])
    assert caught.value.kind == "refused_by_egress"
    assert not caught.value.request_sent
    assert f"is a {kind} address" in caught.value.detail


@pytest.mark.parametrize(
    "text",
    ["8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "64:ff9b::8.8.8.8"],
)
def test_public_addresses_pass(text):
    assert EgressGuard().permitted("api.example", 443, [ip_address(text)]) == (ip_address(text),)


addresses = st.one_of(
    st.ip_addresses(),
    st.sampled_from([n for text in REFUSED for n in [ip_network(f"{text.split('%')[0]}")]]).flatmap(
        lambda near: st.integers(-(2**18), 2**18).map(
            lambda step: type(near.network_address)(
                (int(near.network_address) + step) % 2**near.max_prefixlen
            )
        )
    ),
)


@given(addresses)
def test_nothing_passes_that_python_does_not_call_global(address):
    if not address.is_global or address.is_multicast:
        assert classify(address) is not None


@given(st.ip_addresses(v=4))
def test_an_ipv6_form_never_opens_what_its_ipv4_form_does_not(inner):
    number = int(inner)
    forms = [
        IPv6Address((0xFFFF << 32) | number),
        IPv6Address(number),
        IPv6Address((0x64FF9B << 96) | number),
        IPv6Address((0x2002 << 112) | (number << 80)),
        IPv6Address((0x20014860 << 96) | (0x5EFE << 32) | number),
    ]
    if classify(inner) is not None:
        assert all(classify(form) is not None for form in forms)


@given(st.ip_addresses(), st.integers(1, 65535))
def test_a_listed_address_passes_and_its_neighbour_does_not(address, port):
    guard = EgressGuard(PrivateEgress.parse(str(address)))
    assert guard.refusal("any.example", port, address) is None
    neighbour = type(address)(int(address) ^ 1)
    assert guard.refusal("any.example", port, neighbour) is classify(neighbour)


@given(st.ip_addresses(), st.integers(1, 65534))
def test_an_entry_with_a_port_opens_that_port_only(address, port):
    text = f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"
    guard = EgressGuard(PrivateEgress.parse(text))
    assert guard.refusal("any.example", port, address) is None
    assert guard.refusal("any.example", port + 1, address) is classify(address)


def test_a_listed_network_opens_its_addresses_and_no_others():
    guard = EgressGuard(PrivateEgress.parse("10.1.0.0/16, fd12::/16"))
    assert guard.refusal("x", 80, ip_address("10.1.255.1")) is None
    assert guard.refusal("x", 80, ip_address("fd12::1")) is None
    assert guard.refusal("x", 80, ip_address("10.2.0.1")) is AddressClass.PRIVATE
    assert guard.refusal("x", 80, ip_address("::ffff:10.1.0.1")) is AddressClass.TRANSLATED


@pytest.mark.parametrize("address", sorted(METADATA_ADDRESSES, key=str), ids=str)
def test_a_metadata_address_is_opened_only_by_an_entry_for_itself(address):
    around = ip_network(f"{address}/{8 if address.version == 4 else 16}", strict=False)
    for text in (f"{around}", "evil.example"):
        guard = EgressGuard(PrivateEgress.parse(text))
        assert guard.refusal("evil.example", 80, address) is AddressClass.METADATA
    assert EgressGuard(PrivateEgress.parse(str(address))).refusal("x", 80, address) is None


def test_a_listed_name_opens_private_addresses_for_that_name_only():
    guard = EgressGuard(PrivateEgress.parse("db.corp, api.corp:8443, localhost"))
    inside = ip_address("10.0.0.5")
    assert guard.refusal("db.corp", 5432, inside) is None
    assert guard.refusal("localhost", 80, ip_address("127.0.0.1")) is None
    assert guard.refusal("api.corp", 8443, inside) is None
    assert guard.refusal("api.corp", 443, inside) is AddressClass.PRIVATE
    assert guard.refusal("other.corp", 5432, inside) is AddressClass.PRIVATE


@pytest.mark.parametrize(
    "text", ["169.254.9.9", "224.0.0.1", "0.0.0.0", "240.0.0.1", "64:ff9b::a00:1"]
)
def test_a_listed_name_does_not_open_what_no_private_service_lives_on(text):
    guard = EgressGuard(PrivateEgress.parse("db.corp"))
    assert guard.refusal("db.corp", 80, ip_address(text)) is classify(ip_address(text))


def test_only_the_permitted_addresses_of_a_name_are_kept_in_order():
    found = [ip_address(text) for text in ("10.0.0.1", "9.9.9.9", "127.0.0.1", "8.8.8.8")]
    kept = EgressGuard().permitted("mixed.example", 443, found)
    assert kept == (IPv4Address("9.9.9.9"), IPv4Address("8.8.8.8"))


def test_a_name_without_addresses_is_refused():
    with pytest.raises(UpstreamError, match="refused_by_egress"):
        EgressGuard().permitted("empty.example", 80, [])


@pytest.mark.parametrize(
    ("text", "names", "networks"),
    [
        ("", set(), set()),
        (" , ,", set(), set()),
        ("DB.Corp", {("db.corp", None)}, set()),
        ("db.corp:5432", {("db.corp", 5432)}, set()),
        ("10.0.0.1", set(), {("10.0.0.1/32", None)}),
        (
            "10.0.0.1:80,::1,[::1]:81",
            set(),
            {("10.0.0.1/32", 80), ("::1/128", None), ("::1/128", 81)},
        ),
        ("[fd00::1]", set(), {("fd00::1/128", None)}),
        ("10.0.0.0/8, fc00::/7", set(), {("10.0.0.0/8", None), ("fc00::/7", None)}),
    ],
)
def test_the_operators_list_is_read_as_written(text, names, networks):
    parsed = PrivateEgress.parse(text)
    assert parsed.names == names
    assert parsed.networks == {(ip_network(n), port) for n, port in networks}


@pytest.mark.parametrize(
    "entry",
    [
        "http://db.corp",
        "*.corp",
        "db.corp:0",
        "db.corp:65536",
        "db.corp:",
        "db.corp:x",
        "db.corp:\u0661",
        "10.0.0.1/8",
        "10.0.0.0/33",
        "10.0.0.0/8:80",
        "0.0.0.0/0",
        "::/0",
        "300.1.1.1",
        "10.1",
        "[::1",
        "[db.corp]:80",
        "a b",
        "-x.corp",
        "db.corp.",
        "user@db.corp",
    ],
)
def test_an_entry_that_is_not_understood_stops_the_start_and_is_named(entry):
    with pytest.raises(ValueError, match=re.escape(repr(entry))):
        PrivateEgress.parse(f"fine.corp, {entry}")


@given(st.text(alphabet="0123456789abcdef.:/[]-* ,x", max_size=40))
def test_any_list_is_read_or_refused(text):
    try:
        parsed = PrivateEgress.parse(text)
    except ValueError:
        return
    assert all(network.prefixlen > 0 for network, _ in parsed.networks)
