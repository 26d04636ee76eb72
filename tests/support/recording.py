"""What our telephone heard: every packet with its time, and the sound they make together.

Times are `time.monotonic` seconds. A packet's samples begin at the moment it arrived (*arrival*),
or, for a sound without the network's jitter, at its place on the sender's clock (*timeline*): the
RTP time stamp, anchored at the packet that was least delayed.
"""

from __future__ import annotations

import asyncio
import audioop
import bisect
import time
import wave
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.support.rtp_order import ArrivalOrder, Place
from tests.support.rtp_packets import Codec, RtpPacket, codec_named

FULL_SCALE = 32768.0
LOUD_DBFS = -41.0
BLOCK_S = 0.005
"""Resolution of "when did it get loud"."""


class HeardPacket:
    """One packet of audio as it arrived.

    Attributes:
        arrived_s: When the kernel got it.
        rtp: As sent.
        place: Where it belongs among the others.
        pcm: Decoded samples.
    """

    __slots__ = ("_block_bytes", "_levels", "arrived_s", "pcm", "place", "rtp")

    def __init__(
        self, arrived_s: float, rtp: RtpPacket, place: Place, pcm: bytes, block_bytes: int
    ) -> None:
        self.arrived_s = arrived_s
        self.rtp = rtp
        self.place = place
        self.pcm = pcm
        self._block_bytes = block_bytes
        self._levels: tuple[int, ...] | None = None

    @property
    def levels(self) -> tuple[int, ...]:
        """RMS of each block of 5 ms, 0 to 32768. Few packets are ever asked."""
        if self._levels is None:
            pcm, size = self.pcm, self._block_bytes
            self._levels = tuple(
                audioop.rms(pcm[n : n + size], 2) for n in range(0, len(pcm), size)
            )
        return self._levels


@dataclass(frozen=True, slots=True)
class Spacing:
    """How evenly packets arrived, in milliseconds."""

    count: int
    p50_ms: float
    p99_ms: float
    max_ms: float


