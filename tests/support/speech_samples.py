"""Human-like speech for tests: flite's `slt` and the voices of espeak-ng, as telephone PCM."""

from __future__ import annotations

import functools
import hashlib
import io
import os
import subprocess
import tempfile
import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.support.recording import FULL_SCALE

LEVEL_DBFS = -20.0
_QUIET_DBFS = -50.0
_BLOCK_S = 0.010
_PROGRAM_TIMEOUT_S = 20.0
_FLITE_VOICES = {"slt", "rms", "awb", "kal"}

Samples = NDArray[np.float64]


@functools.cache
def speech(text: str, rate_hz: int = 8000, voice: str = "slt") -> bytes:
    """Speak a text as PCM16, at -20 dBFS, without silence around it.

    Args:
        text: Words of the voice's language.
        rate_hz: Sampling rate.
        voice: `slt`, `rms`, `awb` or `kal` (flite), or a voice of espeak-ng, e.g. `en-us` or
            `nl+f2`.
    """
    file = _folder() / f"{hashlib.sha256(f'{voice}/{text}'.encode()).hexdigest()[:24]}.wav"
    if not file.is_file():
        fresh = file.with_suffix(f".{os.getpid()}")
        fresh.write_bytes(_synthesise(text, voice))
        fresh.replace(file)
    with wave.open(str(file), "rb") as source:
        from_hz = source.getframerate()
        raw = source.readframes(source.getnframes())
    sound = np.frombuffer(raw, dtype="<i2").astype(np.float64)
    return pcm16(_levelled(_trimmed(_resampled(sound, from_hz, rate_hz), rate_hz), rate_hz))


def noise(duration_s: float, rate_hz: int = 8000, level_dbfs: float = LEVEL_DBFS) -> bytes:
    """Make white noise, the same every time: a cough or a knock, depending on its length."""
    sound = np.random.default_rng(1).standard_normal(round(duration_s * rate_hz))
    return pcm16(sound * FULL_SCALE * 10 ** (level_dbfs / 20))


def tone(
    hz: float, duration_s: float, rate_hz: int = 8000, level_dbfs: float = LEVEL_DBFS
) -> bytes:
    """Make a sine."""
    times_s = np.arange(round(duration_s * rate_hz)) / rate_hz
    peak = FULL_SCALE * 10 ** (level_dbfs / 20) * 2**0.5
    return pcm16(peak * np.sin(2 * np.pi * hz * times_s))


def silence(duration_s: float, rate_hz: int = 8000) -> bytes:
    """Make nothing."""
    return bytes(2 * round(duration_s * rate_hz))


def pcm16(sound: Samples) -> bytes:
    """Round and limit to 16 bits."""
    return np.clip(np.rint(sound), -32768, 32767).astype("<i2").tobytes()


def resampled(pcm: bytes, from_hz: int, to_hz: int) -> bytes:
    """Change the rate of PCM16 without aliases; for whole sounds, not for streams."""
    sound = np.frombuffer(pcm, dtype="<i2").astype(np.float64)
    return pcm16(_resampled(sound, from_hz, to_hz))


@functools.cache
def _folder() -> Path:
    folder = Path(tempfile.gettempdir()) / f"sovereign-test-speech-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _synthesise(text: str, voice: str) -> bytes:
    if voice in _FLITE_VOICES:
        with tempfile.NamedTemporaryFile(suffix=".wav") as file:
            command = ["flite", "-voice", voice, "-t", text, "-o", file.name]
            subprocess.run(command, check=True, timeout=_PROGRAM_TIMEOUT_S)
            return Path(file.name).read_bytes()
    command = ["espeak-ng", "-v", voice, "-s", "150", "--stdout", text]
    done = subprocess.run(command, check=True, timeout=_PROGRAM_TIMEOUT_S, capture_output=True)
    return _with_true_length(done.stdout)


def _with_true_length(streamed: bytes) -> bytes:
    """Write the WAV again: espeak-ng cannot know the length of what it streams."""
    start = streamed.index(b"data") + 8
    rate_hz = int.from_bytes(streamed[24:28], "little")
    result = io.BytesIO()
    with wave.open(result, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(streamed[start:])
    return result.getvalue()


def _resampled(sound: Samples, from_hz: int, to_hz: int) -> Samples:
    """Cut or stretch the spectrum: exact for a sound that is known whole."""
    if from_hz == to_hz or len(sound) == 0:
        return sound
    length = round(len(sound) * to_hz / from_hz)
    spectrum = np.fft.rfft(sound)
    wanted = np.zeros(length // 2 + 1, dtype=np.complex128)
    kept = min(len(spectrum), round(len(wanted) * 0.98))
    wanted[:kept] = spectrum[:kept]
    back: Samples = np.fft.irfft(wanted, length) * (length / len(sound))
    return back


def _block_levels(sound: Samples, rate_hz: int) -> Samples:
    size = round(rate_hz * _BLOCK_S)
    blocks = sound[: len(sound) // size * size].reshape(-1, size)
    levels: Samples = np.sqrt(np.mean(blocks**2, axis=1))
    return levels


def _trimmed(sound: Samples, rate_hz: int) -> Samples:
    levels = _block_levels(sound, rate_hz)
    loud = np.flatnonzero(levels > FULL_SCALE * 10 ** (_QUIET_DBFS / 20))
    if len(loud) == 0:
        return sound
    size = round(rate_hz * _BLOCK_S)
    return sound[loud[0] * size : (loud[-1] + 1) * size]


def _levelled(sound: Samples, rate_hz: int) -> Samples:
    levels = _block_levels(sound, rate_hz)
    spoken = levels[levels > levels.max() * 0.05] if len(levels) else levels
    if len(spoken) == 0:
        return sound
    level = float(np.sqrt(np.mean(spoken**2)))
    return sound * (FULL_SCALE * 10 ** (LEVEL_DBFS / 20) / level)
