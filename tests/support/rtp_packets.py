"""RTP packets, the codecs inside them and digits as events, written apart from the product.

The product's own codecs are what a test judges, so they are not used here.
"""

from __future__ import annotations

import audioop
import struct
from typing import NamedTuple, Protocol

import numpy as np
from G722 import G722

FRAME_S = 0.020
TICK = 160
"""RTP clock ticks per packet: 8000 Hz also for G.722 (RFC 3551 section 4.5.2)."""

_HEADER = struct.Struct("!BBHII")
_DIGITS = "0123456789*#ABCD"


class RtpPacket(NamedTuple):
    """The parts of a packet that matter here (RFC 3550 section 5.1)."""

    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes
    marker: bool = False

    def to_bytes(self) -> bytes:
        """Write it as sent."""
        kind = self.payload_type | (0x80 if self.marker else 0)
        return _HEADER.pack(0x80, kind, self.sequence, self.timestamp, self.ssrc) + self.payload


def parse_rtp(data: bytes) -> RtpPacket | None:
    """Read a datagram; None when it is not RTP version 2 or is cut short."""
    if len(data) < 12 or data[0] >> 6 != 2:
        return None
    first, second, sequence, timestamp, ssrc = _HEADER.unpack_from(data)
    start = 12 + 4 * (first & 15)
    if first & 0x10 and len(data) >= start + 4:
        start += 4 + 4 * struct.unpack_from("!H", data, start + 2)[0]
    end = len(data) - (data[-1] if first & 0x20 else 0)
    if start > end:
        return None
    payload = data[start:end]
    return RtpPacket(second & 127, sequence, timestamp, ssrc, payload, bool(second & 128))


class Codec(Protocol):
    """A codec with its own memory: one object per direction."""

    name: str
    payload_type: int
    rate_hz: int

    def encode(self, pcm: bytes) -> bytes:
        """Turn PCM16 at `rate_hz` into payload."""

    def decode(self, payload: bytes) -> bytes:
        """Turn payload into PCM16 at `rate_hz`."""


class Ulaw:
    """G.711 µ-law."""

    name = "ulaw"
    payload_type = 0
    rate_hz = 8000

    def encode(self, pcm: bytes) -> bytes:
        return audioop.lin2ulaw(pcm, 2)

    def decode(self, payload: bytes) -> bytes:
        return audioop.ulaw2lin(payload, 2)


class Alaw:
    """G.711 A-law."""

    name = "alaw"
    payload_type = 8
    rate_hz = 8000

    def encode(self, pcm: bytes) -> bytes:
        return audioop.lin2alaw(pcm, 2)

    def decode(self, payload: bytes) -> bytes:
        return audioop.alaw2lin(payload, 2)


class WideBand:
    """G.722 at 64 kbit/s."""

    name = "g722"
    payload_type = 9
    rate_hz = 16000

    def __init__(self) -> None:
        self._coder = G722(16000, 64000)
        self._decoder = G722(16000, 64000)

    def encode(self, pcm: bytes) -> bytes:
        return bytes(self._coder.encode(np.frombuffer(pcm, dtype="<i2")))

    def decode(self, payload: bytes) -> bytes:
        return bytes(self._decoder.decode(payload).tobytes())


_CODECS: dict[str, type[Ulaw] | type[Alaw] | type[WideBand]] = {
    codec.name: codec for codec in (Ulaw, Alaw, WideBand)
}


def codec_named(name: str) -> Codec:
    """Make a fresh codec: `ulaw`, `alaw` or `g722`."""
    return _CODECS[name]()


def event_payloads(digit: str, duration_ms: int = 100) -> list[bytes]:
    """Payloads of one key press, one per 20 ms, the end said three times (RFC 4733)."""
    steps = max(1, duration_ms // 20)
    code = _DIGITS.index(digit.upper())
    volume = 10
    pressed = [struct.pack("!BBH", code, volume, TICK * n) for n in range(1, steps + 1)]
    ended = struct.pack("!BBH", code, 0x80 | volume, TICK * steps)
    return [*pressed, ended, ended, ended]


def parse_event(payload: bytes) -> tuple[str, bool] | None:
    """Digit and whether this packet ends it; None when it is no key of a telephone."""
    if len(payload) < 4 or payload[0] >= len(_DIGITS):
        return None
    return _DIGITS[payload[0]], bool(payload[1] & 0x80)


def at_rate(pcm: bytes, from_hz: int, to_hz: int) -> bytes:
    """Resample PCM16; linear, which is enough for speech in a test."""
    if from_hz == to_hz:
        return pcm
    return audioop.ratecv(pcm, 2, 1, from_hz, to_hz, None)[0]
