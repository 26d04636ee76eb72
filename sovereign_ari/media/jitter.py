"""The receiving side of a call's RTP: packets in any order in, 20 ms frames in order out.

A packet that follows the last one is released at once, so a clean network costs no latency. Only
a gap makes us wait, for as long as late packets were lately seen to need: 0 to 60 ms, from the
interarrival jitter of RFC 3550 section 6.4.1 and from how late recent stragglers came. Then what
is missing is given up as `None`, which `media.conceal` fills.

Nothing is released while nothing arrives: whoever counts silence must use a clock.
"""

from __future__ import annotations

from dataclasses import dataclass

from sovereign_ari.media.pcm import AudioFormat
from sovereign_ari.media.reframe import Frame, Reframer
from sovereign_ari.media.rtp import CLOCK_HZ, PAYLOAD_TYPES, RtpPacket
from sovereign_ari.media.transcode import silence_frame

MAX_WAIT_S = 0.060
FIRST_WAIT_S = 0.020
"""Waiting before anything is known about the network."""

MAX_PAYLOAD_S = 0.200
"""A longer packet cannot be the 10 to 60 ms of a telephone leg."""

_JITTER_WAITS = 4.0
_STRAGGLER_DECAY = 0.998  # per packet: half-life 7 s at 50 packets/s
_MAX_AHEAD = 100
_MAX_BEHIND = 25  # half a second: no reordering lasts longer, so the sender restarted
_REMEMBERED_LOSSES = 256
_PLAUSIBLE_TRANSIT_STEP_S = 1.0


@dataclass(slots=True)
class ReceiveStats:
    """What became of a call's incoming packets. All counts are packets but `concealed`.

    Attributes:
        received: Packets of the expected sender, of any kind.
        lost: Given up after waiting.
        late: Arrived after being given up.
        duplicate: Arrived again.
        reordered: Arrived after a later one, in time to be used.
        concealed: Frames released as `None`.
        other: Not our payload type or of impossible length, e.g. telephone events.
        ssrc_changes: The sender took another identity.
        restarts: The numbering jumped without a change of identity.
        pauses: Consecutive packets whose timestamps are apart: the sender kept silent (DTX).
        jitter_ms: Interarrival jitter, RFC 3550 section 6.4.1.
    """

    received: int = 0
    lost: int = 0
    late: int = 0
    duplicate: int = 0
    reordered: int = 0
    concealed: int = 0
    other: int = 0
    ssrc_changes: int = 0
    restarts: int = 0
    pauses: int = 0
    jitter_ms: float = 0.0


