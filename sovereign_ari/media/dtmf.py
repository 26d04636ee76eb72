"""Telephone events: digits as RTP payloads (RFC 4733), and digits out of them."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Self

from sovereign_ari.media.rtp import RtpError, RtpPacket

PAYLOAD_TYPE = 101
"""Dynamic, but what nearly everybody offers; the session description decides."""

DIGITS = "0123456789*#ABCD"
"""Event codes 0 to 15 (RFC 4733 section 3.2)."""

_EVENT = struct.Struct("!BBH")  # event, E|R|volume, duration
_END = 0x80
_VOLUME = 0x3F


class DtmfError(RtpError):
    """The payload is not a telephone event that means a digit."""


@dataclass(frozen=True, slots=True)
class TelephoneEvent:
    """The payload of one packet of a digit.

    Attributes:
        digit: One of `DIGITS`.
        end: Whether the key was released.
        duration_ticks: How long it has been held, in 1/8000 s, 0-65535.
        volume_dbm0: Power below 0 dBm0 with its sign dropped, 0-63.
    """

    digit: str
    end: bool
    duration_ticks: int
    volume_dbm0: int = 10

    @classmethod
    def parse(cls, payload: bytes) -> Self:
        """Read one payload. What follows the first event, RFC 4733 lets nobody send.

        Raises:
            DtmfError: If it is short, or an event that is no digit.
        """
        if len(payload) < _EVENT.size:
            raise DtmfError(f"{len(payload)} bytes is shorter than a telephone event")
        event, flags, duration_ticks = _EVENT.unpack_from(payload)
        if event >= len(DIGITS):
            raise DtmfError(f"telephone event {event} is not a digit")
        return cls(DIGITS[event], bool(flags & _END), duration_ticks, flags & _VOLUME)

    def to_bytes(self) -> bytes:
        """Serialise.

        Raises:
            DtmfError: If the digit is not one of `DIGITS`.
        """
        event = DIGITS.find(self.digit)
        if event < 0 or len(self.digit) != 1:
            raise DtmfError(f"{self.digit!r} is not a DTMF digit")
        flags = self.volume_dbm0 | (_END if self.end else 0)
        return _EVENT.pack(event, flags, self.duration_ticks)


class DigitCollector:
    """Tells each press of a key once, although a press is many packets.

    All packets of one press carry the timestamp of its beginning (RFC 4733 section 2.5.1.1),
    and its end is sent three times. A digit is told with the first packet of its press.
    """

    def __init__(self) -> None:
        self._newest: tuple[int, int] | None = None  # sender and timestamp

    def push(self, packet: RtpPacket) -> str | None:
        """Take a packet of telephone events; returns the digit of a new press.

        Raises:
            DtmfError: If the payload is not a digit.
        """
        event = TelephoneEvent.parse(packet.payload)
        if self._newest is not None and self._newest[0] == packet.ssrc:
            # A packet that the next press overtook is older, not new; the difference wraps.
            newer_ticks = (packet.timestamp - self._newest[1]) & 0xFFFF_FFFF
            if newer_ticks == 0 or newer_ticks >= 1 << 31:
                return None
        self._newest = (packet.ssrc, packet.timestamp)
        return event.digit
