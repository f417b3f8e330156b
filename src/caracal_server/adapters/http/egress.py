"""Which addresses the Gateway may dial. Pure: addresses in, addresses out.

The rules are written up in docs/egress.md.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Self

from caracal_server.ports.upstream import IPAddress, UpstreamError, UpstreamErrorKind

IPNetwork = IPv4Network | IPv6Network


class AddressClass(StrEnum):
    """Why an address is not the open internet."""

    METADATA = "cloud metadata"
    LOOPBACK = "loopback"
    LINK_LOCAL = "link-local"
    PRIVATE = "private"
    CARRIER_NAT = "carrier-grade NAT"
    UNIQUE_LOCAL = "unique local"
    MULTICAST = "multicast"
    UNSPECIFIED = "unspecified"
    TRANSLATED = "translated"
    RESERVED = "reserved"


OPENED_BY_NAME = frozenset(
    {
        AddressClass.LOOPBACK,
        AddressClass.PRIVATE,
        AddressClass.CARRIER_NAT,
        AddressClass.UNIQUE_LOCAL,
    }
)
"""What a listed host name may resolve to. The rest takes an entry for the address itself."""

METADATA_ADDRESSES: frozenset[IPAddress] = frozenset(
    map(
        ip_address,
        (
            "169.254.169.254",  # AWS, Azure, Google Cloud, DigitalOcean, OpenStack
            "169.254.170.2",  # AWS container credentials
            "169.254.170.23",  # AWS EKS pod identity
            "fd00:ec2::254",
            "fd00:ec2::23",
            "fd20:ce::254",  # Google Cloud
            "100.100.100.200",  # Alibaba Cloud
            "192.0.0.192",  # Oracle Cloud
            "168.63.129.16",  # Azure wire server, a public address
            "fe80::a9fe:a9fe",  # OpenStack
        ),
    )
)

_CLASSES: tuple[tuple[AddressClass, tuple[IPNetwork, ...]], ...] = tuple(
    (kind, tuple(map(ip_network, networks)))
    for kind, networks in (
        (AddressClass.UNSPECIFIED, ("0.0.0.0/8", "::/128")),
        (AddressClass.LOOPBACK, ("127.0.0.0/8", "::1/128")),
        (AddressClass.LINK_LOCAL, ("169.254.0.0/16", "fe80::/10")),
        (AddressClass.PRIVATE, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")),
        (AddressClass.CARRIER_NAT, ("100.64.0.0/10",)),
        (AddressClass.UNIQUE_LOCAL, ("fc00::/7",)),
        (AddressClass.MULTICAST, ("224.0.0.0/4", "ff00::/8")),
        (
            AddressClass.TRANSLATED,
            (
                "::/96",  # IPv4-compatible
                "::ffff:0:0/96",  # IPv4-mapped
                "::ffff:0:0:0/96",  # RFC 2765
                "64:ff9b:1::/48",  # RFC 8215, local NAT64
                "2001::/32",  # Teredo
                "2002::/16",  # 6to4
            ),
        ),
        (AddressClass.RESERVED, ("192.88.99.0/24", "240.0.0.0/4", "fec0::/10", "5f00::/16")),
    )
)
_NAT64 = IPv6Network("64:ff9b::/96")
_ISATAP_MARKS = (0x0000_5EFE, 0x0200_5EFE)

_HOST_PORT = re.compile(r"(\[[^\]]*\]|[^:\[\]]*)(?::(.*))?", re.DOTALL)
_HOST_NAME = re.compile(r"(?=.{1,253}\Z)(?:(?!-)[a-z0-9_-]{1,63}(?<!-)(?:\.(?!\Z)|\Z))+")


def classify(address: IPAddress) -> AddressClass | None:
    """Say what kind of special address this is; `None` means a public one."""
    if _unscoped(address) in METADATA_ADDRESSES:
        return AddressClass.METADATA
    for kind, networks in _CLASSES:
        if any(address in network for network in networks):
            return kind
    if isinstance(address, IPv6Address):
        embedded = _embedded_ipv4(address)
        if embedded is not None and classify(embedded) is not None:
            return AddressClass.TRANSLATED
        if address in _NAT64:
            return None  # DNS64 hands these out for public hosts, which must stay reachable
    return None if address.is_global else AddressClass.RESERVED


def _unscoped(address: IPAddress) -> IPAddress:
    """Drop the zone of a scoped IPv6 address, which takes part in comparison."""
    return IPv6Address(int(address)) if isinstance(address, IPv6Address) else address


def _embedded_ipv4(address: IPv6Address) -> IPv4Address | None:
    low = int(address) & 0xFFFF_FFFF_FFFF_FFFF
    if address in _NAT64 or low >> 32 in _ISATAP_MARKS:
        return IPv4Address(low & 0xFFFF_FFFF)
    return None


@dataclass(frozen=True, slots=True)
class PrivateEgress:
    """The exceptions an operator listed: hosts, hosts with a port, addresses, networks."""

    names: frozenset[tuple[str, int | None]] = frozenset()
    networks: frozenset[tuple[IPNetwork, int | None]] = field(default_factory=frozenset)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a comma list such as `db.corp, api.corp:8443, 10.1.0.0/16, [::1]:8080`.

        Raises:
            ValueError: an entry is none of host, host:port, address, address:port, CIDR.
        """
        names: set[tuple[str, int | None]] = set()
        networks: set[tuple[IPNetwork, int | None]] = set()
        for entry in filter(None, (part.strip() for part in text.split(","))):
            target, port = _parse_entry(entry)
            if isinstance(target, str):
                names.add((target, port))
            else:
                networks.add((target, port))
        return cls(frozenset(names), frozenset(networks))

    def __str__(self) -> str:
        """Every entry, in one order whatever the order they were listed in."""
        entries = (*self.names, *self.networks)
        return " ".join(sorted(f"{what} {port or ''}".rstrip() for what, port in entries))

    def permits(self, host: str, port: int, address: IPAddress, kind: AddressClass) -> bool:
        """Say whether an entry opens `address`, of class `kind`, for a call to `host`."""
        for network, only_port in self.networks:
            if address not in network or only_port not in (None, port):
                continue
            # INVARIANT: a wide network never opens a metadata address by accident.
            if kind is not AddressClass.METADATA or network.num_addresses == 1:
                return True
        if kind not in OPENED_BY_NAME:
            return False
        return (host, None) in self.names or (host, port) in self.names


