"""Which addresses a webhook may go to, form by form."""

from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.notify.addresses import refusal

REFUSED = {
    "10.0.0.0": "private",
    "10.255.255.255": "private",
    "172.16.0.1": "private",
    "172.31.255.255": "private",
    "192.168.1.1": "private",
    "fc00::1": "private",
    "fdff:ffff::1": "private",
    "127.0.0.1": "loopback",
    "127.255.255.254": "loopback",
    "::1": "loopback",
    "::1%lo": "loopback",
    "169.254.0.1": "link-local",
    "fe80::1": "link-local",
    "fe80::1%eth0": "link-local",
    "febf::1": "link-local",
    "fec0::1": "site-local",
    "169.254.169.254": "metadata",
    "169.254.170.2": "metadata",
    "100.100.100.200": "metadata",
    "168.63.129.16": "metadata",
    "192.0.0.192": "metadata",
    "fd00:ec2::254": "metadata",
    "fd20:ce::254": "metadata",
    "100.64.0.1": "shared",
    "100.127.255.255": "shared",
    "0.0.0.0": "this host",
    "0.1.2.3": "this host",
    "::": "this host",
    "192.0.0.8": "reserved for protocols",
    "192.0.0.170": "reserved for protocols",
    "192.0.2.1": "documentation",
    "198.51.100.7": "documentation",
    "203.0.113.9": "documentation",
    "2001:db8::1": "documentation",
    "3fff::1": "documentation",
    "198.18.0.1": "benchmarks",
    "198.19.255.255": "benchmarks",
    "2001:2::1": "benchmarks",
    "224.0.0.1": "multicast",
    "239.255.255.250": "multicast",
    "ff02::1": "multicast",
    "ff0e::1": "multicast",
    "240.0.0.1": "reserved",
    "255.255.255.254": "reserved",
    "255.255.255.255": "broadcast",
    "192.88.99.1": "relay",
    "100::1": "discards",
    "2001:10::1": "ORCHID",
    "2001:20::1": "ORCHID",
    "2001:1::1": "reserved for protocols",
    "::ffff:127.0.0.1": "127.0.0.1 is a loopback",
    "::ffff:7f00:1": "127.0.0.1 is a loopback",
    "::ffff:10.1.2.3": "10.1.2.3 is a private",
    "::ffff:169.254.169.254": "metadata",
    "0:0:0:0:0:ffff:a00:1": "10.0.0.1 is a private",
    "::127.0.0.1": "deprecated form",
    "::8.8.8.8": "deprecated form",
    "::ffff:0:8.8.8.8": "translated form",
    "64:ff9b::10.0.0.1": "NAT64",
    "64:ff9b::8.8.8.8": "NAT64",
    "64:ff9b:1::1": "NAT64",
    "2002:7f00:1::": "6to4",
    "2002:808:808::1": "6to4",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2": "Teredo",
    "4000::1": "reserved",
    "5f00::1": "reserved",
    "200::1": "reserved",
    "fe00::1": "reserved",
    "localhost": "not an IP address",
    "0177.0.0.1": "not an IP address",
    "127.1": "not an IP address",
    "2130706433": "not an IP address",
    "": "not an IP address",
}

PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.1",
    "169.253.255.255",
    "172.15.255.255",
    "172.32.0.0",
    "192.0.1.1",
    "192.167.255.255",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "::ffff:8.8.8.8",
    "2001:4860:4860::8888",
    "2606:4700:4700::1111",
    "2a00:1450:4001:81b::200e",
    "2003::1",
]


@pytest.mark.parametrize(("address", "why"), REFUSED.items())
def test_an_address_that_is_not_public_is_refused_with_its_reason(address: str, why: str) -> None:
    reason = refusal(address, [])
    assert reason is not None
    assert why in reason


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_not_refused(address: str) -> None:
    assert refusal(address, []) is None


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        ("10.1.2.3", "10.1.0.0/16"),
        ("::ffff:10.1.2.3", "10.1.0.0/16"),
        ("::ffff:10.1.2.3", "::ffff:0:0/96"),
        ("fd12::1", "fd12::/16"),
        ("fe80::1%eth0", "fe80::/10"),
        ("64:ff9b::8.8.8.8", "64:ff9b::/96"),
    ],
)
def test_what_the_operator_allows_wins(address: str, allowed: str) -> None:
    assert refusal(address, []) is not None
    assert refusal(address, [ip_network("192.0.2.0/24"), ip_network(allowed)]) is None


def test_what_the_operator_allows_is_all_that_it_allows() -> None:
    assert refusal("10.2.0.1", [ip_network("10.1.0.0/16"), ip_network("fd12::/16")]) is not None


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_mapped_into_ipv6_is_judged_as_what_it_is(address: IPv4Address) -> None:
    mapped = IPv6Address(0xFFFF << 32 | int(address))
    assert refusal(mapped, []) == refusal(address, [])
    assert refusal(str(mapped), []) == refusal(str(address), [])


@given(st.ip_addresses(v=4), st.sampled_from(["::{}", "::ffff:0:{}", "64:ff9b::{}"]))
def test_an_ipv4_address_in_any_other_form_is_refused(address: IPv4Address, form: str) -> None:
    assert refusal(form.format(address), []) is not None


@given(st.ip_addresses())
def test_what_passes_is_global_by_the_standard_library_too(
    address: IPv4Address | IPv6Address,
) -> None:
    if refusal(address, []) is None:
        unmapped = getattr(address, "ipv4_mapped", None) or address
        assert unmapped.is_global
