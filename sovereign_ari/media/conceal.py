"""Filling what the network lost: the last pitch period repeated, falling silent after 60 ms.

A recogniser hears a hole as a plosive or as the end of a word; a continued vowel it hears
through. (The idea is that of ITU-T G.711 appendix I.)
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from sovereign_ari.media.pcm import FRAME_S, AudioFormat, Encoding
from sovereign_ari.media.reframe import Frame
from sovereign_ari.media.transcode import decoder_for, encoder_for, silence_frame

MAX_FRAMES = 3
"""60 ms: longer than that, any repetition sounds like a machine."""

_HISTORY_FRAMES = 3
_SHORTEST_PERIOD_S = 0.0025  # 400 Hz
_LONGEST_PERIOD_S = 0.015  # 66 Hz


class Concealer:
    """Replaces the lost frames of one stream. Costs nothing while none is lost.

    Args:
        wire: Format of the frames.
    """

    def __init__(self, wire: AudioFormat) -> None:
        self._wire = wire
        self._silence = silence_frame(wire)
        self._history: deque[bytes] = deque([self._silence] * _HISTORY_FRAMES, _HISTORY_FRAMES)
        self._lost_frames = 0
        self._filling: list[bytes] = []

    def fill(self, frame: Frame) -> bytes:
        """Return the frame itself, or 20 ms of wire audio for one that is lost."""
        if frame is not None:
            self._history.append(frame)
            self._lost_frames = 0
            return frame
        if self._lost_frames == 0:
            self._filling = self._continue_history()
        self._lost_frames += 1
        if self._lost_frames > MAX_FRAMES:
            return self._silence
        return self._filling[self._lost_frames - 1]

    def _continue_history(self) -> list[bytes]:
        """Make the frames for a loss of `MAX_FRAMES`, for its length is not known yet."""
        wire = self._wire
        past_pcm = decoder_for(wire).decode(b"".join(self._history))
        past = np.frombuffer(past_pcm, dtype="<i2").astype(np.float64)
        frame_samples = round(wire.rate_hz * FRAME_S)
        count = frame_samples * MAX_FRAMES
        period = _period(past, wire.rate_hz)
        future = np.resize(past[-period:], count) * np.linspace(1.0, 0.0, count)
        encoder = encoder_for(wire)
        if wire.encoding is Encoding.G722:  # its state must be that of the listener's decoder
            encoder.encode(past_pcm)
        audio = encoder.encode(future.astype("<i2").tobytes())
        size = wire.frame_bytes
        return [audio[at : at + size] for at in range(0, len(audio), size)]


def _period(past: NDArray[np.float64], rate_hz: int) -> int:
    """Find the shift in samples at which the end of `past` is most like what came before."""
    longest = round(rate_hz * _LONGEST_PERIOD_S)
    shortest = round(rate_hz * _SHORTEST_PERIOD_S)
    template = past[-longest:]
    searched = past[-2 * longest : -shortest]
    products = np.correlate(searched, template)
    squares = np.concatenate(([0.0], np.cumsum(searched**2)))
    energies = squares[longest:] - squares[: len(squares) - longest]
    likeness = products / np.sqrt(energies + 1.0)
    return longest - int(np.argmax(likeness))
