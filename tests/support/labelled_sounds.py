"""Sounds of a telephone line that are not the caller speaking, and the line itself: 8 kHz.

All are made from numbers, the same every time. Samples are floats of full scale 32768; a level
is that of the loud part, in dBFS.
"""

from __future__ import annotations

import functools
import subprocess
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from sovereign_ari.media.g711 import alaw_to_pcm, pcm_to_alaw, pcm_to_ulaw, ulaw_to_pcm
from tests.support.recording import FULL_SCALE
from tests.support.speech_samples import LEVEL_DBFS, pcm16, speech

RATE_HZ = 8000
_DIGITS = dict(
    zip(
        "123A456B789C*0#D",
        [(low, high) for low in (697, 770, 852, 941) for high in (1209, 1336, 1477, 1633)],
        strict=True,
    )
)
_BABBLE = (
    ("rms", "we could have dinner together on saturday when everybody is back from work"),
    ("slt", "the train to the airport was late again so they took the bus instead"),
    ("en-gb+f3", "he asked whether anybody had seen the small dog from the other street"),
    ("nl+f2", "morgen gaan we met z'n allen naar het strand als het niet gaat regenen"),
    ("de+m3", "gestern abend haben wir lange auf den letzten zug nach hause gewartet"),
    ("awb", "there is another shop around the corner that sells them for half the price"),
)

Samples = NDArray[np.float64]


def spoken(text: str, voice: str, dbfs: float) -> Samples:
    """Speak a text at a level, as it comes from the synthesiser."""
    pcm = speech(text, RATE_HZ, voice)
    return np.frombuffer(pcm, dtype="<i2") * 10 ** ((dbfs - LEVEL_DBFS) / 20)


def nothing(seconds: float) -> Samples:
    return np.zeros(round(seconds * RATE_HZ))


def white(seconds: float, dbfs: float, seed: int = 1) -> Samples:
    return at_level(_dice(seed, "white").standard_normal(round(seconds * RATE_HZ)), dbfs)


def comfort(seconds: float, dbfs: float, seed: int = 1) -> Samples:
    """Noise as comfort-noise generators make it: a falling spectrum, anew every 20 ms."""
    sound = _shaped(seconds, seed, "comfort", lambda hz: 1 / (1 + (hz / 900) ** 2))
    return at_level(sound, dbfs)


def car(seconds: float, dbfs: float, seed: int = 1) -> Samples:
    """The inside of a car: low noise that swells and falls, the engine's hum, tyres."""
    sound = _shaped(
        seconds, seed, "car", lambda hz: np.where(hz < 60, 0.2, 1 / (1 + (hz / 160) ** 2)) + 0.01
    )
    times_s = np.arange(len(sound)) / RATE_HZ
    swell = 1 + 0.35 * np.sin(2 * np.pi * 0.4 * times_s + seed)
    engine = sum(np.sin(2 * np.pi * 43 * k * times_s) / k for k in (2, 3, 4, 6))
    return at_level(sound / np.std(sound) * swell + 0.4 * engine, dbfs)


def babble(seconds: float, dbfs: float, seed: int = 1) -> Samples:
    """Six people talking in the room, none of them to the telephone."""
    dice, length = _dice(seed, "babble"), round(seconds * RATE_HZ)
    sound = np.zeros(length)
    for voice, text in _BABBLE:
        words = np.resize(np.append(spoken(text, voice, -20), nothing(0.2)), length)
        sound += np.roll(words, int(dice.integers(length))) * dice.uniform(0.6, 1.0)
    return at_level(sound, dbfs)


def clicks(seconds: float, dbfs: float, seed: int = 1, every_s: float = 0.7) -> Samples:
    """Keys, knocks and switches: 3 to 60 ms of damped noise; the level is that of each."""
    dice, sound = _dice(seed, "clicks"), nothing(seconds)
    at_s = 0.5
    while at_s < seconds - 0.2:
        length = round(float(dice.uniform(0.003, 0.06)) * RATE_HZ)
        burst = dice.standard_normal(length) * np.exp(-3 * np.arange(length) / length)
        start = round(at_s * RATE_HZ)
        sound[start : start + length] += at_level(burst, dbfs)
        at_s += float(dice.uniform(0.5, 1.5)) * every_s
    return sound


def coughs(seconds: float, dbfs: float, seed: int = 1) -> Samples:
    """Bursts of 150 to 350 ms: air through a throat, hard at first, every 1.5 s or so."""
    dice, sound = _dice(seed, "coughs"), nothing(seconds)
    at_s = 0.6
    while at_s < seconds - 0.6:
        for _ in range(int(dice.integers(1, 3))):
            length = round(float(dice.uniform(0.15, 0.35)) * RATE_HZ)
            throat = _resonated(dice.standard_normal(length), (520, 1250, 2500), 160)
            envelope = np.minimum(np.arange(length) / 80, 1) * np.exp(
                -3.5 * np.arange(length) / length
            )
            start = round(at_s * RATE_HZ)
            stop = min(start + length, len(sound))
            sound[start:stop] += at_level(throat * envelope, dbfs)[: stop - start]
            at_s += 0.38
        at_s += float(dice.uniform(1.0, 2.0))
    return sound


