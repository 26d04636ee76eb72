"""Sampling rates: a streaming polyphase filter with a constant lag of 3 ms and no bursts.

Every output sample is the dot product of the newest input samples with one phase of a
Kaiser-windowed sinc. The lag is half the filter, the same at every sample, whatever the chunks.
"""

from __future__ import annotations

from functools import lru_cache
from math import ceil, gcd
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Samples: TypeAlias = NDArray[np.float64]

# Measured with these: aliases below -80 dB, -0.7 dB at 0.85 of the lower Nyquist frequency.
_TAPS = 48  # at the lower of the two rates
_KAISER_BETA = 7.0
_CUTOFF = 0.90  # of the lower Nyquist frequency
_FEW_BRANCHES = 16
_GATHERED = 64  # outputs at once: arrays that the allocator keeps, 70 KB for 22050 to 8000


class Resampler:
    """Converts one stream of PCM16 between two rates. Not thread safe.

    Args:
        source_hz: Rate of what comes.
        target_hz: Rate of what goes; any ratio of whole numbers.
    """

    _half: bytes

    def __init__(self, source_hz: int, target_hz: int) -> None:
        common = gcd(source_hz, target_hz)
        self._up, self._down = target_hz // common, source_hz // common
        self._phases = _design(self._up, self._down)
        self._taps = self._phases.shape[1]
        self.lag_s = (self._taps * self._up - 1) / 2 / (source_hz * self._up)
        self._reset()

    def process(self, pcm: bytes) -> bytes:
        """Convert the next bytes, any number of them; returns what they complete."""
        if self._up == self._down:
            return pcm
        if self._half:
            pcm = self._half + pcm
        whole = len(pcm) & ~1
        self._half = pcm[whole:]
        if not whole:
            return b""
        return self._convert(np.frombuffer(pcm, dtype="<i2", count=whole // 2))

    def flush(self) -> bytes:
        """Return what the lag holds back, and begin anew.

        The stream then has as many samples as its length at the new rate asks for, rounded up,
        and the lag's worth of leading ones.
        """
        if self._up == self._down:
            return b""
        silence = np.zeros((self._taps + 1) // 2, dtype=np.int16)
        last = self._convert(silence)
        self._reset()
        return last

    def _reset(self) -> None:
        self._history: Samples = np.zeros(self._taps - 1)
        self._position = 0  # of the next output, in 1/up input samples from `_history[0]`
        self._half = b""

    def _convert(self, samples: NDArray[np.int16]) -> bytes:
        window = np.concatenate((self._history, samples), dtype=np.float64)
        last_start = len(window) - self._taps
        count = (last_start * self._up + self._up - 1 - self._position) // self._down + 1
        if count <= 0:
            self._history = window
            return b""
        if self._up * self._down <= _FEW_BRANCHES:
            output = self._by_branches(window, count)
        else:
            output = self._by_gathering(window, count)
        end = self._position + count * self._down
        keep_from = min(end // self._up, len(window))
        self._history = window[keep_from:]
        self._position = end - keep_from * self._up
        np.rint(output, out=output)
        np.clip(output, -32768, 32767, out=output)
        return output.astype("<i2").tobytes()

    def _by_branches(self, window: Samples, count: int) -> Samples:
        """One correlation for each phase and input residue: best for small ratios."""
        output = np.empty(count)
        down, taps = self._down, self._taps
        for first in range(min(self._up, count)):
            start, phase = divmod(self._position + first * down, self._up)
            part = output[first :: self._up]
            filtered = self._phases[phase]
            span = window[start : start + (len(part) - 1) * down + taps]
            if down == 1:
                part[:] = np.correlate(span, filtered)
            else:
                part[:] = sum(
                    np.correlate(span[branch::down], filtered[branch::down])[: len(part)]
                    for branch in range(down)
                )
        return output

    def _by_gathering(self, window: Samples, count: int) -> Samples:
        """Collect each output's inputs: for ratios of many phases, such as 22050 to 8000."""
        inputs = np.lib.stride_tricks.sliding_window_view(window, self._taps)
        at = self._position + np.arange(count) * self._down
        starts, phases = np.divmod(at, self._up)
        output = np.empty(count)
        for first in range(0, count, _GATHERED):
            some = slice(first, first + _GATHERED)
            np.einsum(
                "ij,ij->i", inputs[starts[some]], self._phases[phases[some]], out=output[some]
            )
        return output


@lru_cache(maxsize=16)
def _design(up: int, down: int) -> Samples:
    """Design the filter: one row of taps for each phase, oldest sample first."""
    taps = ceil(_TAPS * max(up, down) / up)
    length = taps * up
    cutoff = 0.5 / max(up, down) * _CUTOFF
    at = np.arange(length) - (length - 1) / 2
    response = 2 * cutoff * np.sinc(2 * cutoff * at) * np.kaiser(length, _KAISER_BETA)
    response *= up / response.sum()
    return np.ascontiguousarray([response[phase::up][::-1] for phase in range(up)])
