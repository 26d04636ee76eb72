"""What is about to be said on a call, frame by frame.

`Playout` is fed by the event loop and emptied by the pacer's thread. It has no lock: the frames
stand in a deque, whose operations are atomic; each piece of state is written by one side, the
one named beside it; and what was played is computed from what was put and what is left. So a
frame is either played or dropped, never both and never neither.
"""

from __future__ import annotations

from collections import deque

from sovereign_ari.media.fade import fade_in, fade_out
from sovereign_ari.media.ledger import SpokenLedger
from sovereign_ari.media.pcm import FRAME_S, AudioFormat
from sovereign_ari.media.transcode import silence_frame

__all__ = ["Playout", "SpokenLedger"]


class Playout:
    """The outgoing audio of one call, in segments such as a reply.

    `next_frame` is for the pacer's thread; everything else is for the thread of the event loop.
    There is no limit here: whoever feeds waits while `queued_s` is more than it wants at risk.

    Args:
        wire: Format of everything that is put.

    Attributes:
        underruns: How often an open segment ran dry after it had begun to play.
        starved_frames: How many frames of silence that cost.
    """

    def __init__(self, wire: AudioFormat) -> None:
        self.wire = wire
        self._frame_bytes = wire.frame_bytes
        self._silence = silence_frame(wire)
        self._frames: deque[bytes] = deque()
        # The feeder's.
        self._tail = b""
        self._put_frames = 0  # less those dropped
        self._open = False
        self._segment_start_frames = 0
        self._segment_bytes = 0
        self._marks: deque[tuple[int, object]] = deque()
        self._paused = False
        # The pacer's.
        self.underruns = 0
        self.starved_frames = 0
        self._silent = True
        # Set by one, reset by the other; a write lost in between costs a ramp, no audio.
        self._faded = False
        self._parting: bytes | None = None

    def put(self, payload: bytes, mark: object | None = None) -> None:
        """Append encoded audio of any length, opening a segment if none is open.

        Args:
            payload: Audio in the wire's format.
            mark: Reported by `reached_marks` once the frame with the first of these bytes left.
        """
        if not self._open:
            self._segment_start_frames = self._put_frames
            self._segment_bytes = 0
            self._open = True
        if mark is not None:
            self._marks.append((self._put_frames + 1, mark))
        self._segment_bytes += len(payload)
        size = self._frame_bytes
        audio = self._tail + payload
        whole = len(audio) - len(audio) % size
        for at in range(0, whole, size):
            self._frames.append(audio[at : at + size])
        self._put_frames += whole // size
        self._tail = audio[whole:]

    def end_segment(self, mark: object | None = None) -> None:
        """Let the last partial frame leave, filled with silence. Harmless when none is open.

        Args:
            mark: Reported by `reached_marks` once everything put so far has left.
        """
        self._open = False
        if self._tail:
            self._frames.append(self._tail + self._silence[len(self._tail) :])
            self._put_frames += 1
            self._tail = b""
        if mark is not None:
            self._marks.append((self._put_frames, mark))

    def pause(self) -> None:
        """Fade out over the next frame, then send silence, keeping the place."""
        self._paused = True

    def resume(self) -> None:
        """Go on at the first frame that has not left at full level."""
        self._paused = False

    def clear(self) -> int:
        """Drop everything that has not left, and end the segment and any pause.

        Marks that were not reached are forgotten. A frame that fades out may still leave.

        Returns:
            Bytes of the segment that were played.
        """
        sounding = not self._silent
        dropped, first = self._drop_frames()
        self._put_frames -= dropped
        reached = self._reached_count()
        while len(self._marks) > reached:
            self._marks.pop()
        self._tail = b""
        self._open = False
        if sounding and first is not None:
            self._parting = fade_out(first, self.wire)
        self._paused = self._faded = False
        return self.segment_played_bytes

    def next_frame(self) -> bytes | None:
        """Take the frame to send now; None where silence is to be sent."""
        if self._parting is not None:
            parting, self._parting = self._parting, None
            self._silent = True
            return parting
        if self._paused:
            return self._paused_frame()
        try:
            frame = self._frames.popleft()
        except IndexError:
            self._run_dry()
            return None
        self._silent = False
        if self._faded:
            self._faded = False
            return fade_in(frame, self.wire) or frame
        return frame

    def reached_marks(self) -> list[object]:
        """Take the marks whose audio has left since the last time, oldest first."""
        return [self._marks.popleft()[1] for _ in range(self._reached_count())]

    @property
    def queued_s(self) -> float:
        """Seconds of audio that have not left, the unfinished last frame included."""
        return len(self._frames) * FRAME_S + self.wire.seconds(len(self._tail))

    @property
    def played_s(self) -> float:
        """Seconds of audio that have left in the life of this call."""
        return self._played_frames * FRAME_S

    @property
    def segment_played_bytes(self) -> int:
        """Bytes of the newest segment that have left, its filling not counted."""
        frames = self._played_frames - self._segment_start_frames
        return max(0, min(frames * self._frame_bytes, self._segment_bytes))

    @property
    def idle(self) -> bool:
        """Whether nothing is queued and no more is to come."""
        return not self._open and not self._frames

    @property
    def _played_frames(self) -> int:
        return self._put_frames - len(self._frames)

    def _reached_count(self) -> int:
        played = self._played_frames
        return sum(number <= played for number, _ in self._marks)

    def _drop_frames(self) -> tuple[int, bytes | None]:
        """Drop from the end, so that what the pacer takes meanwhile is still what comes next.

        Returns:
            How many frames, and the one that would have left first.
        """
        dropped, first = 0, None
        while True:
            try:
                first = self._frames.pop()
            except IndexError:
                return dropped, first
            dropped += 1

    def _paused_frame(self) -> bytes | None:
        if self._silent:
            return None
        self._silent = self._faded = True
        try:
            return fade_out(self._frames[0], self.wire)
        except IndexError:
            return None

    def _run_dry(self) -> None:
        if self._open and self.segment_played_bytes:
            self.starved_frames += 1
            self.underruns += not self._silent
        self._silent = True
