"""Where each packet belongs: sequence numbers and time stamps without their wraps."""

from __future__ import annotations

from typing import NamedTuple

from tests.support.rtp_packets import RtpPacket

RTP_CLOCK_HZ = 8000
_JUMP_S = 0.25
"""A time stamp this far from the clock begins a new stretch (the sender's source changed)."""


class Place(NamedTuple):
    """Where a packet belongs.

    Attributes:
        sequence: Sequence number without its wrap, per SSRC.
        stretch: Number of the run of packets that share one clock.
        media_s: RTP time stamp without its wrap, in seconds of that clock.
        late: A later packet had arrived before it.
    """

    sequence: int
    stretch: int
    media_s: float
    late: bool


class ArrivalOrder:
    """Orders the packets of one call.

    Attributes:
        late: Packets that came behind a later one.
        duplicates: Packets that came twice.
        sources: SSRCs seen, in order of appearance.
    """

    def __init__(self) -> None:
        self.late = 0
        self.duplicates = 0
        self._seen: dict[int, set[int]] = {}
        self._highest: dict[int, int] = {}
        self._clock: tuple[int, int] | None = None
        self._anchors: list[float] = []

    @property
    def lost(self) -> int:
        """Sequence numbers between the first and the last that never came."""
        return sum(max(seen) - min(seen) + 1 - len(seen) for seen in self._seen.values())

    @property
    def sources(self) -> list[int]:
        """SSRCs seen, in order of appearance."""
        return list(self._seen)

    def time_of(self, place: Place) -> float:
        """When the sender meant it to be heard, had every packet been as fast as the fastest."""
        return self._anchors[place.stretch] + place.media_s

    def place(self, packet: RtpPacket, arrived_s: float) -> Place | None:
        """Say where a packet belongs; None for a duplicate."""
        sequence = self._unwrap_sequence(packet)
        seen = self._seen.setdefault(packet.ssrc, set())
        if sequence in seen:
            self.duplicates += 1
            return None
        seen.add(sequence)
        late = sequence < self._highest[packet.ssrc]
        self.late += late
        media_s = self._unwrap_timestamp(packet, arrived_s)
        return Place(sequence, len(self._anchors) - 1, media_s, late)

    def _unwrap_sequence(self, packet: RtpPacket) -> int:
        highest = self._highest.setdefault(packet.ssrc, packet.sequence)
        step = (packet.sequence - highest + 0x8000) % 0x10000 - 0x8000
        self._highest[packet.ssrc] = max(highest, highest + step)
        return highest + step

    def _unwrap_timestamp(self, packet: RtpPacket, arrived_s: float) -> float:
        """Place the packet on its stretch's clock and let the fastest one anchor it."""
        if self._clock is not None and self._clock[0] == packet.ssrc:
            last = self._clock[1]
            ticks = last + ((packet.timestamp - last + 2**31) % 2**32 - 2**31)
            delay_s = arrived_s - ticks / RTP_CLOCK_HZ - self._anchors[-1]
            if abs(delay_s) < _JUMP_S:
                self._clock = packet.ssrc, max(ticks, last)
                self._anchors[-1] += min(0.0, delay_s)
                return ticks / RTP_CLOCK_HZ
        self._clock = packet.ssrc, packet.timestamp
        self._anchors.append(arrived_s - packet.timestamp / RTP_CLOCK_HZ)
        return packet.timestamp / RTP_CLOCK_HZ
