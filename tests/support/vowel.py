"""A voice in a dozen lines: harmonics of a wavering pitch under two formants."""

from __future__ import annotations

import functools

import numpy as np


@functools.cache
def vowel(seconds: float = 2.0, rate_hz: int = 8000) -> bytes:
    """Make an "a" of a low voice as PCM16, which every frame of a detector calls speech."""
    times_s = np.arange(round(seconds * rate_hz)) / rate_hz
    pitch_hz = 120 + 10 * np.sin(2 * np.pi * 3 * times_s)
    phase = np.cumsum(2 * np.pi * pitch_hz / rate_hz)
    sound = np.zeros_like(times_s)
    for harmonic in range(1, 25):
        hz = harmonic * 120
        level = np.exp(-(((hz - 600) / 500) ** 2)) + 0.4 * np.exp(-(((hz - 1400) / 400) ** 2))
        sound += level * np.cos(harmonic * phase)
    samples: bytes = (sound / np.abs(sound).max() * 8000).astype("<i2").tobytes()
    return samples
