"""The audio of one call: its far end, jitter buffer, playout, and place on the pacer."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence

from sovereign_ari.media.ambience import Ambience
from sovereign_ari.media.conceal import Concealer
from sovereign_ari.media.echo import SENT_FRAMES
from sovereign_ari.media.jitter import JitterBuffer
from sovereign_ari.media.pcm import PCM_16K, AudioFormat, Encoding
from sovereign_ari.media.playout import Playout
from sovereign_ari.media.rtp import PAYLOAD_TYPES, RtpPacket, RtpStream
from sovereign_ari.media.transcode import encoder_for, silence_frame
from sovereign_ari.media.waiting import Waiting
from sovereign_ari.wire.datagrams import Address
from sovereign_ari.wire.pacer import Pacer
from sovereign_ari.wire.rtp_socket import FarEnd, RtpSocket


class MediaLeg:
    """Both directions of one call's audio, in the format of its wire.

    Receiving runs on the event loop, sending on the pacer's thread; they share nothing but
    `Playout`, which is made for that. It is a `conversation.mouth.Mouth`.

    Args:
        audio: What the wire carries.
        socket: Where it comes in.
        entropy: Random bits for the sequence number, timestamp and SSRC (RFC 3550 section 5.1).
        clock: Monotonic seconds.
        hear: Takes each 20 ms frame of the caller, in order, with the time of its arrival.
    """

    def __init__(
        self,
        audio: AudioFormat,
        socket: RtpSocket,
        entropy: int,
        clock: Callable[[], float],
        hear: Callable[[bytes, float], None],
    ) -> None:
        self._clock = clock
        self._hear = hear
        self._jitter = JitterBuffer(audio)
        self._concealer = Concealer(audio)
        # G.722 carries state from frame to frame, and the far end decodes all that is sent,
        # silence too: so one encoder does all of it, at the moment of sending.
        self._encoder = encoder_for(audio) if audio.encoding is Encoding.G722 else None
        self._audio = PCM_16K if self._encoder else audio
        self._playout = Playout(self._audio)
        self._silence = silence_frame(self._audio)
        self._room: Ambience | None = None
        self._waiting: Waiting | None = None
        # The pacer's thread appends, the event loop takes: each in one step that cannot be cut.
        self._sent: deque[bytes | None] = deque(maxlen=SENT_FRAMES)
        self._stream = RtpStream(
            payload_type=PAYLOAD_TYPES[audio.encoding],
            ssrc=entropy & 0xFFFFFFFF,
            sequence=(entropy >> 32) & 0xFFFF,
            timestamp=(entropy >> 48) & 0xFFFFFFFF,
        )
        self._socket = socket
        self._far_end: FarEnd | None = None
        self._first_sent_s: float | None = None
        self._last_sent_s: float | None = None
        self._held = False
        self._paused = False
        self._begun = False  # until this reply puts something, what leaves is of the one before

    @property
    def local(self) -> Address:
        """Our address and port, to be given to Asterisk as `external_host`."""
        return self._socket.local

    def listen_to(self, peer: Address) -> None:
        """Take what Asterisk's leg sends, from now on."""
        if self._far_end is None:
            self._far_end = self._socket.listen_to(peer, self._on_packet)

    def connect(self, peer: Address, pacer: Pacer, name: str) -> None:
        """Exchange audio with Asterisk's leg from now on: speech, or silence, every 20 ms."""
        self.listen_to(peer)
        pacer.add(name, self, peer)

    def furnish(self, room: Ambience) -> None:
        """Put a room behind all that is sent from now on, to the end of the call.

        Args:
            room: In the format of `audio`; it is the pacer's from here on.
        """
        self._room = room

    def wait_with(self, sound: Waiting | None) -> None:
        """Let this be heard whenever nothing is said, until told None.

        Args:
            sound: In the format of `audio`; it is the pacer's from here on.
        """
        self._waiting = sound

    def close(self) -> None:
        """Stop receiving. The pacer must have let go before."""
        if self._far_end is not None:
            self._far_end.close()

    def poll(self, now_s: float) -> None:
        """Release frames whose missing predecessor has been waited for long enough."""
        self._release(self._jitter.poll(now_s), now_s)

    def facts(self) -> Mapping[str, float]:
        """Count what arrived and what was sent, for the record of the call."""
        stats, far_end = self._jitter.stats, self._far_end
        return {
            "received": stats.received,
            "lost": stats.lost,
            "late": stats.late,
            "duplicate": stats.duplicate,
            "reordered": stats.reordered,
            "concealed": stats.concealed,
            "jitter_ms": round(stats.jitter_ms, 2),
            "malformed": far_end.malformed if far_end else 0,
            "strangers": far_end.strangers if far_end else 0,
            "other": stats.other,
            "underruns": self._playout.underruns,
        }

    def _on_packet(self, packet: RtpPacket) -> None:
        now_s = self._clock()
        self._release(self._jitter.push(packet, now_s), now_s)

    def _release(self, frames: Sequence[bytes | None], now_s: float) -> None:
        for frame in frames:
            self._hear(self._concealer.fill(frame), now_s)

    # The pacer's side.

    def next_packet(self, now_s: float) -> bytes:
        """See `pacer.PacketSource`."""
        frame = self._playout.next_frame()
        self._sent.append(frame)
        marker = False
        if frame is not None and self._begun:
            marker = self._first_sent_s is None
            if marker:
                self._first_sent_s = now_s
            self._last_sent_s = now_s
        if frame is None and (waiting := self._waiting) is not None:
            frame = waiting.next_frame()
        if self._room is not None:
            frame = self._room.frame(frame)
        elif frame is None:
            frame = self._silence
        if self._encoder is not None:
            frame = self._encoder.encode(frame)
        return self._stream.next(frame, marker=marker)

    # The mouth's side; see `conversation.mouth.Mouth`.

    @property
    def audio(self) -> AudioFormat:
        """What `put` takes."""
        return self._audio

    def begin(self) -> None:
        """Start a reply."""
        self._playout.clear()
        self._begun = False
        self._first_sent_s = self._last_sent_s = None

    def put(self, audio: bytes) -> None:
        """Append encoded audio."""
        self._begun = True
        self._playout.put(audio)

    def end(self) -> None:
        """Say that the reply is complete."""
        self._playout.end_segment()

    def pause(self) -> None:
        """Send silence, keeping the place."""
        self._paused = True
        self._playout.pause()

    def resume(self) -> None:
        """Go on where it was paused, unless nobody listens."""
        self._paused = False
        if not self._held:
            self._playout.resume()

    def hold(self, on: bool) -> None:
        """Keep still while the far end has us on hold."""
        self._held = on
        if on:
            self._playout.pause()
        elif not self._paused:
            self._playout.resume()

    def cut(self) -> None:
        """Forget what was not sent yet."""
        self._playout.clear()

    def take_sent(self) -> Sequence[bytes | None]:
        """Take the frames that left since the last time; what the room adds is not in them."""
        return [self._sent.popleft() for _ in range(len(self._sent))]

    @property
    def sent_bytes(self) -> int:
        """How much of this reply has left."""
        return self._playout.segment_played_bytes if self._begun else 0

    @property
    def queued_s(self) -> float:
        """Seconds of audio that have not left."""
        return self._playout.queued_s

    @property
    def first_sent_s(self) -> float | None:
        """Time of this reply's first packet."""
        return self._first_sent_s

    @property
    def last_sent_s(self) -> float | None:
        """Time of this reply's latest packet."""
        return self._last_sent_s
