"""Where the words lie in the sound of a sentence, without being told by the synthesiser. Pure.

A word takes about as long as its letters promise, and ends where the sound changes: at a pause,
or where its spectrum does. Both are weighed at once, by dynamic programming over the hops that
are loud: what a boundary is worth there, less what the words beside it differ from the length
expected of them. In fluent speech any sound may change, so there only its longer pauses count
beside the expectation; a voice that is steady within its words, or pauses between all of them,
is followed wherever it goes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

HOP_S = 0.010

_LOUD_RMS = 100.0  # -50 dBFS: the pauses of synthetic speech are far below
_PAUSE_DB = 32.0  # below the loud parts
_SIDE_HOPS = 3  # how much sound on each side of a boundary is compared
_SPECTRUM_HZ = (100, 3600)
_BANDS_HZ = (150, 300, 450, 600, 800, 1000, 1250, 1550, 1900, 2350, 2900, 3500)
_STEADY, _UNSTEADY = 0.15, 0.27  # the usual change, as a share of the strongest ones
_LEAST_CHANGE_DB = 3.0
_CERTAIN = 14.0
"""What a boundary is worth that is one beyond doubt; a word of half or twice the length expected
costs 1.5."""
_DOUBT = 0.4  # of that: a change this small is none
_PAUSE = 5.0
_STOP_HOPS = 4  # a stop consonant is silent for as long
_PAUSE_HOPS = 10
_STRETCH = 0.35  # of the logarithm of a length: one word in three differs by more
_CELL_HOPS = 3
_REACH_HOPS = 80  # no word is too short to take 0.8 s

Samples = NDArray[np.float64]
Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Word:
    """What is known of a word before it is heard.

    Attributes:
        weight: How long it is to say, in letters.
        pause: Whether a pause may be expected after it.
    """

    weight: float
    pause: bool = False


def word_spans(
    pcm: bytes, rate_hz: int, words: Sequence[Word], pace_s: float | None = None
) -> list[tuple[float, float]]:
    """Find where words begin and end, in seconds.

    Args:
        pcm: PCM16 of the sentence, or of its beginning.
        rate_hz: Its sampling rate, from 8 kHz.
        words: What is said in it.
        pace_s: Loud seconds per letter, when `pcm` is only the beginning; the words that it does
            not reach, and the last if it is not complete, are left out.
    """
    sound, hop = _samples(pcm, rate_hz)
    if not len(sound) or not words:
        return []
    loud = _loud_hops(sound, hop)
    weights = np.array([max(word.weight, 0.1) for word in words])
    pace = len(loud) / weights.sum() if pace_s is None else pace_s / HOP_S
    reached = len(words) * min(1.0, len(loud) / float(weights.sum() * pace))
    worth = _worth(loud, _spectra(sound, rate_hz), reached - 1)
    search = _Search(worth, weights * pace, [word.pause for word in words])
    cuts = search.all_words() if pace_s is None else search.as_far_as_it_goes()
    return [
        (float(loud[min(first, len(loud) - 1)]) * HOP_S, float(loud[last - 1] + 1) * HOP_S)
        for first, last in pairwise(cuts)
    ]


def loud_seconds(pcm: bytes, rate_hz: int) -> float:
    """How long a sound lasts without its pauses."""
    sound, hop = _samples(pcm, rate_hz)
    return len(_loud_hops(sound, hop)) * HOP_S if len(sound) else 0.0


def _samples(pcm: bytes, rate_hz: int) -> tuple[Samples, int]:
    """Cut PCM16 to whole hops; how many samples one has."""
    sound = np.frombuffer(pcm[: len(pcm) & ~1], dtype="<i2").astype(np.float64)
    hop = round(rate_hz * HOP_S)
    return sound[: len(sound) // hop * hop], hop


def _loud_hops(sound: Samples, hop: int) -> Places:
    """Name the hops that are no pause; all of them when there is nothing else."""
    levels = np.sqrt(np.mean(sound.reshape(-1, hop) ** 2, axis=1))
    limit = max(_LOUD_RMS, float(np.percentile(levels, 95)) * 10 ** (-_PAUSE_DB / 20))
    loud = np.flatnonzero(levels > limit)
    return loud if len(loud) else np.arange(len(levels))


def _spectra(sound: Samples, rate_hz: int) -> tuple[Samples, Samples]:
    """Measure 20 ms around each hop, in decibels.

    Finely, which tells tones apart, and coarsely, which does not mind the melody of a voice.
    """
    hop = round(rate_hz * HOP_S)
    padded = np.concatenate([np.zeros(hop // 2), sound, np.zeros(2 * hop)])
    frames = np.lib.stride_tricks.sliding_window_view(padded, 2 * hop)[::hop][: len(sound) // hop]
    power = np.abs(np.fft.rfft(frames * np.hanning(2 * hop), axis=1)) ** 2
    at_hz = np.fft.rfftfreq(2 * hop, 1 / rate_hz)
    fine = power[:, (at_hz > _SPECTRUM_HZ[0]) & (at_hz < _SPECTRUM_HZ[1])]
    coarse = np.add.reduceat(power, np.searchsorted(at_hz, _BANDS_HZ), axis=1)
    floor = max(float(fine.max()) * 1e-4, 1.0)
    return 10 * np.log10(fine + floor), 10 * np.log10(coarse + floor)


@dataclass(frozen=True, slots=True)
class _Worth:
    """What a boundary before each loud hop, and after the last, is worth.

    Attributes:
        change: For the change of the sound there.
        pause: For the silence there.
        shows: How surely all boundaries between words show, 0 to 1.
    """

    change: Samples
    pause: Samples
    shows: float


def _worth(loud: Places, spectra: tuple[Samples, Samples], spaces: float) -> _Worth:
    """Judge all places; `spaces` is how many boundaries between words there should be."""
    found = (_changes(spectrum[loud]) for spectrum in spectra)
    change, steady = max(found, key=lambda one: one[1])
    gaps = np.diff(loud, prepend=loud[0] - 1, append=loud[-1] + 1) - 1
    for place in np.flatnonzero(gaps):  # what changes beside a pause changes there
        beside = change[max(0, place - _SIDE_HOPS) : place + _SIDE_HOPS + 1]
        strongest = beside.max()
        beside[:] = 0.0
        change[place] = strongest
    regular = _between_all_words(gaps, spaces)
    if regular:
        pause = np.clip(gaps - 1.0, 0.0, 1.0) * _CERTAIN
    else:
        beyond = gaps - _STOP_HOPS * (1 - steady)
        pause = np.clip(beyond / (_PAUSE_HOPS * (1 - steady) + 1), 0.0, 1.0) * _PAUSE
    return _Worth(change * steady * _CERTAIN, pause, 1.0 if regular else steady)


def _between_all_words(gaps: Places, spaces: float) -> bool:
    """Whether these pauses, one as long as the other, are how this voice parts its words."""
    real = gaps[gaps > 1]
    if len(real) < max(4.0, 0.6 * spaces):
        return False
    return bool(np.mean(np.abs(real - np.median(real)) <= 1) >= 0.8)


def _changes(spectrum: Samples) -> tuple[Samples, float]:
    """Measure the sudden changes, 0 to 1, and how steady the sound is between them, 0 to 1."""
    side = _SIDE_HOPS
    padded = np.pad(spectrum, ((side, side), (0, 0)), mode="edge")
    sums = np.cumsum(np.pad(padded, ((1, 0), (0, 0))), axis=0)
    means = (sums[side:] - sums[:-side]) / side
    moved = np.sqrt(np.mean((means[side:] - means[:-side]) ** 2, axis=1))
    moved[: 2 * side] = moved[-2 * side :] = 0.0  # the sound begins and ends there
    if len(moved) <= 4 * side:
        return moved, 0.0
    within = moved[2 * side : -2 * side]
    usual, strong = (float(value) for value in np.percentile(within, (50, 98)))
    if strong < usual + _LEAST_CHANGE_DB:
        return moved, 0.0  # a single sound
    around = np.lib.stride_tricks.sliding_window_view(np.pad(moved, side), 2 * side + 1)
    peaks = np.where(moved >= around.max(axis=1), moved, 0.0)
    change = np.clip((peaks - usual) / (strong - usual), 0.0, 1.0)
    steady = (_UNSTEADY - usual / strong) / (_UNSTEADY - _STEADY)
    return change, min(max(steady, 0.0), 1.0)


class _Search:
    """The best boundaries, in loud hops.

    Args:
        worth: Of each place.
        expected: Length of each word, in hops.
        pauses: Whether a pause may be expected after each word.
    """

    def __init__(self, worth: _Worth, expected: Samples, pauses: Sequence[bool]) -> None:
        self._worth = worth
        self._expected = expected
        self._pauses = pauses
        self._places = _places(worth.change + worth.pause)
        self._logarithms = np.log(np.maximum(np.arange(self._places[-1] + 1), 1))
        self._stretch = _STRETCH * (1 + worth.shows)  # letters say less then
        self._came: list[Places] = []
        self._best = np.full(len(self._places), -np.inf)
        self._best[0] = 0.0

    def all_words(self) -> list[int]:
        """Share everything out among all words."""
        count = len(self._expected)
        if len(self._places) > count:
            for number in range(count):
                self._add_word(number)
            if np.isfinite(self._best[-1]):
                return self._traced(count, len(self._places) - 1)
        # Less sound than any voice needs, or far more.
        shares = np.cumsum(self._expected) / self._expected.sum()
        return [0, *np.maximum(np.rint(shares * self._places[-1]), 1).astype(int).tolist()]

    def as_far_as_it_goes(self) -> list[int]:
        """Share it out among as many words as seem to be in it, and a part of the next."""
        ends = [self._open_end(0)]
        for number in range(len(self._expected)):
            self._add_word(number)
            self._best -= _DOUBT * _CERTAIN * self._worth.shows
            ends.append(self._open_end(number + 1))
        words = max(range(len(ends)), key=lambda count: ends[count][0])
        return self._traced(words, ends[words][1])

    def _add_word(self, number: int) -> None:
        places, expected = self._places, float(self._expected[number])
        count = len(places)
        reach = min(count - 1, int(max(3 * expected, _REACH_HOPS) / _CELL_HOPS) + 1)
        view = np.lib.stride_tricks.sliding_window_view
        starts = view(np.pad(self._best, (reach, 0), constant_values=-np.inf), reach)[:count]
        before = view(np.pad(places, (reach, 0)), reach)[:count]
        values = starts - self._cost(places[:, None] - before, expected)
        came = values.argmax(axis=1)
        rows = np.arange(count)
        worth = self._worth.change + self._worth.pause * (1.5 if self._pauses[number] else 1.0)
        self._best = values[rows, came] + worth[places]
        self._came.append(rows - reach + came)

    def _cost(self, lengths: Places, expected: float) -> Samples:
        """Say how unlikely a word is that lasts so long."""
        off = np.abs(self._logarithms[lengths] - np.log(expected)) / self._stretch
        near = np.minimum(off, 1.0)
        cost: Samples = near * (off - near / 2)
        return cost

    def _open_end(self, number: int) -> tuple[float, int]:
        """Judge that the sound breaks off within this word: the value, and where it begins."""
        if number == len(self._expected):
            return float(self._best[-1]), len(self._places) - 1
        left = self._places[-1] - self._places
        expected = float(self._expected[number])
        values = self._best - np.where(left <= expected, 0.0, self._cost(left, expected))
        at = int(values.argmax())
        return float(values[at]), at

    def _traced(self, words: int, at: int) -> list[int]:
        chosen = [at]
        for came in reversed(self._came[:words]):
            chosen.append(int(came[chosen[-1]]))
        return [int(self._places[n]) for n in reversed(chosen)]


def _places(value: Samples) -> Places:
    """Choose the best place for a boundary in each 30 ms, and both ends."""
    last = len(value) - 1
    inner = value[1:last]
    cells = -(-len(inner) // _CELL_HOPS)
    padded = np.pad(inner, (0, cells * _CELL_HOPS - len(inner)), constant_values=-1.0)
    best = padded.reshape(cells, _CELL_HOPS).argmax(axis=1) if cells else np.arange(0)
    places = 1 + np.arange(cells) * _CELL_HOPS + best
    return np.concatenate([[0], places, [last]]).astype(np.int64)
