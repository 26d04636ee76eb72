"""Reads where a SIP trunk leads: a host, `host:port`, or a SIP URI (RFC 3261 section 19.1)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Literal, cast

Transport = Literal["udp", "tcp", "tls"]
TRANSPORTS = ("udp", "tcp", "tls")
LONGEST = 255
DEFAULT_PORT = 5060  # RFC 3261 section 19.1.2
DEFAULT_TLS_PORT = 5061
WIDEST = {4: 16, 6: 32}
"""Shortest prefix of a network that calls may come from, by the version of IP."""

_CONTROL = re.compile(r"[\x00-\x20\x7f-\xa0]")
_SCHEME = re.compile(r"(?i)(sips?):|([a-z][a-z0-9+.-]*):(?=[^0-9])")
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_HOST_PORT = re.compile(r"(\[[^\[\]]*\]|[^:\[\]]*)(?::([^:]*))?")


@dataclass(frozen=True, slots=True)
class TrunkAddress:
    """A host in its usual spelling, IPv6 in brackets, and what was said beside it."""

    host: str
    port: int | None = None
    transport: Transport | None = None

    def __str__(self) -> str:
        return self.host if self.port is None else f"{self.host}:{self.port}"


def default_port(transport: str) -> int:
    """The port of an address that names none."""
    return DEFAULT_TLS_PORT if transport == "tls" else DEFAULT_PORT


def parse_address(text: str) -> TrunkAddress:
    """Read one address.

    Raises:
        ValueError: With what is wrong with it, without repeating a password.
    """
    if len(text) > LONGEST:
        raise ValueError(f"is longer than {LONGEST} characters")
    if _CONTROL.search(text):
        raise ValueError("holds a space, a line break or a control character")
    match = _SCHEME.match(text)
    scheme = (match[1] or "").lower() if match else ""
    if match and not scheme:
        raise ValueError("is not a host, host:port or SIP URI (sip: or sips:)")
    rest, *parameters = text[match.end() if match else 0 :].split(";")
    if "@" in rest:
        raise ValueError("must not hold a user or password; auth_username and auth_password do")
    if not match and parameters:
        raise ValueError("has parameters, which only a SIP URI may have: sip:host;transport=tcp")
    host, port = _host_and_port(rest)
    return TrunkAddress(host, port, _transport(scheme, parameters))


def _host_and_port(text: str) -> tuple[str, int | None]:
    match = _HOST_PORT.fullmatch(text)
    if match is None:
        if text.count(":") > 1 and "[" not in text:
            raise ValueError("write an IPv6 address in brackets: [2001:db8::1]:5060")
        raise ValueError("is not a host, host:port or SIP URI")
    host, port = match.groups()
    return parse_host(host), None if port is None else _port(port)


def _port(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 1 <= int(text) <= 65535:
        raise ValueError("has a port that is not between 1 and 65535")
    return int(text)


def parse_host(text: str) -> str:
    """Read a name or an IP address, IPv6 in brackets, into its usual spelling.

    Raises:
        ValueError: If it is neither, or an address that no server has.
    """
    if text.startswith("["):
        if "%" in text:
            raise ValueError("names a zone of this machine; leave out % and what follows")
        try:
            address = IPv6Address(text[1:].removesuffix("]"))
        except ValueError:
            raise ValueError("has no IPv6 address in its brackets") from None
        return f"[{_reachable(address)}]"
    host = text.lower().removesuffix(".")
    if re.fullmatch(r"[0-9.]+", host):
        try:
            return str(_reachable(IPv4Address(host)))
        except ValueError as error:
            if "server" in str(error):
                raise
            raise ValueError("is not an IPv4 address: four numbers from 0 to 255") from None
    if not host:
        raise ValueError("names no host")
    if len(host) > 253 or not all(_LABEL.fullmatch(label) for label in host.split(".")):
        raise ValueError("has a host that is not a name of letters, digits, hyphens and dots")
    if host.rpartition(".")[2].isdigit():
        raise ValueError("has a host that is neither a name nor an IP address")
    return host


def _reachable(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    broadcast = address == IPv4Address("255.255.255.255")
    if address.is_unspecified or address.is_multicast or broadcast:
        raise ValueError(f"{address} is not the address of a server")
    return address


def _transport(scheme: str, parameters: list[str]) -> Transport | None:
    """Read what a URI says of the transport; `sips:` is TLS."""
    named: str | None = None
    for parameter in parameters:
        name, _, value = parameter.lower().partition("=")
        if name == "lr" and not value:
            continue
        if name != "transport":
            raise ValueError("may have no parameter but ;transport=")
        if value not in TRANSPORTS:
            raise ValueError("has a transport that is not udp, tcp or tls")
        if named not in (None, value):
            raise ValueError("names two transports")
        named = value
    if scheme == "sips":
        if named == "udp":
            raise ValueError("says TLS by sips: and udp by ;transport=")
        return "tls"
    return cast("Transport | None", named)


def parse_source(text: str) -> str:
    """Read where calls come from: a host, an IP address, or a network such as 203.0.113.0/24.

    Raises:
        ValueError: With what is wrong with it.
    """
    if len(text) > LONGEST or _CONTROL.search(text):
        raise ValueError("is not a host, an IP address or a network")
    if "/" in text:
        return _network(text)
    if ":" in text and not text.startswith("["):
        try:
            return parse_host(f"[{ip_address(text)}]")[1:-1]
        except ValueError:
            raise ValueError("is not a host, an IP address or a network; name no port") from None
    return parse_host(text).removeprefix("[").removesuffix("]")


def _network(text: str) -> str:
    try:
        network = ip_network(text)
    except ValueError:
        pass
    else:
        widest = WIDEST[network.version]
        if network.prefixlen < widest:
            raise ValueError(f"is wider than a /{widest}; no carrier calls from everywhere")
        return str(network)
    try:
        meant = ip_network(text, strict=False)
    except ValueError:
        raise ValueError("is not a network such as 203.0.113.0/24") from None
    raise ValueError(f"has bits behind the network; did you mean {meant}?")
