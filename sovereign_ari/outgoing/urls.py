"""Reads URLs that strangers configure, so strictly that every other reader understands the same.

Whether the host may be reached is not decided here.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import quote

import idna

Address = IPv4Address | IPv6Address

_PORTS = {"http": 80, "https": 443}
_URL = re.compile(r"(?P<scheme>https?)://(?P<authority>[^/?#]*)(?P<rest>[^#]*)", re.I | re.A)
# Some readers drop these, some take a backslash for a slash, and some end the host at them.
_UNSAFE = re.compile("[\x00-\x20\x7f-\xa0\\\\\ud800-\udfff]")
_AUTHORITY = re.compile(r"(?P<host>\[[^\[\]]*\]|[^:\[\]]*)(?::(?P<port>.*))?", re.S)
_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")  # WHATWG URL: "ends in a number"
_LONGEST_HOST = 253  # RFC 1035 section 2.3.4
_PRINTABLE = "".join(map(chr, range(0x21, 0x7F)))


class UrlFault(ValueError):
    """What is wrong with a URL, as the end of a sentence that begins with it."""


@dataclass(frozen=True, slots=True)
class Target:
    """A URL that was read.

    Attributes:
        host: Lower case and ASCII; an IPv6 address stands without brackets.
        path: With the query; begins with a slash.
    """

    scheme: str
    host: str
    port: int
    path: str

    @property
    def address(self) -> Address | None:
        """The host, when it is an address and not a name."""
        return read_address(self.host)

    @property
    def origin(self) -> str:
        """Scheme, host and, unless it is the usual one, port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == _PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}"

    @property
    def url(self) -> str:
        """The URL as it is stored and requested."""
        return self.origin + self.path


def read_address(host: str) -> Address | None:
    """Read an address in its usual form, None for a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def read_target(url: str) -> Target:
    """Read an http or https URL; a fragment is dropped.

    Raises:
        UrlFault: If it is no URL, or one that not everybody reads in the same way.
    """
    if _UNSAFE.search(url):
        raise UrlFault("must not hold spaces, control characters or backslashes")
    if (match := _URL.match(url)) is None:
        raise UrlFault("is not an http or https URL")
    if "@" in match["authority"]:
        raise UrlFault("must not hold a user name or password")
    if (authority := _AUTHORITY.fullmatch(match["authority"])) is None:
        raise UrlFault("is not a URL")
    scheme, rest = match["scheme"].lower(), match["rest"]
    path = quote(rest if rest.startswith("/") else f"/{rest}", safe=_PRINTABLE)
    return Target(scheme, _read_host(authority["host"]), _read_port(scheme, authority), path)


def _read_port(scheme: str, authority: re.Match[str]) -> int:
    text = authority["port"]
    if text is None:
        return _PORTS[scheme]
    if re.fullmatch(r"[0-9]{1,5}", text) is None or not 1 <= int(text) <= 65535:
        raise UrlFault("needs a port from 1 to 65535 after the colon")
    return int(text)


def _read_host(text: str) -> str:
    if text.startswith("["):
        return _read_ipv6(text[1:-1])
    if "%" in text:
        raise UrlFault("must not hold percent signs in its host")
    if not text.isascii():
        text = _to_ascii(text)
    host = text.lower().removesuffix(".")
    if not host:
        raise UrlFault("names no host")
    labels = host.split(".")
    if len(host) > _LONGEST_HOST or not all(_LABEL.fullmatch(label) for label in labels):
        raise UrlFault("names a host that cannot exist")
    if _NUMBER.fullmatch(labels[-1]) and read_address(host) is None:
        # Resolvers read 127.1, 0x7f000001, 017700000001 and 2130706433 as addresses.
        raise UrlFault("must write an address as four decimal numbers, such as 192.0.2.1")
    return host


def _read_ipv6(text: str) -> str:
    if "%" in text:
        raise UrlFault("must not name a network interface in its address")
    try:
        return IPv6Address(text).compressed
    except ValueError:
        raise UrlFault("holds a broken IPv6 address") from None


def _to_ascii(host: str) -> str:
    """Write an internationalised name in ASCII (UTS 46); full-width digits and dots become plain.

    Raises:
        UrlFault: If it is no such name.
    """
    try:
        return idna.encode(host, uts46=True).decode("ascii")
    except UnicodeError:  # includes idna.IDNAError
        raise UrlFault("names a host that cannot exist") from None
