"""A voice whose every word can be read back: two tones, for as long as the word likes.

How long a word lasts has nothing to do with its letters, from 0.12 to 0.6 s, and nothing parts it
from the next. So whoever places words by their letters alone is wrong by several of them.
"""

from __future__ import annotations

import random
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tests.support.speech_samples import Samples, pcm16

VOCABULARY = """appointment reservation information telephone understand unfortunately very you a i
to of in it we he on at and the for are was not but all had her his one our out day who get has him
how man new now old see two way your that with have this will from they know want been good much
some""".split()
COMMA_S, STOP_S = 0.15, 0.25
_LOW_HZ = 300.0 + 100.0 * np.arange(8)
_HIGH_HZ = 1300.0 + 200.0 * np.arange(8)
_AMPLITUDE = 0.15
_RAMP_S = 0.003
_WINDOW_S, _HOP_S = 0.020, 0.005
_MIN_RMS = 0.02
AUDIBLE_S = 0.03

RULES = (("reservation", "ray zo vah shown"), ("YOU", "yoo"), ("very", ""))
"""Rules of pronunciation: one word as four, one otherwise, one not at all."""
_SPOKEN = {"ray": "reservation", "zo": "reservation", "vah": "reservation", "shown": "reservation"}
_SPOKEN |= {"yoo": "you"}


def story(key: str, words: int = 45) -> str:
    """Make up sentences of words that are all different, the same for the same key."""
    chance = random.Random(key)
    chosen = chance.sample(VOCABULARY, words)
    sentences, at = [], 0
    while at < len(chosen):
        sentence = chosen[at : at + chance.randint(5, 14)]
        at += len(sentence)
        for place in range(1, len(sentence) - 1):
            if chance.random() < 0.1:
                sentence[place] += ","
        sentences.append(" ".join(sentence).capitalize() + ".")
    return " ".join(sentences)


def duration_s(word: str) -> float:
    """How long a word lasts."""
    return 0.12 + 0.48 * (zlib.crc32(word.encode()) / 2**32)


def render(text: str, rate_hz: int) -> bytes:
    """Speak a text as PCM16."""
    parts: list[Samples] = [np.zeros(round(0.05 * rate_hz))]
    for token in text.split():
        word = re.sub(r"\W", "", token).lower()
        if word:
            parts.append(_sound(word, rate_hz))
        if token[-1] in ",.":
            parts.append(np.zeros(round((COMMA_S if token[-1] == "," else STOP_S) * rate_hz)))
    return pcm16(np.concatenate(parts) * 32767)


def _sound(word: str, rate_hz: int) -> Samples:
    number = VOCABULARY.index(_SPOKEN.get(word, word))
    times_s = np.arange(round(duration_s(word) * rate_hz)) / rate_hz
    low, high = _LOW_HZ[number % 8], _HIGH_HZ[number // 8]
    wave = np.sin(2 * np.pi * low * times_s) + np.sin(2 * np.pi * high * times_s)
    ramp = np.minimum(1.0, np.minimum(times_s, times_s[-1] - times_s) / _RAMP_S)
    shaped: Samples = _AMPLITUDE * wave * ramp
    return shaped


@dataclass(frozen=True, slots=True)
class Count:
    """How many words of a text are in a recording.

    Attributes:
        whole: From their beginning to their end.
        half: At least half of each.
        audible: At least a moment of each.
    """

    whole: int
    half: int
    audible: int


def count_words(text: str, pcm: bytes, rate_hz: int, unsaid: Sequence[str] = ()) -> Count:
    """Read how far the voice got with a text; words of `unsaid` are not counted."""
    words = [word for word in words_of(text) if word not in unsaid]
    lasted = [0.0] * len(words)
    at = -1
    for number, seconds in _runs(pcm, rate_hz):
        word = VOCABULARY[number]
        ahead = words[at + 1 : at + 4]  # a lost packet may swallow a short word
        if at >= 0 and word == words[at]:
            lasted[at] += seconds
        elif word in ahead:
            at += 1 + ahead.index(word)
            lasted[at] += seconds
    return Count(*(_reached(words, lasted, at, share, unsaid) for share in (0.9, 0.5, 0.0)))


def words_of(text: str) -> list[str]:
    """Its words, without case and punctuation."""
    return [re.sub(r"\W", "", token).lower() for token in text.split()]


def _reached(
    words: list[str], lasted: list[float], at: int, share: float, unsaid: Sequence[str]
) -> int:
    if at < 0:
        return 0
    spoken = [name for name, word in _SPOKEN.items() if word == words[at]] or [words[at]]
    expected_s = sum(duration_s(word) for word in spoken)
    if not unsaid:  # no rules hold
        expected_s = duration_s(words[at])
    return at + (lasted[at] >= max(AUDIBLE_S, share * expected_s))


def _runs(pcm: bytes, rate_hz: int) -> list[tuple[int, float]]:
    """Name the tones of a recording, one after the other, and how long each lasted."""
    sound = np.frombuffer(pcm, dtype="<i2").astype(np.float64) / 32768
    window, hop = round(_WINDOW_S * rate_hz), round(_HOP_S * rate_hz)
    if len(sound) < window:
        return []
    frames = np.lib.stride_tricks.sliding_window_view(sound, window)[::hop]
    phase = 2j * np.pi * np.arange(window)[:, None] / rate_hz
    shape = np.hanning(window)[:, None]
    low = np.abs(frames @ (shape * np.exp(phase * _LOW_HZ)))
    high = np.abs(frames @ (shape * np.exp(phase * _HIGH_HZ)))
    clear = np.sqrt(np.mean(frames**2, axis=1)) > _MIN_RMS
    for group in (low, high):
        ordered = np.sort(group, axis=1)
        clear &= ordered[:, -1] > 1.5 * ordered[:, -2]
    named = np.where(clear, np.argmax(low, axis=1) + 8 * np.argmax(high, axis=1), -1)
    runs: list[tuple[int, float]] = []
    begin = 0
    for end in [*(np.flatnonzero(np.diff(named)) + 1).tolist(), len(named)]:
        seconds = (end - begin) * _HOP_S
        if named[begin] >= 0 and seconds >= 3 * _HOP_S:
            runs.append((int(named[begin]), seconds))
        begin = end
    return runs
