"""Which addresses may be reached."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sovereign_ari.errors import OutgoingFailed
from sovereign_ari.outgoing import policy as module
from sovereign_ari.outgoing.names import look_up
from sovereign_ari.outgoing.policy import OutgoingPolicy

NOBODY = OutgoingPolicy()
REFUSED = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "255.255.255.255/32",
    "::/128",
    "::1/128",
    "::/96",
    "64:ff9b:1::/48",
    "100::/64",
    "2001::/32",
    "2001:2::/48",
    "2001:10::/28",
    "2001:20::/28",
    "2001:db8::/32",
    "2002::/16",
    "3fff::/20",
    "5f00::/16",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
]
INSIDE = ["10.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "192.168.0.0/16", "100.64.0.0/10"]


def within(network: str) -> st.SearchStrategy[str]:
    net = ip_network(network)
    first, last = int(net.network_address), int(net.broadcast_address)
    kind = IPv4Address if net.version == 4 else IPv6Address
    return st.integers(first, last).map(kind).map(str)


@pytest.mark.parametrize("network", REFUSED)
def test_both_ends_of_a_special_network_are_refused(network: str) -> None:
    net = ip_network(network)
    assert not NOBODY.admits(str(net.network_address))
    assert not NOBODY.admits(str(net.broadcast_address))


@given(st.sampled_from(REFUSED).flatmap(within))
def test_nothing_in_a_special_network_is_admitted(address: str) -> None:
    assert not NOBODY.admits(address)


@given(st.sampled_from(INSIDE).flatmap(within).map(IPv4Address))
def test_no_way_to_write_a_private_address_in_ipv6_is_admitted(inner: IPv4Address) -> None:
    number = int(inner)
    for address in (
        IPv6Address(0xFFFF << 32 | number),  # mapped
        IPv6Address(number),  # compatible
        IPv6Address((0x64FF9B << 96) | number),  # NAT64
        IPv6Address((0x64FF9B0001 << 80) | number),  # NAT64 of a network's own
        IPv6Address((0x2002 << 112) | number << 80),  # 6to4
        IPv6Address((0x20010000 << 96) | number ^ 0xFFFFFFFF),  # Teredo
        IPv6Address(0xFFFF << 48 | number),  # translated, RFC 2765
    ):
        assert not NOBODY.admits(str(address)), address


@pytest.mark.parametrize(
    "address",
    [
        "1.1.1.1",
        "8.8.8.8",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "169.253.255.255",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.0",
        "192.167.255.255",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "2606:4700::1111",
        "2a00:1450:4009::200e",
        "2001:4860:4860::8888",
        "::ffff:8.8.8.8",
        "64:ff9b::808:808",
    ],
)
def test_public_addresses_up_to_the_edges_are_admitted(address: str) -> None:
    assert NOBODY.admits(address)


@given(st.integers(0, 2**32 - 1).map(IPv4Address) | st.integers(0, 2**128 - 1).map(IPv6Address))
def test_what_is_admitted_is_never_special_for_python_either(
    address: IPv4Address | IPv6Address,
) -> None:
    if NOBODY.admits(str(address)):
        inner = IPv4Address(int(address) & 0xFFFFFFFF)
        stands_for = isinstance(address, IPv6Address) and int(address) >> 124 != 2
        real = inner if stands_for else address
        assert real.is_global
        assert not any((real.is_private, real.is_multicast, real.is_reserved))
        assert not any((real.is_loopback, real.is_link_local, real.is_unspecified))


@given(st.text(max_size=60))
def test_what_is_no_address_is_not_admitted(text: str) -> None:
    try:
        ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        assert not NOBODY.admits(text)
        assert not OutgoingPolicy([ip_network("0.0.0.0/0")]).admits(text)


@given(st.sampled_from(INSIDE).flatmap(lambda net: within(net).map(lambda a: (net, a))))
def test_the_operators_networks_are_admitted_and_no_others(found: tuple[str, str]) -> None:
    network, address = found
    policy = OutgoingPolicy([ip_network(network)])
    assert policy.admits(address)
    assert policy.allows(address)
    assert policy.admits(f"::ffff:{address}")
    for other in INSIDE:
        if other != network:
            assert not policy.admits(str(ip_network(other).network_address))
    assert policy.admits("8.8.8.8")
    assert not policy.allows("8.8.8.8")


def test_allowing_ipv6_does_not_allow_the_ipv4_behind_it() -> None:
    everything = OutgoingPolicy([ip_network("::/0")])
    assert everything.admits("fc00::1")
    assert not everything.admits("::ffff:10.0.0.1")
    assert not everything.admits("64:ff9b::a00:1")


@pytest.mark.parametrize("address", ["fe80::1%eth0", "127.0.0.1%1", "::1%lo"])
def test_a_zone_changes_nothing(address: str) -> None:
    assert not NOBODY.admits(address)


@pytest.mark.parametrize(
    ("url", "fault"),
    [
        ("https://localhost/", "localhost is not a public host"),
        ("https://LOCALHOST./", "localhost is not a public host"),
        ("https://a.localhost/", "a.localhost is not a public host"),
        ("https://db.internal/", "db.internal is not a public host"),
        ("https://printer.local/", "printer.local is not a public host"),
        ("https://intranet/", "intranet is not a public host"),
        ("https://127.0.0.1./", "127.0.0.1 is not a public address"),
        ("https://１２７。０。０。１/", "127.0.0.1 is not a public address"),
        ("https://[::ffff:127.0.0.1]/", "::ffff:7f00:1 is not a public address"),
        ("https://[64:ff9b::7f00:1]/", "64:ff9b::7f00:1 is not a public address"),
    ],
)
def test_a_private_host_is_a_fault(url: str, fault: str) -> None:
    assert NOBODY.fault(url) == fault


def test_a_public_url_has_no_fault() -> None:
    assert NOBODY.fault("https://hooks.example.com:8443/a?b=c") is None
    assert NOBODY.fault("http://8.8.8.8/") is None


# --- names ---------------------------------------------------------------------------------------


class Names:
    """A name server that gives its answers one after the other, the last one for ever."""

    def __init__(self, *answers: Sequence[str] | OSError) -> None:
        self._answers = list(answers)

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, OSError):
            raise answer
        return answer


async def test_only_the_public_addresses_of_a_name_are_given() -> None:
    names = Names(["10.0.0.1", "8.8.8.8", "::1", "2606:4700::1111", "169.254.169.254"])
    found = await OutgoingPolicy(names=names).addresses("a.example", 443)
    assert found == ["8.8.8.8", "2606:4700::1111"]


async def test_every_look_up_is_decided_anew() -> None:
    policy = OutgoingPolicy(names=Names(["8.8.8.8"], ["127.0.0.1"]))
    assert await policy.addresses("a.example", 443) == ["8.8.8.8"]
    with pytest.raises(OutgoingFailed, match=r"^a\.example has no public address$"):
        await policy.addresses("a.example", 443)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ([], "a.example has no public address"),
        (["10.1.2.3"], "a.example has no public address"),
        (socket.gaierror(socket.EAI_NONAME, "x"), "there is no host a.example"),
        (socket.gaierror(socket.EAI_NODATA, "x"), "there is no host a.example"),
        (socket.gaierror(socket.EAI_AGAIN, "x"), "a.example could not be looked up"),
        (OSError("x"), "a.example could not be looked up"),
    ],
)
async def test_a_failed_look_up_is_a_sentence(answer: list[str] | OSError, text: str) -> None:
    with pytest.raises(OutgoingFailed) as raised:
        await OutgoingPolicy(names=Names(answer)).addresses("a.example", 443)
    assert str(raised.value) == text  # and no private address is betrayed


async def test_a_slow_look_up_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK_UP_TIMEOUT_S", 0.05)

    async def never(host: str, port: int) -> list[str]:
        await asyncio.Event().wait()
        return []

    with pytest.raises(OutgoingFailed, match=r"could not be looked up within 0\.05 s"):
        await OutgoingPolicy(names=never).addresses("a.example", 443)


async def test_an_address_is_not_looked_up() -> None:
    policy = OutgoingPolicy(names=Names(OSError("asked")))
    assert await policy.addresses("8.8.8.8", 443) == ["8.8.8.8"]
    with pytest.raises(OutgoingFailed):
        await policy.addresses("127.0.0.1", 443)
    with pytest.raises(OutgoingFailed, match="has no address that the operator allows"):
        await policy.addresses("8.8.8.8", 443, allowed_only=True)


async def test_the_system_is_asked_without_holding_up_the_loop() -> None:
    assert "127.0.0.1" in await look_up("localhost", 80)
    with pytest.raises(socket.gaierror):
        await look_up("x" * 64 + ".example", 80)
