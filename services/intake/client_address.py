"""Which address a request comes from. What a stranger says about that counts for nothing."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network


def networks(setting: str) -> tuple[Network, ...]:
    """`10.0.0.0/8, 192.0.2.7` as written in a setting; raises ValueError."""
    return tuple(ip_network(part.strip()) for part in setting.split(",") if part.strip())


def client_address(peer: str, forwarded: Sequence[str], trusted: Sequence[Network]) -> str:
    """The peer, or who the trusted proxies before us say it is: the last entry that none of them stands for.

    `forwarded` are the X-Forwarded-For headers in their order. What cannot be read ends the search.
    """
    found = peer
    for entry in reversed([entry for header in forwarded for entry in header.split(",")]):
        if not _is_trusted(found, trusted) or (address := _address(entry)) is None:
            break
        found = str(address)
    return found


def household(address: str) -> str:
    """The address as something to count by: of IPv6 its /64, which one machine has all of."""
    found = _address(address)
    return str(ip_network((found, 64), strict=False)) if isinstance(found, IPv6Address) else str(found or "unknown")


def _is_trusted(address: str, trusted: Sequence[Network]) -> bool:
    found = _address(address) if trusted else None
    return found is not None and any(found in network for network in trusted)


def _address(entry: str) -> IPv4Address | IPv6Address | None:
    """An address, with or without a port; an IPv4 address in IPv6 form is the IPv4 address."""
    written = entry.strip()
    if written.startswith("["):
        written = written[1:].partition("]")[0]
    elif written.count(":") == 1:
        written = written.partition(":")[0]
    try:
        found = ip_address(written.partition("%")[0])
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, IPv6Address) else found
