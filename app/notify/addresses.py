"""To which IP addresses a webhook may go: not into the operator's network, nor around it.

Networks are named, and not taken from `ipaddress`: its `is_global` in Python 3.11 passes NAT64,
6to4 and multicast. Source: IANA's registries of special-purpose addresses, and providers' manuals.
"""

from collections.abc import Sequence
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Final

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

# The first that fits says why, so that the narrower ones come first.
_REFUSED: Final[Sequence[tuple[str, Sequence[Network]]]] = [
    (what, [ip_network(network) for network in networks.split()])
    for what, networks in (
        (
            "a cloud's metadata service",
            # AWS, Azure, Google and others; AWS for containers; Scaleway; Alibaba; Oracle's former;
            # Azure's, which is a public one; then AWS, Google and Scaleway by IPv6.
            (
                "169.254.169.254 169.254.169.253 169.254.170.2 169.254.170.23 169.254.42.42"
                " 100.100.100.200 192.0.0.192 168.63.129.16"
                " fd00:ec2::254 fd00:ec2::23 fd20:ce::254 fd00:42::42"
            ),
        ),
        ("a loopback address", "127.0.0.0/8 ::1"),
        ("a private address", "10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 fc00::/7"),
        ("a link-local address", "169.254.0.0/16 fe80::/10"),
        ("a site-local address", "fec0::/10"),
        ("a shared address of a provider's NAT", "100.64.0.0/10"),
        ("an address of this host", "0.0.0.0/8 ::"),
        ("a broadcast address", "255.255.255.255"),
        ("a multicast address", "224.0.0.0/4 ff00::/8"),
        (
            "an address for documentation",
            "192.0.2.0/24 198.51.100.0/24 203.0.113.0/24 2001:db8::/32 3fff::/20",
        ),
        ("an address for benchmarks", "198.18.0.0/15 2001:2::/48"),
        ("a relay from IPv4 to IPv6", "192.88.99.0/24"),
        ("an address that discards", "100::/64"),
        ("an ORCHID, which is no address", "2001:10::/28 2001:20::/28"),
        # What these lead to is another address, behind a gateway that nobody vetted.
        ("an IPv4 address in the form of NAT64", "64:ff9b::/96 64:ff9b:1::/48"),
        ("an IPv4 address in the form of 6to4", "2002::/16"),
        ("an IPv4 address in the form of Teredo", "2001::/32"),
        ("an IPv4 address in a translated form", "::ffff:0:0:0/96"),
        ("an IPv4 address in a deprecated form", "::/96"),
        ("an address reserved for protocols", "192.0.0.0/24 2001::/23"),
        ("a reserved address", "240.0.0.0/4"),
    )
]
_IPV6_IN_USE: Final = IPv6Network("2000::/3")
"""All else of IPv6 is special or not assigned."""


def refusal(address: str | Address, allowed: Sequence[Network]) -> str | None:
    """Why a webhook may not go to `address`, as a sentence; None if it may.

    What the operator has in `allowed` wins. An IPv4 address that is mapped into IPv6 is judged as
    what it is; a zone (`%eth0`) plays no part. Text that is no address is refused.
    """
    try:
        found = ip_address(address)
    except ValueError:
        return f"{address} is not an IP address"
    judged = _unmapped(found)
    if any(form in network for network in allowed for form in (found, judged)):
        return None
    for what, networks in _REFUSED:
        if any(judged in network for network in networks):
            return f"{judged} is {what}"
    if isinstance(judged, IPv6Address) and judged not in _IPV6_IN_USE:
        return f"{judged} is a reserved address"
    return None


def _unmapped(address: Address) -> Address:
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