def music(seconds: float, dbfs: float, seed: int = 1) -> Samples:
    """Music on hold: chords, a melody over them and a drum, 110 beats in a minute."""
    dice, length = _dice(seed, "music"), round(seconds * RATE_HZ)
    beat = round(RATE_HZ * 60 / 110)
    sound = np.zeros(length + 4 * beat)
    roots = dice.permutation([0, 5, 7, 9])
    for number in range(length // beat + 1):
        start = number * beat
        root = 55 + int(roots[(number // 4) % 4])
        if number % 4 == 0:
            for step in (0, 4, 7, 12):
                sound[start : start + 4 * beat] += _note(root + step, 4 * beat, 0.5)
        melody = root + 12 + int(dice.choice([0, 2, 4, 7, 9, 12]))
        sound[start : start + beat] += _note(melody, beat, 1.2)
        drum = dice.standard_normal(beat // 4) * np.exp(-np.arange(beat // 4) / 250)
        sound[start : start + beat // 4] += 0.6 * drum
    return at_level(sound[:length], dbfs)


def digits(text: str, dbfs: float, on_s: float = 0.1, off_s: float = 0.1) -> Samples:
    """DTMF in the band, as pressed by hand or sent by a machine."""
    sound = []
    times_s = np.arange(round(on_s * RATE_HZ)) / RATE_HZ
    for digit in text:
        low_hz, high_hz = _DIGITS[digit]
        tones = np.sin(2 * np.pi * low_hz * times_s) + 1.25 * np.sin(2 * np.pi * high_hz * times_s)
        sound += [at_level(tones, dbfs), nothing(off_s)]
    return np.concatenate(sound)


def signal_tone(seconds: float, dbfs: float, on_s: float = 0.5, off_s: float = 0.5) -> Samples:
    """425 Hz in the European cadence: engaged, or ringing when it is on for a second."""
    times_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    on = (times_s % (on_s + off_s)) < on_s
    return at_level(np.sin(2 * np.pi * 425 * times_s), dbfs) * on


def echo(agent: Samples, delay_s: float, gain_db: float, *, mobile: bool = False) -> Samples:
    """What comes back of the agent: late, fainter, coloured by the line or a handset's codec."""
    sent = through_gsm(agent) if mobile else agent
    tail = np.convolve(sent, np.array([0.15, 0.7, 0.45, -0.2, -0.25, 0.1, 0.08, -0.05]))
    late = np.append(nothing(delay_s), tail)[: len(agent)] * 10 ** (gain_db / 20)
    return through_gsm(late) if mobile else late


def through_gsm(sound: Samples) -> Samples:
    """Encode and decode by GSM full rate, as a mobile telephone's line does."""
    raw = ("-t", "raw", "-r", "8000", "-c", "1", "-e", "signed", "-b", "16")
    gsm = ("-t", "gsm", "-r", "8000", "-c", "1")
    coded = _sox([*raw, "-", *gsm, "-"], pcm16(sound))
    decoded = np.frombuffer(_sox([*gsm, "-", *raw, "-"], coded), dtype="<i2").astype(np.float64)
    return np.resize(np.append(decoded, np.zeros(160)), len(sound))


def over_the_wire(sound: Samples, law: str) -> bytes:
    """Through G.711 and back: what a detector gets, as PCM16 of whole 20 ms frames."""
    pcm = pcm16(sound[: len(sound) // 160 * 160])
    return ulaw_to_pcm(pcm_to_ulaw(pcm)) if law == "ulaw" else alaw_to_pcm(pcm_to_alaw(pcm))


def at_level(sound: Samples, dbfs: float) -> Samples:
    """Scale a sound to an RMS level."""
    rms = float(np.sqrt(np.mean(sound**2)))
    return sound * (FULL_SCALE * 10 ** (dbfs / 20) / rms) if rms else sound


def _sox(arguments: list[str], audio: bytes) -> bytes:
    command = ["sox", "-D", *arguments]
    return subprocess.run(command, input=audio, check=True, timeout=20, capture_output=True).stdout


def _dice(seed: int, name: str) -> np.random.Generator:
    return np.random.default_rng([seed, *name.encode()])


def _shaped(
    seconds: float, seed: int, name: str, response: Callable[[Samples], Samples]
) -> Samples:
    length = round(seconds * RATE_HZ)
    spectrum = np.fft.rfft(_dice(seed, name).standard_normal(length))
    hz: Samples = np.arange(len(spectrum), dtype=np.float64) * (RATE_HZ / length)
    shaped: Samples = np.fft.irfft(spectrum * response(hz), length)
    return shaped


def _resonated(sound: Samples, formants_hz: tuple[int, ...], width_hz: float) -> Samples:
    hz = np.fft.rfftfreq(len(sound), 1 / RATE_HZ)
    response = sum(1 / (1 + ((hz - formant) / width_hz) ** 2) for formant in formants_hz)
    resonated: Samples = np.fft.irfft(np.fft.rfft(sound) * response, len(sound))
    return resonated


@functools.cache
def _note(key: int, length: int, gain: float) -> Samples:
    hz, times_s = 440 * 2 ** ((key - 69) / 12), np.arange(length) / RATE_HZ
    sound = sum(
        np.sin(2 * np.pi * hz * k * times_s) / k for k in range(1, 8) if hz * k < RATE_HZ / 2
    )
    attack = np.minimum(times_s / 0.01, 1)
    note: Samples = gain * attack * np.exp(-times_s * 1.8) * sound
    return note