class Heard:
    """Everything heard in one call.

    Attributes:
        codec: `ulaw`, `alaw` or `g722`.
        packets: In order of arrival, duplicates left out.
        order: Counts of lost, late and duplicate packets.
        foreign: Packets of another payload type (comfort noise, a codec not agreed).
    """

    def __init__(self, codec: str) -> None:
        self.codec = codec
        self.packets: list[HeardPacket] = []
        self.order = ArrivalOrder()
        self.foreign = 0
        self._decoder: Codec = codec_named(codec)
        self._block_bytes = 2 * round(self.rate_hz * BLOCK_S)
        self._changed = asyncio.Event()

    @property
    def rate_hz(self) -> int:
        """Sampling rate of the sound."""
        return self._decoder.rate_hz

    def change_codec(self, codec: str) -> None:
        """Decode what comes from now on as another codec."""
        self.codec = codec
        self._decoder = codec_named(codec)
        self._block_bytes = 2 * round(self.rate_hz * BLOCK_S)

    def add(self, packet: RtpPacket, arrived_s: float) -> None:
        """Take one RTP packet."""
        if packet.payload_type != self._decoder.payload_type:
            self.foreign += 1
            return
        place = self.order.place(packet, arrived_s)
        if place is None:
            return
        pcm = self._decoder.decode(packet.payload)
        self.packets.append(HeardPacket(arrived_s, packet, place, pcm, self._block_bytes))
        self._changed.set()

    def first_audio_after(self, after_s: float, threshold_dbfs: float = LOUD_DBFS) -> float | None:
        """When the first loud block arrived at or after `after_s`."""
        return self._first_audio(self._index_of(after_s), after_s, _rms_of(threshold_dbfs))

    def _index_of(self, at_s: float) -> int:
        """The first packet whose sound may last until then."""
        return bisect.bisect_left(self.packets, at_s - 0.02, key=_arrival)

    def _first_audio(self, begin: int, after_s: float, wanted: int) -> float | None:
        for place in range(begin, len(self.packets)):
            packet = self.packets[place]
            if max(packet.levels, default=0) < wanted:
                continue
            for number, level in enumerate(packet.levels):
                at_s = packet.arrived_s + number * BLOCK_S
                if level >= wanted and at_s >= after_s:
                    return at_s
        return None

    def last_audio_before(
        self, before_s: float, threshold_dbfs: float = LOUD_DBFS
    ) -> float | None:
        """When the last loud block that began before `before_s` ended."""
        wanted = _rms_of(threshold_dbfs)
        for packet in reversed(self.packets):
            if packet.arrived_s >= before_s or max(packet.levels, default=0) < wanted:
                continue
            for number in range(len(packet.levels) - 1, -1, -1):
                at_s = packet.arrived_s + number * BLOCK_S
                if packet.levels[number] >= wanted and at_s < before_s:
                    return at_s + BLOCK_S
        return None

    async def wait_for_audio(
        self, after_s: float, timeout_s: float, threshold_dbfs: float = LOUD_DBFS
    ) -> float:
        """Wait until it gets loud; the time is that of `first_audio_after`.

        Raises:
            TimeoutError: When it stays quiet.
        """
        wanted, begin = _rms_of(threshold_dbfs), self._index_of(after_s)
        async with asyncio.timeout(timeout_s):
            while (at_s := self._first_audio(begin, after_s, wanted)) is None:
                begin = len(self.packets)
                await self._next_packet()
        return at_s

    async def wait_for_silence(
        self, duration_s: float, timeout_s: float, threshold_dbfs: float = LOUD_DBFS
    ) -> float:
        """Wait until it has been quiet for `duration_s` from now on; returns when that began.

        Raises:
            TimeoutError: When it does not get quiet.
        """
        begun_s = time.monotonic()
        async with asyncio.timeout(timeout_s):
            while True:
                now = time.monotonic()
                last_s = self.last_audio_before(now, threshold_dbfs)
                if now - max(begun_s, last_s or 0.0) >= duration_s:
                    return last_s if last_s is not None else begun_s
                await self._next_packet()

    async def wait_until(self, condition: Callable[[], bool], timeout_s: float) -> None:
        """Wait until `condition` holds; it is looked at with every packet.

        Raises:
            TimeoutError: When it does not come true.
        """
        async with asyncio.timeout(timeout_s):
            while not condition():
                await self._next_packet()

    def pcm(self, from_s: float, to_s: float, buffer_s: float | None = None) -> bytes:
        """PCM16 of the timeline between two times, zeros where nothing was received.

        Args:
            from_s: Begin.
            to_s: End.
            buffer_s: Length of a listener's jitter buffer: packets that come later than their
                place on the timeline by more are not heard. None hears all of them.
        """
        sound = self._timeline(from_s, to_s, buffer_s)
        return sound.tobytes()

    def level_dbfs(self, from_s: float, to_s: float) -> float:
        """RMS level of the timeline between two times."""
        return dbfs(self.pcm(from_s, to_s))

    def holes(
        self, from_s: float, to_s: float, longer_than_s: float = 0.010, buffer_s: float = 0.04
    ) -> list[tuple[float, float]]:
        """Begin and length of each dead spot inside a sound that should have none.

        Dead means digital silence (or nothing received in time), as no voice contains it.
        """
        sound = self._timeline(from_s, to_s, buffer_s)
        dead = np.abs(sound.astype(np.int32)) <= 8
        edges = np.flatnonzero(np.diff(np.concatenate(([False], dead, [False])).astype(np.int8)))
        spots = zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)
        rate = self.rate_hz
        return [
            (from_s + begin / rate, (end - begin) / rate)
            for begin, end in spots
            if (end - begin) / rate > longer_than_s
        ]

    def spacing(self, from_s: float = 0.0, to_s: float = float("inf")) -> Spacing:
        """Distances between arrivals."""
        times = [p.arrived_s for p in self.packets if from_s <= p.arrived_s <= to_s]
        if len(times) < 2:
            return Spacing(len(times), 0.0, 0.0, 0.0)
        gaps = np.diff(np.array(times)) * 1000
        p50, p99 = np.percentile(gaps, [50, 99])
        return Spacing(len(times), float(p50), float(p99), float(gaps.max()))

    def save(self, path: Path, from_s: float | None = None, to_s: float | None = None) -> None:
        """Write the timeline as a WAV file."""
        if self.packets:
            from_s = self.packets[0].arrived_s if from_s is None else from_s
            to_s = self.packets[-1].arrived_s + 0.02 if to_s is None else to_s
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(self.rate_hz)
            file.writeframes(self.pcm(from_s or 0.0, to_s or 0.0))

    async def _next_packet(self) -> None:
        """Return at the next packet, or after a frame when none comes."""
        self._changed.clear()
        frame = asyncio.get_running_loop().call_later(0.02, self._changed.set)
        try:
            await self._changed.wait()
        finally:
            frame.cancel()

    def _timeline(self, from_s: float, to_s: float, buffer_s: float | None) -> NDArray[np.int16]:
        rate = self.rate_hz
        sound = np.zeros(max(0, round((to_s - from_s) * rate)), dtype="<i2")
        # None comes before its place, so those before the first cannot belong here
        for number in range(self._index_of(from_s - 0.1), len(self.packets)):
            packet = self.packets[number]
            place_s = self.order.time_of(packet.place)
            if buffer_s is not None and packet.arrived_s - place_s > buffer_s:
                continue
            samples = np.frombuffer(packet.pcm, dtype="<i2")
            begin = round((place_s - from_s) * rate)
            first, last = max(0, begin), min(len(sound), begin + len(samples))
            if first < last:
                sound[first:last] = samples[first - begin : last - begin]
        return sound


def dbfs(pcm: bytes) -> float:
    """RMS level of PCM16 relative to full scale; -120 for digital silence."""
    rms = audioop.rms(pcm, 2) if pcm else 0
    return float(20 * np.log10(rms / FULL_SCALE)) if rms else -120.0


def _arrival(packet: HeardPacket) -> float:
    return packet.arrived_s


def _rms_of(level_dbfs: float) -> int:
    return max(1, round(FULL_SCALE * 10 ** (level_dbfs / 20)))
