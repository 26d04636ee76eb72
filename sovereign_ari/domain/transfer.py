"""Where a call may be transferred, and how its second leg is dialled. Pure.

A destination is a number in E.164, an extension of 2 to 6 digits, or a SIP URI.

    a number of ours    through our own dialplan, never out and in again by a carrier
    another number      over the trunk of the call's number, if the organisation may call it
    an extension        through our own dialplan
    a SIP URI           over the trunk when it names the trunk's host, else without a trunk, so
                        that no stranger is ever shown the trunk's password

What goes through our own dialplan is a call to us, which may be transferred again: each carries a
count, and `MOST_HOPS` of them are a loop.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address

from sovereign_ari.domain.permission import OutboundPermission
from sovereign_ari.domain.trunk import dial_strings

MOST_HOPS = 3
LOWEST_PORT = 1024
"""Below it are services that a SIP request could only disturb."""

OUTWARDS = "sovereign-outwards"
"""The endpoint for SIP URIs that no trunk leads to."""

LONGEST_HEADER = 240

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_EXTENSION = re.compile(r"[0-9]{2,6}")
# RFC 3261 section 25.1 without passwords, headers and parameters, and without what splits a dial
# string of the PBX.
_SIP_URI = re.compile(
    r"(?P<scheme>sips?):(?:(?P<user>[A-Za-z0-9_.!~*+%-]{1,128})@)?"
    r"(?P<host>[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]{2,45}\])"
    r"(?::(?P<port>[1-9][0-9]{0,4}))?(?P<transport>;transport=(?:udp|tcp|tls))?",
    re.IGNORECASE,
)
_TELEPHONE = re.compile(r"(?:\+|00)?([0-9]{5,})")
_VISUAL = str.maketrans("", "", "-.!~()")
_NAMED = re.compile(r"[A-Za-z]")
_LOCAL_NAMES = (".localhost", ".local", ".internal", ".lan", ".home.arpa", ".localdomain")
_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


class Unreachable(ValueError):
    """The call cannot go there. The message is a sentence for the model."""


def is_public(host: str) -> bool:
    """Whether a host is none of our own network's: a transfer must not look around there."""
    try:
        address = ip_address(host)
    except ValueError:
        # Resolvers read 127.1 and 010.0.0.1 as addresses; no top-level domain begins with a digit.
        named = host.rpartition(".")[2][:1].isalpha()
        return named and "." in host and not f".{host}".endswith(_LOCAL_NAMES)
    return address.is_global and not address.is_multicast


@dataclass(frozen=True, slots=True)
class TransferLine:
    """What calls to one number may be transferred over.

    Attributes:
        trunk_id: The trunk of the number, None when it has none, or one that is switched off.
        addresses: Of the trunk, in the order of fail-over.
        permission: What the organisation may call.
        is_ours: Whether the destination is a number or an extension of the organisation.
        may_reach: Whether a SIP URI may name this host.
    """

    trunk_id: str | None
    addresses: Sequence[str] = ()
    permission: OutboundPermission = field(default_factory=OutboundPermission)
    is_ours: bool = False
    may_reach: Callable[[str], bool] = is_public


def is_extension(destination: str) -> bool:
    """Whether a destination is an extension of ours."""
    return _EXTENSION.fullmatch(destination) is not None


def dial(destination: str, line: TransferLine, *, hops: int) -> tuple[str, ...]:
    """Say how the PBX dials a destination, in the order of fail-over.

    Args:
        destination: Number, extension or SIP URI.
        line: Of the call's number.
        hops: How often this caller has been transferred among our own numbers.

    Raises:
        Unreachable: If the call may not, or cannot, go there.
    """
    if is_extension(destination):
        if not line.is_ours:
            raise Unreachable(f"there is no extension {destination}")
        return _inwards(destination, hops)
    if _E164.fullmatch(destination):
        return _inwards(destination, hops) if line.is_ours else _outwards(destination, line)
    return _by_sip(_read_uri(destination), line)


