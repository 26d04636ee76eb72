"""How a SIP trunk fares on one node, from what its PBX says."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

_ATTEMPT = re.compile(r"from '([^']*)' on registration attempt to '([^']*)'")
_CODE = re.compile(r"'([1-6][0-9]{2})'")
_REASONS = {
    401: "auth_username or auth_password is wrong",
    403: "forbidden: the account may be blocked, or the credentials wrong",
    404: "it does not know this account",
    407: "auth_username or auth_password is wrong",
    423: "it wants longer registrations",
    503: "it is out of service",
}


class Registration(StrEnum):
    """Of a trunk at its carrier."""

    NONE = "none"
    """It does not register."""

    TRYING = "trying"
    REGISTERED = "registered"
    REJECTED = "rejected"

    UNREGISTERED = "unregistered"
    """It should register, and nobody answers."""

    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Attempt:
    """How the PBX says that a registration failed.

    Attributes:
        server_uri: Where it was sent.
        client_uri: The account.
        code: The SIP status, None when nobody answered.
    """

    server_uri: str
    client_uri: str
    code: int | None

    @property
    def text(self) -> str:
        """In words, for an operator."""
        where = self.server_uri.removeprefix("sip:")
        if self.code is None:
            return f"{where} does not answer REGISTER"
        reason = _REASONS.get(self.code)
        return f"{where} refuses REGISTER with {self.code}" + (f": {reason}" if reason else "")


@dataclass(frozen=True, slots=True)
class AddressState:
    """Whether an address answers OPTIONS, and how fast; None while it is not known."""

    address: str
    reachable: bool | None = None
    latency_ms: float | None = None


@dataclass(frozen=True, slots=True)
class TrunkState:
    """Of one trunk on one node.

    Attributes:
        addresses: In the order of fail-over.
        fault: What is wrong now.
        calls: Channels over the trunk.
    """

    registration: Registration
    addresses: tuple[AddressState, ...]
    fault: str | None
    calls: int


def read_attempt(line: str) -> Attempt | None:
    """Read a line of the PBX's log; None when it is not about a failed registration."""
    match = _ATTEMPT.search(line)
    if match is None:
        return None
    code = _CODE.search(line, 0, match.start())
    return Attempt(match[1], match[2], int(code[1]) if code else None)


def registration_of(status: str | None, last: Attempt | None) -> Registration:
    """Translate the status that the PBX gives; with the last failure, for it tells why."""
    match status:
        case "Registered":
            return Registration.REGISTERED
        case "Rejected":
            silent = last is not None and last.code is None
            return Registration.UNREGISTERED if silent else Registration.REJECTED
        case "Unregistered" | "Stopping" | "Stopped":
            return Registration.TRYING
        case _:
            return Registration.UNKNOWN


def contact_of(events: Sequence[Mapping[str, str]], address: str) -> AddressState:
    """Read what the PBX says of the contact of one endpoint."""
    for event in events:
        if event.get("Event") == "ContactStatusDetail":
            reachable = {"Reachable": True, "Unreachable": False}.get(event.get("Status", ""))
            return AddressState(address, reachable, _milliseconds(event.get("RoundtripUsec")))
    return AddressState(address)


def fault_of(
    registration: Registration, last: Attempt | None, addresses: Sequence[AddressState]
) -> str | None:
    """Name what is wrong, the registration first."""
    if registration in (Registration.REJECTED, Registration.UNREGISTERED):
        return last.text if last else "the carrier does not take the registration"
    silent = [state.address for state in addresses if state.reachable is False]
    return f"{', '.join(silent)}: no answer to OPTIONS" if silent else None


def _milliseconds(microseconds: str | None) -> float | None:
    if microseconds is None or not microseconds.isdigit():
        return None
    return round(int(microseconds) / 1000, 1)
