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

from sovereign_ari.domain.permission import OutboundPermission
from sovereign_ari.domain.public_hosts import is_public
from sovereign_ari.domain.short_numbers import country_of, short_number_fault
from sovereign_ari.domain.sip_uri import SipUri, UriFault, is_sip, read_sip_uri
from sovereign_ari.domain.trunk import dial_strings

MOST_HOPS = 3
OUTWARDS = "sovereign-outwards"
"""The endpoint for SIP URIs that no trunk leads to."""

LONGEST_HEADER = 240

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_EXTENSION = re.compile(r"[0-9]{2,6}")
_TELEPHONE = re.compile(r"(\+|00)?([0-9]{7,})")
_SHORT = re.compile(r"[0-9]{2,6}")
_VISUAL = str.maketrans("", "", "-.!~()")
_NAMED = re.compile(r"[A-Za-z]")
_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


class Unreachable(ValueError):
    """The call cannot go there. The message is a sentence for the model."""


def told_of_failure(destination: str, why: str) -> str:
    """What the model is told of a transfer that it does not wait for."""
    return f"The transfer of this call to {destination} failed: {why}. Tell the caller."


@dataclass(frozen=True, slots=True)
class TransferLine:
    """What calls to one number may be transferred over.

    Attributes:
        trunk_id: The trunk of the number, None when it has none, or one that is switched off.
        addresses: Of the trunk, in the order of fail-over.
        permission: What the organisation may call.
        is_ours: Whether the destination is a number or an extension of the organisation.
        may_reach: Whether a SIP URI may name this host.
        called: The number that was called, None for an extension.
    """

    trunk_id: str | None
    addresses: Sequence[str] = ()
    permission: OutboundPermission = field(default_factory=OutboundPermission)
    is_ours: bool = False
    may_reach: Callable[[str], bool] = is_public
    called: str | None = None

    def leads_to(self, host: str) -> bool:
        """Whether a host, in lower case and without brackets, is where the trunk leads."""
        return host in map(_host_of, self.addresses)


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


def _read_uri(destination: str) -> SipUri:
    if not is_sip(destination):
        raise Unreachable(
            "the destination is neither a number in E.164, nor an extension, nor a SIP URI"
        )
    try:
        return read_sip_uri(destination)
    except UriFault as fault:
        raise Unreachable(f"the SIP URI {fault}") from fault


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


def _by_sip(uri: SipUri, line: TransferLine) -> tuple[str, ...]:
    _check_user(uri, line)
    if line.trunk_id is not None and line.leads_to(uri.host) and not uri.has_parameters:
        return dial_strings(line.trunk_id, line.addresses, uri.text)
    if not line.may_reach(uri.host):
        raise Unreachable(f"{uri.host} is not a public host that calls may be sent to")
    return (f"PJSIP/{OUTWARDS}/{uri.text}",)


def strange_host(destination: str, line: TransferLine) -> str | None:
    """Name the host of a SIP URI that the trunk does not lead to; None of all else."""
    try:
        host = read_sip_uri(destination).host
    except UriFault:
        return None
    return None if line.leads_to(host) else host


def _host_of(address: str) -> str:
    """The host of a trunk's address, which may name a port."""
    host, _, port = address.rpartition(":")
    with_port = port.isdigit() and host and (host.endswith("]") or ":" not in host)
    return (host if with_port else address).strip("[]").lower()


def _check_number(number: str, line: TransferLine) -> None:
    if (fault := line.permission.fault(number)) is not None:
        raise Unreachable(fault)


def _check_user(uri: SipUri, line: TransferLine) -> None:
    """A number in a SIP URI costs what the number costs, and so does one behind a code (*31*)."""
    digits = "".join(filter(str.isdigit, uri.user))
    if not digits or _NAMED.search(uri.user) is not None:
        return
    plain = uri.user.translate(_VISUAL)
    if match := _TELEPHONE.fullmatch(plain):
        _check_number(f"+{match[2]}", line)
    elif plain.startswith("+") or (len(digits) >= 5 and _SHORT.fullmatch(plain) is None):
        raise Unreachable(f"{uri.user} is neither a name nor a number with its country")
    else:
        at_carrier, country = line.leads_to(uri.host), country_of(line.called)
        if fault := short_number_fault(digits, at_carrier=at_carrier, country=country):
            raise Unreachable(fault)
