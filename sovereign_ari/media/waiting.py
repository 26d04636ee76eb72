"""What a caller hears who waits for somebody else: ringing, or quiet music. Made here, by sums."""

from __future__ import annotations

from enum import Enum
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from sovereign_ari.media.pcm import FRAMES_PER_S, AudioFormat
from sovereign_ari.media.transcode import encoder_for

RINGBACK_HZ = 425  # ITU-T E.180: what most of Europe hears
RINGING_S, PAUSE_S = 1.0, 4.0  # likewise
RINGBACK_DBFS = -24.0
MUSIC_DBFS = -30.0  # it must not tire, nor wake a recogniser by its echo
_RAMP_S = 0.01
_NOTE_S = 0.8
# Broken chords of C, A minor, F and G, an octave below where telephones are loudest.
_CHORDS = ((262, 330, 392, 523), (220, 262, 330, 440), (175, 262, 349, 440), (196, 247, 294, 392))


class Sound(Enum):
    """What is heard."""

    RINGBACK = "ringback"
    MUSIC = "music"


class Waiting:
    """An endless sound, taken frame by frame. For one thread.

    Args:
        sound: What is heard.
        wire: Format of the frames: PCM16 or G.711.
    """

    def __init__(self, sound: Sound, wire: AudioFormat) -> None:
        self._loop = _loop(sound, wire.rate_hz)
        self._size = 2 * wire.rate_hz // FRAMES_PER_S
        self._encoder = encoder_for(wire)
        self._at = 0

    def next_frame(self) -> bytes:
        """Take the next 20 ms."""
        pcm = self._loop[self._at : self._at + self._size]
        self._at = (self._at + self._size) % len(self._loop)
        return self._encoder.encode(pcm)


@lru_cache(maxsize=8)
def _loop(sound: Sound, rate_hz: int) -> bytes:
    """Make one round of a sound, whole frames of PCM16."""
    wave = _ringback(rate_hz) if sound is Sound.RINGBACK else _music(rate_hz)
    return np.rint(wave * 32767).astype("<i2").tobytes()


def _ringback(rate_hz: int) -> NDArray[np.float64]:
    ring = _tone(RINGBACK_HZ, RINGING_S, rate_hz) * 10 ** (RINGBACK_DBFS / 20) * np.sqrt(2)
    return np.concatenate([ring, np.zeros(round(PAUSE_S * rate_hz))])


def _music(rate_hz: int) -> NDArray[np.float64]:
    """Play each chord up and down, note by note, each fading into the next."""
    notes = [hz for chord in _CHORDS for hz in (*chord, *chord[-2:0:-1])]
    wave = np.zeros(round(len(notes) * _NOTE_S * rate_hz))
    long_s = 2 * _NOTE_S
    times_s = np.arange(round(long_s * rate_hz)) / rate_hz
    fade = np.exp(-3 * times_s) * np.minimum(1, times_s / _RAMP_S)
    fade *= np.minimum(1, (long_s - times_s) / _RAMP_S)
    for number, hz in enumerate(notes):
        pitch = 2 * np.pi * hz * times_s
        note = fade * (np.sin(pitch) + 0.3 * np.sin(2 * pitch))
        at = round(number * _NOTE_S * rate_hz)
        wave[(at + np.arange(len(note))) % len(wave)] += note
    loud = float(np.sqrt(np.mean(wave**2)))
    scaled: NDArray[np.float64] = wave * 10 ** (MUSIC_DBFS / 20) / loud
    return scaled


def _tone(hz: int, seconds: float, rate_hz: int) -> NDArray[np.float64]:
    times_s = np.arange(round(seconds * rate_hz)) / rate_hz
    ramp = np.minimum(1.0, np.minimum(times_s, seconds - times_s) / _RAMP_S)
    tone: NDArray[np.float64] = ramp * np.sin(2 * np.pi * hz * times_s)
    return tone