def refer_to(destination: str, line: TransferLine) -> str:
    """Say which URI the caller's side is asked to call.

    Raises:
        Unreachable: If the call may not, or cannot, go there.
    """
    if is_extension(destination):
        raise Unreachable(f"the caller's side cannot call our extension {destination}")
    if _E164.fullmatch(destination):
        _check_number(destination, line)
        return destination
    uri = _read_uri(destination)
    _check_user(uri, line)
    return uri.text


def header_value(text: str, longest: int = LONGEST_HEADER) -> str:
    """Make a text fit for the value of a SIP header: one line, in ASCII, and not too long.

    What ASCII cannot say becomes a question mark; quotes and backslashes go, for the dialplan.
    """
    line = " ".join(_UNSAFE.sub(" ", text).split())
    plain = line.encode("ascii", "replace").decode()
    plain = re.sub(r'["\\;,<>${}\[\]]', "", plain)
    return plain if len(plain) <= longest else plain[: longest - 3].rstrip() + "..."


@dataclass(frozen=True, slots=True)
class _Uri:
    text: str
    user: str
    host: str


def _read_uri(destination: str) -> _Uri:
    match = _SIP_URI.fullmatch(destination)
    if match is None:
        raise Unreachable(
            "the destination is neither a number in E.164, nor an extension, nor a plain SIP URI"
        )
    port = int(match["port"] or 5060)
    if not LOWEST_PORT <= port <= 65535:
        raise Unreachable(f"calls are not sent to port {port}")
    return _Uri(destination, match["user"] or "", match["host"].strip("[]").lower())


def _inwards(destination: str, hops: int) -> tuple[str, ...]:
    if hops >= MOST_HOPS:
        raise Unreachable(
            f"this caller has been transferred {hops} times among our own numbers already"
        )
    return (f"Local/{destination}@from-local/n",)


def _outwards(number: str, line: TransferLine) -> tuple[str, ...]:
    _check_number(number, line)
    if line.trunk_id is None:
        raise Unreachable(
            f"the number that was called has no SIP trunk, so {number} cannot be called from it"
        )
    return dial_strings(line.trunk_id, line.addresses, number)


def _by_sip(uri: _Uri, line: TransferLine) -> tuple[str, ...]:
    _check_user(uri, line)
    if line.trunk_id is not None and uri.host in map(_host_of, line.addresses):
        if ";" not in uri.text:
            return dial_strings(line.trunk_id, line.addresses, uri.text)
    if not line.may_reach(uri.host):
        raise Unreachable(f"{uri.host} is not a public host that calls may be sent to")
    return (f"PJSIP/{OUTWARDS}/{uri.text}",)


def strange_host(destination: str, line: TransferLine) -> str | None:
    """Name the host of a SIP URI that the trunk does not lead to; None of all else."""
    match = _SIP_URI.fullmatch(destination)
    host = match["host"].strip("[]").lower() if match else ""
    return host if host and host not in map(_host_of, line.addresses) else None


def _host_of(address: str) -> str:
    """The host of a trunk's address, which may name a port."""
    host, _, port = address.rpartition(":")
    with_port = port.isdigit() and host and (host.endswith("]") or ":" not in host)
    return (host if with_port else address).strip("[]").lower()


def _check_number(number: str, line: TransferLine) -> None:
    if (fault := line.permission.fault(number)) is not None:
        raise Unreachable(fault)


def _check_user(uri: _Uri, line: TransferLine) -> None:
    """A number in a SIP URI costs what the number costs, and so does one behind a code (*31*)."""
    if "%" in uri.user:
        raise Unreachable("the user part of a SIP URI cannot be written with percent signs")
    if match := _TELEPHONE.fullmatch(uri.user.translate(_VISUAL)):
        _check_number(f"+{match[1]}", line)
    elif sum(map(str.isdigit, uri.user)) >= 5 and _NAMED.search(uri.user) is None:
        raise Unreachable(f"{uri.user} is neither a name nor a number with its country")