def _parse_entry(entry: str) -> tuple[str | IPNetwork, int | None]:
    if "/" in entry:
        return _parse_network(entry), None
    try:
        return ip_network(entry), None  # first, since a bare IPv6 address is full of colons
    except ValueError:
        pass
    matched = _HOST_PORT.fullmatch(entry)
    if matched is None:
        raise ValueError(f"{entry!r}: expected a host, host:port, address or CIDR")
    host, port = matched[1].lower(), _parse_port(entry, matched[2])
    if host.startswith("[") or host.replace(".", "").isdecimal():
        try:
            return ip_network(host.strip("[]")), port
        except ValueError as error:
            raise ValueError(f"{entry!r}: {host} is not an IP address") from error
    if not _HOST_NAME.fullmatch(host):
        raise ValueError(f"{entry!r}: {host!r} is not a host name; wildcards are not supported")
    return host, port


def _parse_network(entry: str) -> IPNetwork:
    if "://" in entry:
        raise ValueError(f"{entry!r}: list the host, not a URL")
    try:
        network = ip_network(entry)
    except ValueError as error:
        raise ValueError(f"{entry!r}: not a CIDR network: {error}") from error
    if network.prefixlen == 0:
        raise ValueError(f"{entry!r}: lists every address; name the networks you mean")
    return network


def _parse_port(entry: str, port: str | None) -> int | None:
    if port is None:
        return None
    if not (port.isascii() and port.isdecimal() and 0 < int(port[:6]) < 65536):  # noqa: PLR2004 - the range of a TCP port
        raise ValueError(f"{entry!r}: {port!r} is not a TCP port")
    return int(port)


@dataclass(frozen=True, slots=True)
class EgressGuard:
    """Picks, from what a name resolved to, the addresses that may be dialled."""

    private: PrivateEgress = field(default_factory=PrivateEgress)

    def refusal(self, host: str, port: int, address: IPAddress) -> AddressClass | None:
        """Say why `address` may not be dialled for a call to `host`; `None` means it may."""
        kind = classify(address)
        if kind is None or self.private.permits(host, port, address, kind):
            return None
        return kind

    def permitted(
        self, host: str, port: int, addresses: Iterable[IPAddress]
    ) -> tuple[IPAddress, ...]:
        """Keep the addresses that may be dialled, in order.

        Raises:
            UpstreamError: `refused_by_egress` when none is left.
        """
        kept: list[IPAddress] = []
        refused: list[str] = []
        for address in addresses:
            kind = self.refusal(host, port, address)
            if kind is None:
                kept.append(address)
            else:
                refused.append(f"{address} is a {kind} address")
        if not kept:
            why = "; ".join(refused) or "it has no address"
            raise UpstreamError(UpstreamErrorKind.REFUSED_BY_EGRESS, f"{host}:{port}: {why}")
        return tuple(kept)
