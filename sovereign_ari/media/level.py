"""Loudness: a gain that bends peaks instead of clipping them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_FULL_SCALE = 32768
_KNEE = 0.7  # of full scale


def amplified(pcm: bytes, gain: float) -> bytes:
    """Multiply PCM16 samples; what rises above 0.7 of full scale is bent towards it."""
    samples: NDArray[np.float32] = np.frombuffer(pcm, dtype="<i2") * np.float32(gain / _FULL_SCALE)
    loud = np.abs(samples)
    if loud.size and loud.max() > _KNEE:
        room = 1.0 - _KNEE
        bent = _KNEE + room * np.tanh((loud - _KNEE) / room)
        samples = np.where(loud > _KNEE, np.copysign(bent, samples), samples)
    return (samples * (_FULL_SCALE - 1)).astype("<i2").tobytes()
