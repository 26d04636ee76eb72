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
from functools import lru_cache
from itertools import pairwise

import numpy as np

from sovereign_ari.media.word_search import CERTAIN, Places, Samples, Search, Worth

HOP_S = 0.010

_LOUD_RMS = 100.0  # -50 dBFS: the pauses of synthetic speech are far below
_PAUSE_DB = 32.0  # below the loud parts
_SIDE_HOPS = 3  # how much sound on each side of a boundary is compared
_DECIBEL = np.float32(10 / np.log(10))  # of the natural logarithm of a power
_SPECTRUM_HZ = (100, 3600)
_BANDS_HZ = (150, 300, 450, 600, 800, 1000, 1250, 1550, 1900, 2350, 2900, 3500)
_STEADY, _UNSTEADY = 0.15, 0.27  # the usual change, as a share of the strongest ones
_LEAST_CHANGE_DB = 3.0
_PAUSE = 5.0
_STOP_HOPS = 4  # a stop consonant is silent for as long
_PAUSE_HOPS = 10


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
    worth = _worth(loud, _spectra(sound, rate_hz, loud), reached - 1)
    search = Search(worth, weights * pace, [word.pause for word in words])
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
    hops = sound.reshape(-1, hop)
    levels = np.sqrt(np.einsum("ij,ij->i", hops, hops) / hop)
    limit = max(_LOUD_RMS, _percentile(levels, 95) * 10 ** (-_PAUSE_DB / 20))
    loud = np.flatnonzero(levels > limit)
    return loud if len(loud) else np.arange(len(levels))


def _percentile(values: Samples, percent: float) -> float:
    """As `np.percentile` does, which takes twenty times longer over so few."""
    return float(
        np.interp(percent / 100 * (len(values) - 1), np.arange(len(values)), np.sort(values))
    )


def _spectra(sound: Samples, rate_hz: int, loud: Places) -> tuple[Samples, Samples]:
    """Measure 20 ms around each loud hop, in decibels.

    Finely, which tells tones apart, and coarsely, which does not mind the melody of a voice.
    """
    hop = round(rate_hz * HOP_S)
    window, voice, bands = _analysis(hop, rate_hz)
    padded = np.zeros(len(sound) + 2 * hop)
    padded[hop // 2 : hop // 2 + len(sound)] = sound
    frames = np.lib.stride_tricks.sliding_window_view(padded, 2 * hop)[::hop]
    waves = np.fft.rfft(frames[loud] * window, axis=1)
    power = (waves.real**2 + waves.imag**2).astype(np.float32)  # its logarithm is ten times faster
    fine = power[:, voice]
    coarse = np.add.reduceat(power, bands, axis=1)
    floor = max(float(fine.max()) * 1e-4, 1.0)
    return _DECIBEL * np.log(fine + floor), _DECIBEL * np.log(coarse + floor)


@lru_cache(maxsize=4)
def _analysis(hop: int, rate_hz: int) -> tuple[Samples, slice, Places]:
    """Prepare what `_spectra` needs: the window, the bins of a voice, and where bands begin."""
    at_hz = np.fft.rfftfreq(2 * hop, 1 / rate_hz)
    first, last = np.searchsorted(at_hz, _SPECTRUM_HZ, side="right")
    return (
        np.hanning(2 * hop),
        slice(int(first), int(last)),
        np.searchsorted(at_hz, _BANDS_HZ),
    )


def _worth(loud: Places, spectra: tuple[Samples, Samples], spaces: float) -> Worth:
    """Judge all places; `spaces` is how many boundaries between words there should be."""
    found = map(_changes, spectra)
    change, steady = max(found, key=lambda one: one[1])
    gaps = np.diff(loud, prepend=loud[0] - 1, append=loud[-1] + 1) - 1
    for place in np.flatnonzero(gaps):  # what changes beside a pause changes there
        beside = change[max(0, place - _SIDE_HOPS) : place + _SIDE_HOPS + 1]
        strongest = beside.max()
        beside[:] = 0.0
        change[place] = strongest
    regular = _between_all_words(gaps, spaces)
    if regular:
        pause = np.clip(gaps - 1.0, 0.0, 1.0) * CERTAIN
    else:
        beyond = gaps - _STOP_HOPS * (1 - steady)
        pause = np.clip(beyond / (_PAUSE_HOPS * (1 - steady) + 1), 0.0, 1.0) * _PAUSE
    return Worth(change * steady * CERTAIN, pause, 1.0 if regular else steady)


def _between_all_words(gaps: Places, spaces: float) -> bool:
    """Whether these pauses, one as long as the other, are how this voice parts its words."""
    real = gaps[gaps > 1]
    if len(real) < max(4.0, 0.6 * spaces):
        return False
    return bool(np.mean(np.abs(real - np.median(real)) <= 1) >= 0.8)


def _changes(spectrum: Samples) -> tuple[Samples, float]:
    """Measure the sudden changes, 0 to 1, and how steady the sound is between them, 0 to 1."""
    side = _SIDE_HOPS
    padded = np.concatenate([spectrum[:1]] * side + [spectrum] + [spectrum[-1:]] * side)
    last = len(spectrum) + side + 1
    sums = sum((padded[first : first + last] for first in range(1, side)), padded[:last])
    apart = (sums[side:] - sums[:-side]) / side
    moved = np.sqrt(np.einsum("ij,ij->i", apart, apart) / spectrum.shape[1])
    moved[: 2 * side] = moved[-2 * side :] = 0.0  # the sound begins and ends there
    if len(moved) <= 4 * side:
        return moved, 0.0
    within = moved[2 * side : -2 * side]
    usual, strong = _percentile(within, 50), _percentile(within, 98)
    if strong < usual + _LEAST_CHANGE_DB:
        return moved, 0.0  # a single sound
    around = np.lib.stride_tricks.sliding_window_view(np.pad(moved, side), 2 * side + 1)
    peaks = np.where(moved >= around.max(axis=1), moved, 0.0)
    change = np.clip((peaks - usual) / (strong - usual), 0.0, 1.0)
    steady = (_UNSTEADY - usual / strong) / (_UNSTEADY - _STEADY)
    return change, min(max(steady, 0.0), 1.0)
