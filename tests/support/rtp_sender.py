"""What our telephone says: one packet every 20 ms on an absolute grid, speech or silence."""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from weakref import WeakKeyDictionary

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


class _Grid:
    """Sends for all telephones on one event loop: a timer for each would cost more than it sends.

    Every one sends each 20 ms, so the order in which they are due never changes.
    """

    def __init__(self) -> None:
        self._due: deque[tuple[float, VoiceSender]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def join(self, sender: VoiceSender) -> None:
        """Let one send now, and then every 20 ms until it is closed."""
        now = time.monotonic()
        sender.send_frame(0.0)
        self._due.append((now + FRAME_S, sender))
        self._wait(now)

    def _wait(self, now: float) -> None:
        if self._timer is None and self._due:
            wait_s = max(0.0, self._due[0][0] - now)
            self._timer = asyncio.get_running_loop().call_later(wait_s, self._tick)

    def _tick(self) -> None:
        self._timer = None
        now = time.monotonic()
        try:
            while self._due and self._due[0][0] <= now:
                due_s, sender = self._due.popleft()
                if not sender.closed:
                    sender.send_frame(now - due_s)
                    self._due.append((due_s + FRAME_S, sender))
        finally:  # a fault of one telephone is not one of the others
            self._wait(now)


_GRIDS: WeakKeyDictionary[asyncio.AbstractEventLoop, _Grid] = WeakKeyDictionary()


class VoiceSender:
    """Sends RTP from `start` to `close`.

    Attributes:
        ssrc: Ours; changed by `change_ssrc`.
        packets: How many were handed to the network.
        lateness_s: How long after its place on the grid each packet was sent.
        dtx: Send nothing at all instead of silence.
        closed: Whether it sends nothing more.
    """

    def __init__(self, codec: Codec, send: Callable[[bytes], None], *, seed: int = 1) -> None:
        self.packets = 0
        self.lateness_s: list[float] = []
        self.dtx = False
        self.closed = False
        self.event_payload_type = 101
        self._codec = codec
        self._send = send
        self._random = random.Random(seed)
        self._waiting: deque[_Frame] = deque()
        self._silence = bytes(2 * round(codec.rate_hz * FRAME_S))
        self._started = False
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
        if not self._started:
            self._started = True
            _GRIDS.setdefault(asyncio.get_running_loop(), _Grid()).join(self)

    def close(self) -> None:
        """Send nothing more."""
        self.closed = True
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

    def send_frame(self, late_s: float) -> None:
        """Send the next 20 ms: for the grid."""
        self.lateness_s.append(late_s)
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
