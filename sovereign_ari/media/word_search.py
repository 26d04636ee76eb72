"""The best boundaries of words among the places where they may be. Pure.

Dynamic programming: what the boundaries are worth, less what the words between them differ from
the length expected of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

CERTAIN = 14.0
"""What a boundary is worth that is one beyond doubt; a word of half or twice the length expected
costs 1.5."""
_DOUBT = 0.4  # of that: a change this small is none
_STRETCH = 0.35  # of the logarithm of a length: one word in three differs by more
_CELL_HOPS = 3
_REACH_HOPS = 80  # no word is too short to take 0.8 s

Samples: TypeAlias = NDArray[np.float64]
Places: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Worth:
    """What a boundary before each loud hop, and after the last, is worth.

    Attributes:
        change: For the change of the sound there.
        pause: For the silence there.
        shows: How surely all boundaries between words show, 0 to 1.
    """

    change: Samples
    pause: Samples
    shows: float


class Search:
    """The best boundaries, in loud hops.

    Args:
        worth: Of each place.
        expected: Length of each word, in hops.
        pauses: Whether a pause may be expected after each word.
    """

    def __init__(self, worth: Worth, expected: Samples, pauses: Sequence[bool]) -> None:
        self._worth = worth
        self._expected = expected
        self._pauses = pauses
        self._places = _places(worth.change + worth.pause)
        self._stretch = _STRETCH * (1 + worth.shows)  # letters say less then
        self._came: list[Places] = []
        count = len(self._places)
        reach = self._reach(float(expected.max()))
        # Each row has the places that a word may begin at which ends at one place, in order; the
        # first rows have some more, before all places, that none does.
        view = np.lib.stride_tricks.sliding_window_view
        padded = np.full(reach + count, -np.inf)
        self._begins = view(padded, reach)[:count]
        self._best = padded[reach:]  # of the words so far, ending at each place
        self._best[0] = 0.0
        before = view(np.maximum(np.arange(-reach, count), 0), reach)[:count]
        self._logarithms = _logarithms(self._places[:, None] - self._places[before])

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
            self._best -= _DOUBT * CERTAIN * self._worth.shows
            ends.append(self._open_end(number + 1))
        words = max(range(len(ends)), key=lambda count: ends[count][0])
        return self._traced(words, ends[words][1])

    def _add_word(self, number: int) -> None:
        expected = float(self._expected[number])
        reach = self._reach(expected)
        values = self._cost(self._logarithms[:, -reach:], expected)
        np.subtract(self._begins[:, -reach:], values, out=values)
        came = values.argmax(axis=1)
        rows = np.arange(len(came))
        worth = self._worth.change + self._worth.pause * (1.5 if self._pauses[number] else 1.0)
        self._best[:] = values[rows, came] + worth[self._places]
        self._came.append(rows - reach + came)

    def _reach(self, expected: float) -> int:
        """How many places before its end a word may begin."""
        longest = int(max(3 * expected, _REACH_HOPS) / _CELL_HOPS) + 1
        return min(len(self._places) - 1, longest)

    def _cost(self, logarithms: Samples, expected: float) -> Samples:
        """Say how unlikely a word is that lasts so long."""
        off: Samples = logarithms - np.log(expected)
        np.abs(off, out=off)
        off /= self._stretch
        near = np.minimum(off, 1.0)
        off -= near / 2
        off *= near
        return off

    def _open_end(self, number: int) -> tuple[float, int]:
        """Judge that the sound breaks off within this word: the value, and where it begins."""
        if number == len(self._expected):
            return float(self._best[-1]), len(self._places) - 1
        left = self._places[-1] - self._places
        expected = float(self._expected[number])
        values = self._best - np.where(
            left <= expected, 0.0, self._cost(_logarithms(left), expected)
        )
        at = int(values.argmax())
        return float(values[at]), at

    def _traced(self, words: int, at: int) -> list[int]:
        chosen = [at]
        for came in reversed(self._came[:words]):
            chosen.append(int(came[chosen[-1]]))
        return [int(self._places[n]) for n in reversed(chosen)]


def _logarithms(lengths: Places) -> Samples:
    logarithms: Samples = np.log(np.maximum(lengths, 1))
    return logarithms


def _places(value: Samples) -> Places:
    """Choose the best place for a boundary in each 30 ms, and both ends."""
    last = len(value) - 1
    inner = value[1:last]
    cells = -(-len(inner) // _CELL_HOPS)
    padded = np.pad(inner, (0, cells * _CELL_HOPS - len(inner)), constant_values=-1.0)
    best = padded.reshape(cells, _CELL_HOPS).argmax(axis=1) if cells else np.arange(0)
    places = 1 + np.arange(cells) * _CELL_HOPS + best
    return np.concatenate([[0], places, [last]]).astype(np.int64)