class JitterBuffer:
    """Puts the packets of one call in order and tells what is lost. Not thread safe.

    Times are seconds on any monotonic clock, passed in by the caller.

    Args:
        wire: Format of the audio; decides the payload type that is audio.
    """

    def __init__(self, wire: AudioFormat) -> None:
        self.stats = ReceiveStats()
        self._payload_type = PAYLOAD_TYPES[wire.encoding]
        self._max_payload_bytes = wire.bytes_for(MAX_PAYLOAD_S)
        self._reframer = Reframer(silence_frame(wire))
        self._ssrc: int | None = None
        self._previous_ssrc: int | None = None
        self._expected = 0  # sequence number without wrap-around
        self._next_timestamp: int | None = None
        # By sequence number, in order of arrival.
        self._waiting: dict[int, tuple[RtpPacket, float]] = {}
        self._given_up: dict[int, None] = {}
        self._suspect: RtpPacket | None = None
        self._transit_s: float | None = None
        self._jitter_s = 0.0
        self._straggler_s = FIRST_WAIT_S

    @property
    def wait_s(self) -> float:
        """How long a gap is waited for now, 0 to 0.060."""
        return min(MAX_WAIT_S, max(_JITTER_WAITS * self._jitter_s, self._straggler_s))

    @property
    def due_s(self) -> float | None:
        """When `poll` will have something to release; None while there is no gap."""
        for _, arrived_s in self._waiting.values():
            return arrived_s + self.wait_s
        return None

    def push(self, packet: RtpPacket, arrived_s: float) -> list[Frame]:
        """Take a packet and release every frame that is due. `None` is a lost frame."""
        self.stats.received += 1
        if packet.ssrc != self._ssrc:
            return self._change_sender(packet, arrived_s)
        ahead = ((packet.sequence - self._expected + 0x8000) & 0xFFFF) - 0x8000
        self._measure(packet, arrived_s)
        if ahead == 0 and not self._waiting:
            self._suspect = None
            self._expected += 1
            return self._deliver(packet)
        if self._continues_suspect(packet) or not -_MAX_BEHIND <= ahead <= _MAX_AHEAD:
            return self._suspect_restart(packet, arrived_s)
        self._suspect = None
        sequence = self._expected + ahead
        if ahead < 0:
            self._count_straggler(sequence, arrived_s)
        elif sequence in self._waiting:
            self.stats.duplicate += 1
        else:
            self._wait_for_turn(sequence, packet, arrived_s)
        return self._release(arrived_s)

    def poll(self, now_s: float) -> list[Frame]:
        """Release what has waited long enough for a missing packet."""
        return self._release(now_s) if self._waiting else []

    def flush(self) -> list[Frame]:
        """Release everything that waits, giving up every gap."""
        return self._release(float("inf"))

    def _release(self, now_s: float) -> list[Frame]:
        frames: list[Frame] = []
        waiting = self._waiting
        while waiting:
            entry = waiting.pop(self._expected, None)
            if entry is not None:
                frames += self._deliver(entry[0])
            else:
                oldest_s = next(iter(waiting.values()))[1]
                if now_s - oldest_s < self.wait_s:
                    break
                frames += self._give_up()
            self._expected += 1
        return frames

    def _deliver(self, packet: RtpPacket) -> list[Frame]:
        size = len(packet.payload)
        if packet.payload_type != self._payload_type or size > self._max_payload_bytes:
            self.stats.other += 1
            return []
        frames: list[Frame] = []
        if packet.timestamp != self._next_timestamp and self._next_timestamp is not None:
            self.stats.pauses += 1
            frames = self._reframer.pause()
        # All our payload types carry one byte per tick of the RTP clock.
        self._next_timestamp = (packet.timestamp + size) & 0xFFFF_FFFF
        return frames + self._reframer.push(packet.payload)

    def _give_up(self) -> list[Frame]:
        self.stats.lost += 1
        self._given_up[self._expected] = None
        if len(self._given_up) > _REMEMBERED_LOSSES:
            del self._given_up[next(iter(self._given_up))]
        self._next_timestamp = None
        frames = self._reframer.lose_packet()
        self.stats.concealed += frames.count(None)
        return frames

    def _wait_for_turn(self, sequence: int, packet: RtpPacket, arrived_s: float) -> None:
        if self._waiting and sequence < max(self._waiting):
            self.stats.reordered += 1
            first_s = next(iter(self._waiting.values()))[1]
            self._straggler_s = max(self._straggler_s, min(MAX_WAIT_S, arrived_s - first_s))
        self._waiting[sequence] = (packet, arrived_s)

    def _count_straggler(self, sequence: int, arrived_s: float) -> None:
        """Count a packet behind its turn; one that came too late asks for longer waits."""
        if sequence not in self._given_up:
            self.stats.duplicate += 1
            return
        del self._given_up[sequence]
        self.stats.late += 1
        self._straggler_s = min(MAX_WAIT_S, self.wait_s + FIRST_WAIT_S)

    def _change_sender(self, packet: RtpPacket, arrived_s: float) -> list[Frame]:
        """Follow a new identity at once, but the one we just left only when it insists."""
        if packet.ssrc == self._previous_ssrc:
            return self._suspect_restart(packet, arrived_s)
        return self._restart([packet], arrived_s)

    def _suspect_restart(self, packet: RtpPacket, arrived_s: float) -> list[Frame]:
        """Believe a jump when a second packet continues it (RFC 3550 appendix A.1)."""
        first = self._suspect
        if first is None or not self._continues_suspect(packet):
            self._suspect = packet
            return []
        return self._restart([first, packet], arrived_s)

    def _continues_suspect(self, packet: RtpPacket) -> bool:
        first = self._suspect
        return (
            first is not None
            and first.ssrc == packet.ssrc
            and (first.sequence + 1) & 0xFFFF == packet.sequence
        )

    def _restart(self, packets: list[RtpPacket], arrived_s: float) -> list[Frame]:
        frames = self.flush()
        first = packets[0]
        if self._ssrc is not None:
            if first.ssrc == self._ssrc:
                self.stats.restarts += 1
            else:
                self.stats.ssrc_changes += 1
                self._previous_ssrc = self._ssrc
        self._ssrc = first.ssrc
        self._suspect = None
        self._given_up.clear()
        self._next_timestamp = None
        self._transit_s = None
        self._expected = first.sequence
        for packet in packets:
            self._measure(packet, arrived_s)
            frames += self._deliver(packet)
            self._expected += 1
        return frames

    def _measure(self, packet: RtpPacket, arrived_s: float) -> None:
        transit_s = arrived_s - packet.timestamp / CLOCK_HZ
        if self._transit_s is not None:
            step_s = abs(transit_s - self._transit_s)
            # A wrapped or re-based timestamp says nothing about the network.
            if step_s < _PLAUSIBLE_TRANSIT_STEP_S:
                self._jitter_s += (step_s - self._jitter_s) / 16
                self.stats.jitter_ms = self._jitter_s * 1000
        self._transit_s = transit_s
        self._straggler_s *= _STRAGGLER_DECAY
