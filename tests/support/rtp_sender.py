"""What our telephone says: one packet every 20 ms on an absolute grid, speech or silence."""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from tests.support.rtp_packets import (
    FRAME_S,
    TICK,
    Codec,
    RtpPacket,
    at_rate,
    event_payloads,
)


class Saying:
    """Something being said.

    Attributes:
        started: Done with the time at which the first packet was sent.
        finished: Done with the time at which the last packet was sent; cancelled when
            `stop_talking` came first.
    """

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.started: asyncio.Future[float] = loop.create_future()
        self.finished: asyncio.Future[float] = loop.create_future()


@dataclass(frozen=True, slots=True)
class _Frame:
    """One packet to be: PCM to encode, or the payload of a digit event."""

    saying: Saying
    pcm: bytes = b""
    event: bytes | None = None
    event_age: int = 0
    last: bool = False


class VoiceSender:
    """Sends RTP from `start` to `close`.

    Attributes:
        ssrc: Ours; changed by `change_ssrc`.
        packets: How many were handed to the network.
        lateness_s: How long after its place on the grid each packet was sent.
        dtx: Send nothing at all instead of silence.
    """

    def __init__(self, codec: Codec, send: Callable[[bytes], None], *, seed: int = 1) -> None:
        self.packets = 0
        self.lateness_s: list[float] = []
        self.dtx = False
        self.event_payload_type = 101
        self._codec = codec
        self._send = send
        self._random = random.Random(seed)
        self._waiting: deque[_Frame] = deque()
        self._silence = bytes(2 * round(codec.rate_hz * FRAME_S))
        self._due_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._marker = True
        self.change_ssrc()

    def change_ssrc(self) -> None:
        """Become another source, with other sequence numbers and time stamps."""
        self.ssrc = self._random.getrandbits(32)
        self._sequence = self._random.getrandbits(16)
        self._timestamp = self._random.getrandbits(32)
        self._marker = True

    def change_codec(self, codec: Codec) -> None:
        """Speak another codec from the next packet on."""
        self._codec = codec
        self._silence = bytes(2 * round(codec.rate_hz * FRAME_S))

    def start(self) -> None:
        """Begin the grid now."""
        if self._timer is None:
            self._due_s = time.monotonic()
            self._tick()

    def close(self) -> None:
        """Send nothing more."""
        if self._timer is not None:
            self._timer.cancel()
        self.stop_talking()

    def say(self, pcm: bytes, rate_hz: int) -> Saying:
        """Queue PCM16 behind what is being said."""
        pcm = at_rate(pcm, rate_hz, self._codec.rate_hz)
        size = len(self._silence)
        saying = Saying()
        pieces = [pcm[n : n + size].ljust(size, b"\0") for n in range(0, len(pcm), size)]
        pieces = pieces or [self._silence]
        for number, piece in enumerate(pieces, 1):
            self._waiting.append(_Frame(saying, piece, last=number == len(pieces)))
        return saying

    def press(self, digit: str, duration_ms: int) -> Saying:
        """Queue one digit as RFC 4733 events."""
        saying = Saying()
        payloads = event_payloads(digit, duration_ms)
        for age, payload in enumerate(payloads):
            last = age + 1 == len(payloads)
            self._waiting.append(_Frame(saying, event=payload, event_age=age, last=last))
        return saying

    def stop_talking(self) -> None:
        """Forget what was still to be said."""
        for frame in self._waiting:
            frame.saying.finished.cancel()
            frame.saying.started.cancel()
        self._waiting.clear()

    def _tick(self) -> None:
        now = time.monotonic()
        while self._due_s <= now:
            self.lateness_s.append(now - self._due_s)
            self._send_frame()
            self._due_s += FRAME_S
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(max(0.0, self._due_s - time.monotonic()), self._tick)

    def _send_frame(self) -> None:
        frame = self._waiting.popleft() if self._waiting else None
        if frame is not None:
            _note(frame)
        if frame is not None or not self.dtx:
            self._send(self._packet(frame).to_bytes())
            self._sequence = (self._sequence + 1) & 0xFFFF
            self.packets += 1
            self._marker = False
        else:
            self._marker = True
        self._timestamp = (self._timestamp + TICK) & 0xFFFFFFFF

    def _packet(self, frame: _Frame | None) -> RtpPacket:
        if frame is not None and frame.event is not None:
            begun = (self._timestamp - TICK * frame.event_age) & 0xFFFFFFFF
            kind, payload, marker = self.event_payload_type, frame.event, frame.event_age == 0
        else:
            pcm = self._silence if frame is None else frame.pcm
            begun, marker = self._timestamp, self._marker
            kind, payload = self._codec.payload_type, self._codec.encode(pcm)
        return RtpPacket(kind, self._sequence, begun, self.ssrc, payload, marker)


def _note(frame: _Frame) -> None:
    """Note the time before the packet leaves: its echo cannot come earlier."""
    now = time.monotonic()
    if not frame.saying.started.done():
        frame.saying.started.set_result(now)
    if frame.last and not frame.saying.finished.done():
        frame.saying.finished.set_result(now)
