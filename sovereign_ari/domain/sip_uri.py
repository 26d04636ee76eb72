"""SIP URIs that calls are transferred to: what is taken of RFC 3261 section 25.1. Pure.

Taken: `sip:` and `sips:`, a user without a password, a name, an IPv4 or a bracketed IPv6 address,
a port from `LOWEST_PORT`, and `;transport=` with `udp`, `tcp` or `tls`. Not taken: passwords,
headers (`?Replaces=`), other parameters, percent signs, and what splits a dial string of the PBX.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv6Address

LOWEST_PORT = 1024
"""Below it are services that a SIP request could only disturb."""

USER = r"[A-Za-z0-9_.!~*+-]{1,128}"
"""A user, as a pattern."""

_SIP_URI = re.compile(
    rf"sips?:(?:(?P<user>{USER})@)?"
    r"(?P<host>[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]{2,45}\])"
    r"(?::(?P<port>[0-9]{1,5}))?(?:;transport=(?:udp|tcp|tls))?",
    re.IGNORECASE,
)
_SCHEME = re.compile(r"sips?:", re.IGNORECASE)
_PARAMETERS = re.compile(r"(?:;transport=(?:udp|tcp|tls))?", re.IGNORECASE)
_NO_URI_HAS = re.compile(r"[^\x21-\x7e]")


class UriFault(ValueError):
    """What is wrong with a SIP URI, as the end of a sentence that begins with it."""


@dataclass(frozen=True, slots=True)
class SipUri:
    """A SIP URI that was read.

    Attributes:
        text: As it stood.
        user: Empty when it names none.
        host: In lower case, without brackets.
        has_parameters: Whether it names a transport.
    """

    text: str
    user: str
    host: str
    has_parameters: bool


def is_sip(text: str) -> bool:
    """Whether a text is meant to be a SIP URI."""
    return _SCHEME.match(text) is not None


def read_sip_uri(text: str) -> SipUri:
    """Read one.

    Raises:
        UriFault: If it is none that calls are transferred to.
    """
    match = _SIP_URI.fullmatch(text)
    if match is None:
        raise UriFault(_what_is_wrong(text))
    if match["port"] is not None and not LOWEST_PORT <= int(match["port"]) <= 65535:
        raise UriFault(f"names port {match['port']}, and calls are not sent to such ports")
    host = match["host"].strip("[]").lower()
    if match["host"].startswith("["):
        try:
            IPv6Address(host)
        except ValueError:
            raise UriFault("holds a broken IPv6 address") from None
    return SipUri(text, match["user"] or "", host, ";" in text)


def _what_is_wrong(text: str) -> str:
    """Say the first thing, of those that are put into URIs on purpose first."""
    user, _, rest = text.partition(":")[2].rpartition("@")
    where, semicolon, parameters = rest.partition(";")
    told = {
        "is none": not is_sip(text),
        "holds blanks or characters that no SIP URI has": _NO_URI_HAS.search(text) is not None,
        "carries headers behind a question mark, and those are not sent": "?" in text,
        "carries a password": ":" in user,
        "has more than one @": "@" in user,
        "cannot be written with percent signs": "%" in text,
        "has a parameter other than transport=udp, transport=tcp or transport=tls": (
            ";" in user or _PARAMETERS.fullmatch(semicolon + parameters) is None
        ),
        "names an IPv6 address without brackets": where.count(":") > 1 and "[" not in where,
        "names a user who is not up to 128 letters, digits and _.!~*+-": (
            user != "" and re.fullmatch(USER, user) is None
        ),
        "names no user before the @": text.partition(":")[2].startswith("@"),
    }
    return next((fault for fault, is_so in told.items() if is_so), "names no host that can exist")
