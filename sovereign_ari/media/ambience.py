"""The room behind a voice: a loop that is mixed under what is said, and steps back for it.

It knows nothing of what is said, when, or how much of it was heard: it only adds to the frames
that leave. What is under speech is mixed on samples, at the moment of sending; the room alone,
which is most of a call, is encoded beforehand, once for all calls of a volume.
"""

from __future__ import annotations

import audioop
from functools import lru_cache

import numpy as np

from sovereign_ari.media.pcm import FRAMES_PER_S, AudioFormat
from sovereign_ari.media.transcode import decoder_for, encoder_for

UNDER_SPEECH_DB = -12.0
DUCKED_WITHIN_FRAMES = 5
BACK_WITHIN_FRAMES = 10

_STEPS = 10  # of the way down; both ramps take whole numbers of them
_DOWN = _STEPS // DUCKED_WITHIN_FRAMES
_UP = _STEPS // BACK_WITHIN_FRAMES
_FULL_SCALE = 32767


class Ambience:
    """A room on one call. For one thread.

    A frame so loud that the room would not fit on top of it gets less room, never a clipped
    voice.

    Args:
        loop: PCM16 at the rate of `wire`, a whole number of frames; shared by all calls.
        volume: 0 to 1, as a share of the level of the loop.
        wire: Format of the frames: PCM16 or G.711, for G.722 cannot be mixed.
        start_frame: Where in the loop this call begins.
    """

    def __init__(
        self, loop: bytes, volume: float, wire: AudioFormat, start_frame: int = 0
    ) -> None:
        self._loop = loop
        self._size = 2 * wire.rate_hz // FRAMES_PER_S
        self._at = start_frame * self._size % len(loop)
        self._alone = _encoded(loop, volume, wire)
        self._frame_bytes = wire.frame_bytes
        self._decoder = decoder_for(wire)
        self._encoder = encoder_for(wire)
        self._gains = [
            volume * 10 ** (UNDER_SPEECH_DB * step / _STEPS / 20) for step in range(_STEPS + 1)
        ]
        self._peak = _peak(loop)
        self._rise = np.arange(1, self._size // 2 + 1) / (self._size // 2)
        self._step = _STEPS  # 0 at full level; it comes up when it begins, too

    def frame(self, voice: bytes | None) -> bytes:
        """Return the frame to send: the room, and over it what is said now, if anything is."""
        before = self._step
        if voice is None and before == 0:
            return self._next_alone()
        if voice is None:
            self._step = max(0, before - _UP)
        else:
            self._step = min(_STEPS, before + _DOWN)
        room = self._next(before, self._step)
        if voice is None:
            return self._encoder.encode(room)
        pcm = self._decoder.decode(voice)
        space = max(0, _FULL_SCALE - audioop.max(pcm, 2))
        loudest = self._peak * self._gains[min(before, self._step)]
        if loudest > space:
            room = audioop.mul(room, 2, space / loudest)
        return self._encoder.encode(audioop.add(pcm, room, 2))

    def _next_alone(self) -> bytes:
        """Take the next 20 ms of the loop at full level, encoded."""
        at = self._at // self._size * self._frame_bytes
        self._at = (self._at + self._size) % len(self._loop)
        return self._alone[at : at + self._frame_bytes]

    def _next(self, before: int, after: int) -> bytes:
        """Take the next 20 ms of the loop, with the gain gliding from one step to another."""
        room = self._loop[self._at : self._at + self._size]
        self._at = (self._at + self._size) % len(self._loop)
        first, last = self._gains[before], self._gains[after]
        if before == after:
            return audioop.mul(room, 2, last)
        gliding = np.frombuffer(room, dtype="<i2") * (first + (last - first) * self._rise)
        return np.rint(gliding).astype("<i2").tobytes()


@lru_cache(maxsize=16)
def _peak(loop: bytes) -> int:
    return audioop.max(loop, 2)


@lru_cache(maxsize=8)
def _encoded(loop: bytes, volume: float, wire: AudioFormat) -> bytes:
    """Encode a loop at full level; up to a megabyte."""
    return encoder_for(wire).encode(audioop.mul(loop, 2, volume))
