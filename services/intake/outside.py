"""Where a call may go: public addresses by https, and what an operator allows beyond that. Opens no connection."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

import idna

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
_PORTS = {"https": 443, "http": 80}
_VISIBLE = re.compile(r"[\x21-\x7e]{1,8000}")
_NAME = re.compile(r"(?:[a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}")
_LONGEST_NAME = 253
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_CARRIERS = tuple(map(IPv6Network, ("64:ff9b::/96", "64:ff9b:1::/48")))  # the last 32 bits are an IPv4 address
_INSIDE = tuple(map(ip_network, ("168.63.129.16", "192.0.0.0/24", "fec0::/10")))  # clouds' own, and what Python misses


@dataclass(frozen=True, slots=True)
class Forbidden:
    """A call that is not made, and why; nothing has been sent."""

    why: str


@dataclass(frozen=True, slots=True)
class Target:
    """One call's way: `host` in lower case and ASCII, an IPv6 address without brackets; `path` with its query."""

    tls: bool
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """The Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS["https" if self.tls else "http"] else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Allow:
    """What an operator allows beyond public addresses: hosts, on one port or on any, and networks."""

    hosts: frozenset[tuple[str, int | None]] = frozenset()
    networks: tuple[Network, ...] = ()

    def names(self, target: Target) -> bool:
        """Whether the host itself is allowed, wherever it leads."""
        return not self.hosts.isdisjoint({(target.host, target.port), (target.host, None)})

    def holds(self, address: Address) -> bool:
        """Whether the address lies in an allowed network."""
        return any(address in network for network in self.networks)


def allowed(setting: str) -> Allow:
    """`partner.example.com, 127.0.0.1:8080, 10.1.0.0/16` as written in a setting; raises ValueError."""
    hosts: set[tuple[str, int | None]] = set()
    networks: list[Network] = []
    for entry in filter(None, (part.strip() for part in setting.split(","))):
        try:
            if "/" in entry:
                networks.append(ip_network(entry))
            else:
                found = urlsplit(f"//{entry.lower()}")
                if not found.hostname or found.netloc != entry.lower() or "@" in entry:
                    raise ValueError(entry)
                hosts.add((found.hostname, found.port))
        except ValueError as error:
            raise ValueError(f"{entry} is no host, host:port or network such as 10.1.0.0/16") from error
    return Allow(frozenset(hosts), tuple(networks))


def target_of(url: str) -> Target | Forbidden:
    """The way that a URL names; http is judged later, with the addresses."""
    if not _VISIBLE.fullmatch(url) or "\\" in url:
        return Forbidden("the URL holds spaces, control or foreign characters, or is too long")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return Forbidden("the URL cannot be read")
    if parts.scheme not in _PORTS:
        return Forbidden("the URL is neither https nor http")
    if "@" in parts.netloc:
        return Forbidden("the URL carries credentials")
    host = _host(parts.hostname or "")
    if host is None or port == 0:
        return Forbidden("the URL names no host, or in a form that is not taken")
    path = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    return Target(parts.scheme == "https", host, port or _PORTS[parts.scheme], path)


def judged(target: Target, addresses: tuple[Address, ...], allow: Allow) -> Forbidden | None:
    """Why none of these addresses of the target may be called; every single one must be fit."""
    named = allow.names(target)
    if not named and not all(is_public(address) or allow.holds(address) for address in addresses):
        return Forbidden("the host leads to an address that is not public")
    if not target.tls and not named and not all(map(allow.holds, addresses)):
        return Forbidden("the URL is not https")
    return None


def is_public(address: Address) -> bool:
    """Whether everybody on the internet reaches the same machine there; an IPv4 address inside an IPv6 one counts."""
    if isinstance(address, IPv6Address):
        inner = _inner(address)
        if inner:
            return is_public(inner)
    return address.is_global and not _special(address)


def _inner(address: IPv6Address) -> IPv4Address | None:
    if any(address in network for network in _CARRIERS):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)


def _special(address: Address) -> bool:
    named = address.is_multicast or address.is_reserved or address.is_unspecified or address.is_link_local
    return named or any(address in network for network in _INSIDE)


def _host(written: str) -> str | None:
    """An address in its usual form or a name; other forms of an address (hexadecimal, octal, short) are neither."""
    try:
        return str(ip_address(written)) if "%" not in written else None
    except ValueError:
        name = written.rstrip(".")
    try:
        name = name if name.isascii() else idna.encode(name, uts46=True).decode()
    except idna.IDNAError:
        return None
    number = _NUMBER.fullmatch(name.rpartition(".")[2])
    return name if len(name) <= _LONGEST_NAME and _NAME.fullmatch(name) and not number else None
