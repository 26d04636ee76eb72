"""Where requests that strangers configure may go: public addresses, and what the operator allows.

Names are resolved again when the connection is made, and `admits` decides on the very address
that is connected to; `fault` is the earlier, friendlier check when a URL is saved.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address

from sovereign_ari.errors import OutgoingFailed
from sovereign_ari.outgoing.names import LookUp, look_up
from sovereign_ari.outgoing.urls import Address, Target, UrlFault, read_address, read_target

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

LOOK_UP_TIMEOUT_S = 5.0
_LOCAL_NAMES = (".localhost", ".local", ".internal", ".lan", ".home.arpa", ".localdomain")

# IANA's registries of special-purpose addresses (RFC 6890, up to RFC 9637), and multicast. Written
# down because `is_global` changes its mind between releases of Python.
_SPECIAL_V4 = tuple(
    ipaddress.IPv4Network(text)
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
_GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")  # all of global unicast that was ever given out
_SPECIAL_V6 = tuple(
    ipaddress.IPv6Network(text)
    for text in (
        "2001::/23",  # protocol assignments: Teredo, benchmarks, ORCHID
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: stands for an IPv4 address behind a relay
        "2620:4f:8000::/48",  # AS112
        "3fff::/20",  # documentation
    )
)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052


class OutgoingPolicy:
    """Decides where outgoing requests may connect to.

    Args:
        allowed: Networks that are allowed although they are not public.
        names: Looks names up.
    """

    def __init__(self, allowed: Sequence[Network] = (), names: LookUp = look_up) -> None:
        self._allowed = tuple(allowed)
        self._names = names

    def admits(self, address: str) -> bool:
        """Whether a connection to this IP address may be made; what is none may not."""
        return self.allows(address) or _is_public(address)

    def allows(self, address: str) -> bool:
        """Whether the operator named this address, public or not."""
        wanted = _read(address)
        return wanted is not None and any(
            wanted.version == net.version and wanted in net for net in self._allowed
        )

    def fault(self, url: str) -> str | None:
        """Say what is wrong with a URL that is to be saved, without looking its name up."""
        try:
            return self.fault_of(read_target(url))
        except UrlFault as fault:
            return str(fault)

    def fault_of(self, target: Target) -> str | None:
        """Say the same of a URL that was read."""
        host = target.host
        if target.address is not None:
            return None if self.admits(host) else f"{host} is not a public address"
        if "." not in host or host.endswith(_LOCAL_NAMES):
            return None if self._allowed else f"{host} is not a public host"
        return None

    async def addresses(self, host: str, port: int, *, allowed_only: bool = False) -> list[str]:
        """Look a host up and keep the addresses that may be connected to, at least one.

        Args:
            host: A name or an address, as `Target.host` has it.
            port: Where the connection is to go.
            allowed_only: Keep only what the operator allows.

        Raises:
            OutgoingFailed: If there are none, or the answer took more than `LOOK_UP_TIMEOUT_S`.
        """
        may_reach = self.allows if allowed_only else self.admits
        found = [host] if read_address(host) is not None else await self._look_up(host, port)
        admitted = [address for address in found if may_reach(address)]
        if not admitted:
            what = "address that the operator allows" if allowed_only else "public address"
            raise OutgoingFailed(f"{host} has no {what}")
        return admitted

    async def _look_up(self, host: str, port: int) -> Sequence[str]:
        try:
            async with asyncio.timeout(LOOK_UP_TIMEOUT_S):
                return await self._names(host, port)
        except TimeoutError:
            raise OutgoingFailed(
                f"{host} could not be looked up within {LOOK_UP_TIMEOUT_S:g} s"
            ) from None
        except socket.gaierror as error:
            if error.errno in (socket.EAI_NONAME, socket.EAI_NODATA):
                raise OutgoingFailed(f"there is no host {host}") from error
            raise OutgoingFailed(f"{host} could not be looked up") from error
        except OSError as error:
            raise OutgoingFailed(f"{host} could not be looked up") from error


def _read(address: str) -> Address | None:
    """Read what is connected to; an IPv6 address that stands for an IPv4 one becomes that."""
    found = read_address(address.partition("%")[0])
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped is not None:
            return found.ipv4_mapped
        if found in _NAT64:
            return IPv4Address(int(found) & 0xFFFFFFFF)
    return found


def _is_public(address: str) -> bool:
    match _read(address):
        case IPv4Address() as found:
            return not any(found in net for net in _SPECIAL_V4)
        case IPv6Address() as found:
            return found in _GLOBAL_V6 and not any(found in net for net in _SPECIAL_V6)
        case None:
            return False
