"""RTP packets (RFC 3550 section 5.1): bytes in, bytes out, no socket and no clock."""

from __future__ import annotations

import struct
from typing import NamedTuple, Self

from sovereign_ari.media.pcm import Encoding

_HEADER = struct.Struct("!BBHII")  # V|P|X|CC, M|PT, sequence, timestamp, SSRC
_WORD = 4
_VERSION_2 = 0x80
_MARKER = 0x80
_U16 = 0xFFFF
_U32 = 0xFFFF_FFFF

PAYLOAD_TYPES: dict[Encoding, int] = {Encoding.ULAW: 0, Encoding.ALAW: 8, Encoding.G722: 9}
"""Static payload types, RFC 3551 table 4."""

CLOCK_HZ = 8000
"""RTP clock of every payload type above; G.722's too (RFC 3551 section 4.5.2)."""

FRAME_TICKS = 160
"""Timestamp step of a 20 ms packet."""


class RtpError(ValueError):
    """The datagram is not a usable RTP packet. Receivers drop and count it."""


class RtpPacket(NamedTuple):
    """One RTP packet.

    Attributes:
        payload_type: 0-127.
        sequence: 16-bit packet counter, wraps.
        timestamp: 32-bit counter at the payload's clock rate, wraps.
        ssrc: 32-bit identity of the sender.
        payload: Encoded audio without header extension or padding.
        marker: True on the first packet of a talkspurt (RFC 3551 section 4.1).
    """

    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes
    marker: bool = False

    @classmethod
    def parse(cls, datagram: bytes) -> Self:
        """Read one datagram.

        Raises:
            RtpError: If it is truncated, not version 2, or its padding is impossible.
        """
        if len(datagram) < _HEADER.size:
            raise RtpError(f"{len(datagram)} bytes is shorter than an RTP header")
        flags, kind, sequence, timestamp, ssrc = _HEADER.unpack_from(datagram)
        start, end = _HEADER.size, len(datagram)
        if flags != _VERSION_2:
            start, end = _payload_span(datagram, flags)
        return cls(kind & 0x7F, sequence, timestamp, ssrc, datagram[start:end], kind >= _MARKER)

    def to_bytes(self) -> bytes:
        """Serialise without contributing sources, extension or padding."""
        kind = self.payload_type | (_MARKER if self.marker else 0)
        header = _HEADER.pack(_VERSION_2, kind, self.sequence, self.timestamp, self.ssrc)
        return header + self.payload


def _payload_span(datagram: bytes, flags: int) -> tuple[int, int]:
    """Find the payload between contributing sources, extension and padding."""
    if flags >> 6 != 2:
        raise RtpError(f"RTP version {flags >> 6}, expected 2")
    start = _HEADER.size + _WORD * (flags & 0x0F)
    if flags & 0x10:  # header extension: profile, then its length in words
        if len(datagram) < start + _WORD:
            raise RtpError("truncated header extension")
        (words,) = struct.unpack_from("!H", datagram, start + 2)
        start += _WORD * (1 + words)
    padding = datagram[-1] if flags & 0x20 else 0
    if flags & 0x20 and padding == 0:
        raise RtpError("padding of no bytes")
    end = len(datagram) - padding
    if start > end:
        raise RtpError("contributing sources, extension or padding exceed the packet")
    return start, end


class RtpStream:
    """Numbers the packets of one sender: sequence and timestamp without a gap.

    A packet leaves every 20 ms, speech or silence, so the timestamp never jumps; it decides
    what a packet says, never when it leaves. Not safe for two threads at once.

    Args:
        payload_type: RTP payload type of every packet.
        ssrc: 32-bit sender identity.
        sequence: First sequence number; random in production (RFC 3550 section 5.1).
        timestamp: First timestamp; random in production.
    """

    __slots__ = ("_marked", "_payload_type", "_sequence", "_ssrc", "_timestamp")

    def __init__(self, payload_type: int, ssrc: int, sequence: int, timestamp: int) -> None:
        self._payload_type = payload_type
        self._marked = payload_type | _MARKER
        self._ssrc = ssrc & _U32
        self._sequence = sequence & _U16
        self._timestamp = timestamp & _U32

    def next(self, payload: bytes, *, marker: bool = False) -> bytes:
        """Build the datagram of the next 20 ms of audio."""
        sequence, timestamp = self._sequence, self._timestamp
        self._sequence = (sequence + 1) & _U16
        self._timestamp = (timestamp + FRAME_TICKS) & _U32
        kind = self._marked if marker else self._payload_type
        return _HEADER.pack(_VERSION_2, kind, sequence, timestamp, self._ssrc) + payload
