"""Which hosts are everybody's: requests and calls that strangers configure go to no others. Pure.

Written down because `ip_address(...).is_global` changes its mind between releases of Python.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address

LOCAL_NAMES = (".localhost", ".local", ".internal", ".lan", ".home.arpa", ".localdomain")

# IANA's registries of special-purpose addresses (RFC 6890, up to RFC 9637), and multicast.
_SPECIAL_V4 = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # shared by carriers
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link-local, and the metadata of clouds
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112: answered by the nearest network
        "192.52.193.0/24",  # AMT relays, likewise
        "192.88.99.0/24",  # 6to4 relays, likewise
        "192.168.0.0/16",  # private
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/3",  # multicast, reserved, broadcast
    )
)
_GLOBAL_V6 = IPv6Network("2000::/3")  # all of global unicast that was ever given out
_SPECIAL_V6 = tuple(
    IPv6Network(text)
    for text in (
        "2001::/23",  # protocol assignments: Teredo, benchmarks, ORCHID
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: stands for an IPv4 address behind a relay
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",  # documentation
    )
)
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052


def connected_to(address: Address) -> Address:
    """What is reached by an address: an IPv6 one that stands for an IPv4 one becomes that."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def is_public_address(address: Address) -> bool:
    """Whether an address is on the open network."""
    found = connected_to(address)
    if isinstance(found, IPv4Address):
        return not any(found in net for net in _SPECIAL_V4)
    return found in _GLOBAL_V6 and not any(found in net for net in _SPECIAL_V6)


def is_local_name(host: str) -> bool:
    """Whether a name, in lower case, means something in our own network alone."""
    return "." not in host or f".{host}".endswith(LOCAL_NAMES)


def is_public(host: str) -> bool:
    """Whether a name or an address, without brackets, may be everybody's; names are not looked up.

    Resolvers read 127.1 and 010.0.0.1 as addresses; no top-level domain begins with a digit.
    """
    try:
        return is_public_address(ip_address(host))
    except ValueError:
        name = host.lower().removesuffix(".")
        return name.rpartition(".")[2][:1].isalpha() and not is_local_name(name)
