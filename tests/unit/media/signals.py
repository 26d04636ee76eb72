"""Signals to measure with."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sovereign_ari.media.ambience_clips import clip_loop

SPEECH = Path(__file__).parents[2] / "data" / "speech"


@lru_cache
def clip_pcm(clip: str, rate_hz: int) -> bytes:
    """A background clip, made once."""
    return clip_loop(clip, rate_hz)


def sine(hz: float, rate_hz: int, seconds: float, peak: float = 10_000) -> NDArray[np.float64]:
    return peak * np.sin(2 * np.pi * hz * np.arange(round(rate_hz * seconds)) / rate_hz)


def white_noise(rate_hz: int, seconds: float, dbfs: float) -> NDArray[np.float64]:
    dice = np.random.default_rng(11)
    return dice.normal(0, 32768 * 10 ** (dbfs / 20), round(rate_hz * seconds))


def to_pcm(samples: NDArray[np.float64]) -> bytes:
    return np.clip(np.rint(samples), -32768, 32767).astype("<i2").tobytes()


def from_pcm(pcm: bytes) -> NDArray[np.float64]:
    return np.frombuffer(pcm, dtype="<i2").astype(np.float64)


def level_db(samples: NDArray[np.float64], peak: float = 10_000) -> float:
    """Level against a sine of the given peak."""
    rms = float(np.sqrt(np.mean(samples**2)))
    return 20 * float(np.log10(max(rms, 1e-9) / (peak / np.sqrt(2))))
