"""What to put where a packet is missing: the last frame, fading, then silence."""

from __future__ import annotations

import audioop

from sovereign_ari.media.pcm import AudioFormat, Encoding
from sovereign_ari.media.transcode import decoder_for, encoder_for, silence_frame

FADE = (1.0, 0.6, 0.3)
"""Level of the first, second and third missing frame; what follows is silence (60 ms)."""


class Concealer:
    """Fills the gaps of one call's incoming audio, in the format of its wire.

    G.722 carries state from frame to frame, so its last frame is repeated as it is, once.

    Args:
        wire: Format of the frames.
    """

    def __init__(self, wire: AudioFormat) -> None:
        self._wire = wire
        self._silence = silence_frame(wire)
        self._last = self._silence
        self._missing = 0

    def received(self, frame: bytes) -> bytes:
        """Take a frame that arrived, and return it."""
        self._last = frame
        self._missing = 0
        return frame

    def lost(self) -> bytes:
        """Make up one missing frame."""
        step, self._missing = self._missing, self._missing + 1
        if self._wire.encoding is Encoding.G722:
            return self._last if step == 0 else self._silence
        if step >= len(FADE):
            return self._silence
        pcm = decoder_for(self._wire).decode(self._last)
        return encoder_for(self._wire).encode(audioop.mul(pcm, 2, FADE[step]))
