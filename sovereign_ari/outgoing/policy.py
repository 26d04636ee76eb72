"""Where requests that strangers configure may go: public addresses, and what the operator allows.

Names are resolved again when the connection is made, and `admits` decides on the very address
that is connected to; `fault` is the earlier, friendlier check when a URL is saved.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import urlsplit

Address = IPv4Address | IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_LOCAL_NAMES = (".localhost", ".local", ".internal", ".lan", ".home.arpa", ".localdomain")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052


class OutgoingPolicy:
    """Decides where outgoing requests may connect to.

    Args:
        allowed: Networks that are allowed although they are not public.
    """

    def __init__(self, allowed: Sequence[Network] = ()) -> None:
        self._allowed = tuple(allowed)

    def admits(self, address: str) -> bool:
        """Whether a connection to this IP address may be made."""
        wanted = _unwrapped(ipaddress.ip_address(address.partition("%")[0]))
        if any(wanted.version == net.version and wanted in net for net in self._allowed):
            return True
        return wanted.is_global and not wanted.is_multicast

    def fault(self, url: str) -> str | None:
        """Say what is wrong with a URL that is to be saved, without looking its name up."""
        try:
            parts = urlsplit(url)
            host, _ = (parts.hostname or "").rstrip("."), parts.port
        except ValueError:
            return "is not a URL"
        if not host:
            return "names no host"
        if parts.username is not None or parts.password is not None:
            return "must not hold a user name or password"
        if (address := _literal(host)) is not None:
            if self.admits(str(address)):
                return None
            return f"{host} is not a public address"
        if host == "localhost" or host.endswith(_LOCAL_NAMES):
            return None if self._allowed else f"{host} is not a public host"
        if "." not in host and not self._allowed:
            return f"{host} is not a public host"
        return None


def _unwrapped(address: Address) -> Address:
    """The IPv4 address inside an IPv6 one that stands for it."""
    if isinstance(address, IPv6Address):
        if (inner := address.ipv4_mapped or address.sixtofour) is not None:
            return inner
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _literal(host: str) -> Address | None:
    """Read an address the way a resolver does: `127.1`, `0x7f000001` and `2130706433` too."""
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        pass
    try:
        return IPv4Address(socket.inet_aton(host))
    except OSError:
        return None
