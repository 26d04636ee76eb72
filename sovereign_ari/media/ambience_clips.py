"""Rooms to be heard behind a voice, made of noise and tones: no recording of anybody is in them.

Every clip is made on a circle: noise is shaped by its whole spectrum, and whatever begins before
the end goes on at the start. So a loop has no seam. The same clip is the same in every process.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from sovereign_ari.media.pcm import FRAMES_PER_S

Sound: TypeAlias = NDArray[np.float64]
Spectrum: TypeAlias = NDArray[np.complex128]

LOOP_S = 30
LOOP_FRAMES = LOOP_S * FRAMES_PER_S
LEVEL_DBFS = -29.5
"""Level of every clip (rms of the whole loop) at volume 1; -40 dBFS at 0.3."""

_RATE_HZ = 16000  # what clips are made at; lower rates take the lower part of the spectrum
_SAMPLES = LOOP_S * _RATE_HZ
_LOWEST_HZ = 60.0
_HIGHEST = 0.43  # of the rate: 3440 Hz at 8 kHz
_FORMANTS = ((480, 1.0), (1400, 0.6), (2500, 0.35), (4200, 0.1))  # Hz, and how loud


def clip_loop(clip: str, rate_hz: int) -> bytes:
    """Make a clip: PCM16 of `LOOP_S` seconds that repeats without a seam. Takes a moment.

    Args:
        clip: One of `CLIPS`.
        rate_hz: 8000 or 16000.

    Raises:
        KeyError: If there is no such clip.
    """
    make, seed = CLIPS[clip]
    spectrum = np.fft.rfft(make(np.random.default_rng(seed)))
    hz = _hz()
    spectrum[(hz < _LOWEST_HZ) | (hz > _HIGHEST * rate_hz)] = 0.0
    samples = LOOP_S * rate_hz
    sound = np.fft.irfft(spectrum[: samples // 2 + 1], samples)
    sound *= 32768 * 10 ** (LEVEL_DBFS / 20) / np.sqrt(np.mean(sound**2))
    return np.rint(sound).astype("<i2").tobytes()


def _office(dice: Generator) -> Sound:
    """A ventilated room: its hum, somebody typing now and then, and talk next door."""
    times_s = np.arange(_SAMPLES) / _RATE_HZ
    hum = sum(
        (np.sin(2 * np.pi * hz * times_s + n) / n for n, hz in enumerate((100, 200, 300, 500), 1)),
        start=np.zeros(_SAMPLES),
    )
    sound = 0.35 * _unit(hum) + _unit(_noise(dice, _slope(250.0, 4)))
    for _ in range(3):
        muffled = np.fft.irfft(np.fft.rfft(_talker(dice)) * _slope(700.0, 6), _SAMPLES)
        sound += 0.35 * _unit(muffled)
    at_s = 0.0
    while at_s < LOOP_S - 3:
        at_s += dice.uniform(1.0, 4.5)
        for _ in range(dice.integers(4, 15)):
            at_s += dice.uniform(0.09, 0.26)
            _add(sound, _click(dice), at_s)
    return sound


def _city(dice: Generator) -> Sound:
    """An open window on a street: rumble, and cars that come and go."""
    sound = _unit(_noise(dice, _slope(180.0, 3))) * _swell(dice, 0.25)
    for number in range(7):
        length_s = dice.uniform(3.0, 6.0)
        passing = np.hanning(round(length_s * _RATE_HZ)) ** 2
        tyres = _noise(dice, _band(250.0, 1100.0))[: len(passing)]
        turns = dice.uniform(70, 110) / _RATE_HZ * np.arange(len(passing))
        engine = np.sign(np.sin(2 * np.pi * turns))
        car = passing * (_unit(tyres) + 0.25 * engine) * dice.uniform(0.9, 2.0)
        _add(sound, car, LOOP_S / 7 * number + dice.uniform(0, 3))
    return sound


def _forest(dice: Generator) -> Sound:
    """Wind in the trees, leaves, and a bird now and then."""
    sound = _unit(_noise(dice, _band(200.0, 700.0))) * _swell(dice, 0.45)
    sound += 0.3 * _unit(_noise(dice, _band(1800.0, 5000.0))) * _swell(dice, 0.6)
    at_s = 0.0
    while at_s < LOOP_S - 3:
        at_s += dice.uniform(1.2, 4.0)
        song_hz = dice.uniform(2200, 2900)
        loud = dice.uniform(0.8, 2.4)
        for _ in range(dice.integers(2, 7)):
            _add(sound, loud * _chirp(dice, song_hz), at_s)
            at_s += dice.uniform(0.12, 0.3)
    return sound


def _crowded_room(dice: Generator) -> Sound:
    """Ten people who talk at once; no word of it exists."""
    sound = 0.3 * _unit(_noise(dice, _slope(400.0, 3)))
    for _ in range(5):
        talk = _unit(_talker(dice))
        sound += dice.uniform(0.2, 0.6) * talk
        elsewhere = round(dice.uniform(0.3, 0.7) * _SAMPLES)  # in the same voice, unnoticed
        sound += dice.uniform(0.2, 0.6) * np.roll(talk, elsewhere)
    return sound


def _talker(dice: Generator) -> Sound:
    """Something with the pitch, the formants and the syllables of a voice."""
    pitch_hz = dice.uniform(95, 230)
    drift = 1 + 0.12 * _slow(dice, 1.5)
    turns = np.cumsum(pitch_hz * drift) / _RATE_HZ
    turns *= np.round(turns[-1]) / turns[-1]  # whole turns, for the seam
    buzz = 2 * (turns % 1.0) - 1
    hz = _hz()
    mouth = dice.uniform(0.8, 1.25, 4)
    formants = sum(
        (
            loud * np.exp(-0.5 * ((hz - centre * size) / (0.2 * centre + 40)) ** 2)
            for size, (centre, loud) in zip(mouth, _FORMANTS, strict=True)
        ),
        start=np.zeros(len(hz)),
    )
    voice = (np.fft.rfft(buzz) + 0.35 * _white(dice, len(hz))) * formants
    return np.fft.irfft(voice, _SAMPLES) * _syllables(dice)


def _syllables(dice: Generator) -> Sound:
    """Loudness of a talker: three to six syllables a second, in phrases with pauses between."""
    loudness = np.zeros(_SAMPLES)
    at_s = dice.uniform(0, 1.5)
    while at_s < LOOP_S:
        for _ in range(dice.integers(4, 14)):
            length_s = dice.uniform(0.14, 0.3)
            rise = np.hanning(round(length_s * _RATE_HZ)) * dice.uniform(0.4, 1.0)
            _add(loudness, rise, at_s)
            at_s += length_s * dice.uniform(0.85, 1.1)
        at_s += dice.uniform(0.3, 1.2)
    return loudness


def _click(dice: Generator) -> Sound:
    """Press and release a key."""
    samples = round(0.012 * _RATE_HZ)
    fall = np.exp(-np.arange(samples) / (0.0022 * _RATE_HZ))
    press = fall * dice.standard_normal(samples) * dice.uniform(2.0, 4.0)
    gap = np.zeros(round(dice.uniform(0.04, 0.07) * _RATE_HZ))
    return np.concatenate((press, gap, 0.4 * press[::2]))


def _chirp(dice: Generator, hz: float) -> Sound:
    """One note of a bird, gliding."""
    length_s = dice.uniform(0.06, 0.14)
    samples = round(length_s * _RATE_HZ)
    glide = hz * (1 + dice.uniform(-0.12, 0.12) * np.linspace(-1, 1, samples))
    return np.hanning(samples) * np.sin(2 * np.pi * np.cumsum(glide) / _RATE_HZ)


def _white(dice: Generator, bins: int) -> Spectrum:
    """The lowest part of the spectrum of white noise with an rms of 1."""
    parts = dice.standard_normal((2, bins)) * np.sqrt(_SAMPLES / 2)
    white: Spectrum = parts[0] + 1j * parts[1]
    return white


def _noise(dice: Generator, curve: Sound) -> Sound:
    noise: Sound = np.fft.irfft(_white(dice, len(curve)) * curve, _SAMPLES)
    return noise


def _hz() -> Sound:
    """Name the frequencies of a spectrum; not kept, for a room is made once."""
    return np.arange(_SAMPLES // 2 + 1) / LOOP_S


def _slope(corner_hz: float, steepness: float) -> Sound:
    """Flat up to a corner, falling by 3 dB and octave for each unit of steepness above it."""
    return (1 + (_hz() / corner_hz) ** 2) ** (-steepness / 4)


def _band(low_hz: float, high_hz: float) -> Sound:
    return _slope(high_hz, 4) * (1 - _slope(low_hz, 4))


def _slow(dice: Generator, up_to_hz: float) -> Sound:
    """Wander around 0, with an rms of 1, no faster than told."""
    curve = np.ones(round(up_to_hz * LOOP_S) + 1)
    curve[0] = 0.0
    return _unit(_noise(dice, curve))


def _swell(dice: Generator, depth: float) -> Sound:
    return np.clip(1 + depth * _slow(dice, 0.4), 0.4, None)


def _unit(sound: Sound) -> Sound:
    scaled: Sound = sound / np.sqrt(np.mean(sound**2))
    return scaled


def _add(sound: Sound, piece: Sound, at_s: float) -> None:
    """Lay a piece into a loop, around its end where it is longer."""
    first = round(at_s * _RATE_HZ) % _SAMPLES
    until_end = min(len(piece), _SAMPLES - first)
    sound[first : first + until_end] += piece[:until_end]
    sound[: len(piece) - until_end] += piece[until_end:]


CLIPS: dict[str, tuple[Callable[[Generator], Sound], int]] = {
    "office": (_office, 1),
    "city": (_city, 2),
    "forest": (_forest, 3),
    "crowded_room": (_crowded_room, 4),
}
"""How each clip is made, and its dice."""
