"""Which words of a reply were heard, from how much of its audio has left.

A word counts when more than half of it has left. Where the words lie in the audio of a sentence
is found by `alignment` when it is asked for, that is when a reply is cut: most replies are heard
to their end, and cost nothing. No provider needs to send time stamps.

What the voice says may differ from what is written: some of the text may be swapped for other
words before it is spoken. Words count as they are written, for the time that they are spoken.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TypeAlias

from sovereign_ari.media.alignment import Word, loud_seconds, word_spans
from sovereign_ari.media.pcm import AudioFormat
from sovereign_ari.media.transcode import decoder_for

_UNSPACED = "\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff"  # Thai, Lao, kana, Han
_WORD = re.compile(rf"\s*(?:[{_UNSPACED}]|[^\s{_UNSPACED}]+)")
_PAUSES = re.compile(r"[.,;:!?…–—][\"')\]]*$")
_SAYABLE = re.compile(r"\w")
_LOOSE = re.compile(r"\s+(?=[,.;:!?…](?:\s|$))")  # where a word before it is not spoken
_DOUBLED = re.compile(r"([,;:])[,;:]+")
_DIGIT_WEIGHT = 3  # "7" takes as long to say as "seven" takes letters, nearly
_USUAL_S = 1 / 18.0
"""Of a letter, while nobody knows how fast a voice speaks: synthetic ones take 1/17 to 1/23."""
_CAUTIOUS_S = 1 / 13.0
"""The same where to say a word twice is better than to leave one out."""
_ENOUGH = 0.5  # of a word: who has heard more of it knows which it was

Swap: TypeAlias = tuple[int, int, str]
"""Begin and end of some of a text, and what is spoken instead."""


class Pace:
    """How fast a voice speaks, as far as its complete sentences tell.

    Attributes:
        letter_s: Seconds for the weight of one letter, None before the first sentence.
    """

    def __init__(self) -> None:
        self.letter_s: float | None = None

    def learn(self, seconds: float, weight: float) -> None:
        """Take a sentence that was spoken completely."""
        if seconds > 0 and weight > 0:
            self.letter_s = seconds / weight


@dataclass(slots=True)
class _Unit:
    """A written word.

    Attributes:
        written: As it stands, with the space before it.
        spoken: What the voice says for it, with the space before it.
        weight: How long that takes, in letters.
        joined: Whether its sound is a part of that of the word before.
    """

    written: str
    spoken: str
    weight: float
    joined: bool = False

    @property
    def known(self) -> Word:
        return Word(self.weight, _PAUSES.search(self.spoken) is not None)


class _Sentence:
    """A sentence, or, when a voice broke off in one, the rest of it.

    Attributes:
        units: Of the sentence from its beginning.
        first: How many of them come before this part.
        start_bytes: Where its audio begins.
        size_bytes: How much there is of it.
        complete: Whether that is all there will be.
        broken: Whether the audio ends in the middle.
        reached: How many of all units were said completely before it broke off.
    """

    def __init__(self, units: list[_Unit], first: int, start_bytes: int) -> None:
        self.units = units
        self.first = first
        self.start_bytes = start_bytes
        self.size_bytes = 0
        self.complete = False
        self.broken = False
        self.reached = len(units)
        self.audio = bytearray()
        self._spans: tuple[int, list[tuple[float, float]]] = (-1, [])

    @property
    def weight(self) -> float:
        return sum(unit.weight for unit in self.units[self.first :])

    def heard(self, played_bytes: int, wire: AudioFormat, pace: Pace) -> int:
        """How many of all units were heard when this much of this part has left."""
        if self.complete and played_bytes >= self.size_bytes:
            return self.reached
        played_s = wire.seconds(played_bytes)
        spans = self.spans(wire, pace)
        enough = (begin + _ENOUGH * (end - begin) for begin, end in spans)
        return self.first + sum(at_s < played_s for at_s in enough)

    def spans(self, wire: AudioFormat, pace: Pace) -> list[tuple[float, float]]:
        """Find where the units of this part lie in its audio."""
        if self._spans[0] != len(self.audio):
            pcm = decoder_for(wire).decode(bytes(self.audio))
            whole = self.complete and not self.broken
            known = [unit.known for unit in self.units[self.first :]]
            letter_s = None if whole else pace.letter_s or _USUAL_S
            self._spans = len(self.audio), word_spans(pcm, wire.rate_hz, known, letter_s)
        return self._spans[1]

    def loud_s(self, wire: AudioFormat) -> float:
        """How long it sounds, pauses left out."""
        return loud_seconds(decoder_for(wire).decode(bytes(self.audio)), wire.rate_hz)

    def forget_audio(self) -> None:
        """Let the audio go of what was heard to its end."""
        self.audio = bytearray()


class SpokenLedger:
    """What one reply says, where: `begin`, `extend` and `end` for each sentence, in order.

    Args:
        wire: Format of the audio.
        pace: Of the voice; its sentences teach it.
    """

    def __init__(self, wire: AudioFormat, pace: Pace | None = None) -> None:
        self._wire = wire
        self._pace = pace or Pace()
        self._sentences: list[_Sentence] = []
        self._size_bytes = 0

    @property
    def text(self) -> str:
        """Everything that was begun, whether or not it was heard, as it is written."""
        wholes = (each.units for each in self._sentences if not each.first)
        return " ".join(_written(units) for units in wholes if units)

    def begin(self, text: str, swaps: Sequence[Swap] = (), played_bytes: int = 0) -> str:
        """Say that the audio to come speaks `text`.

        Args:
            text: As it is written.
            swaps: What of it is spoken otherwise, in order.
            played_bytes: How much of all audio has left: no word is asked for before that.

        Returns:
            What is to be spoken.
        """
        if self._sentences and not self._sentences[-1].complete:
            self.end()
        for sentence in self._sentences:
            if sentence.start_bytes + sentence.size_bytes <= played_bytes:
                sentence.forget_audio()
        units = _units(text, swaps)
        self._sentences.append(_Sentence(units, 0, self._size_bytes))
        return _spoken(units)

    def extend(self, audio: bytes) -> None:
        """Note audio that was put behind what is there, for the sentence begun last."""
        sentence = self._sentences[-1]
        sentence.size_bytes += len(audio)
        sentence.audio += audio
        self._size_bytes += len(audio)

    def end(self) -> None:
        """Say that the audio of the sentence begun last is complete."""
        sentence = self._sentences[-1]
        if not sentence.complete and not sentence.broken:
            self._pace.learn(sentence.loud_s(self._wire), sentence.weight)
        sentence.complete = True

    def break_off(self) -> str:
        """Say that the audio of the sentence begun last ends here, and that its rest is to come.

        Returns:
            The words to be spoken now: from one before the word it broke off in, for where that
            is can only be estimated. It is as if they had been begun.
        """
        broken = self._sentences[-1]
        broken.broken = broken.complete = True
        broken.reached = broken.first + len(broken.spans(self._wire, self._pace))
        weights = accumulate(unit.weight for unit in broken.units[broken.first :])
        letters = broken.loud_s(self._wire) / (self._pace.letter_s or _CAUTIOUS_S)
        first = min(broken.reached, broken.first + bisect_right(list(weights), letters)) - 1
        first = max(broken.first, first)
        while broken.units[first:] and broken.units[first].joined:
            first -= 1
        self._sentences.append(_Sentence(broken.units, first, self._size_bytes))
        return _spoken(broken.units[first:])

    def heard(self, played_bytes: int) -> str:
        """Return the text up to the last word of which enough lies within `played_bytes`.

        While a sentence's audio is incomplete its words are placed by the pace of the voice, and
        may move when the rest has come.
        """
        heard: list[tuple[list[_Unit], int]] = []
        for sentence in self._sentences:
            within_bytes = played_bytes - sentence.start_bytes
            if within_bytes <= 0:
                break
            count = sentence.heard(within_bytes, self._wire, self._pace)
            if heard and heard[-1][0] is sentence.units:  # the rest of one that broke off
                count = max(count, heard.pop()[1])
            heard.append((sentence.units, count))
        return " ".join(text for units, count in heard if (text := _written(units[:count])))


def _written(units: Sequence[_Unit]) -> str:
    return "".join(unit.written for unit in units).strip()


def _spoken(units: Sequence[_Unit]) -> str:
    said = " ".join("".join(unit.spoken for unit in units).split())
    return _DOUBLED.sub(r"\1", _LOOSE.sub("", said)).lstrip(",;: ")


def _units(text: str, swaps: Sequence[Swap]) -> list[_Unit]:
    """Cut a text into words, and say what is spoken for each."""
    units: list[_Unit] = []
    unsaid = ""
    for match in _WORD.finditer(text):
        spoken, joined = _spoken_within(text, match.start(), match.end(), swaps)
        weight = _weight(spoken)
        if joined and units:
            units.append(_Unit(match.group(), spoken, 0.0, joined=True))
            _share(units)
        elif weight:
            units.append(_Unit(unsaid + match.group(), spoken, weight))
            unsaid = ""
        elif units:
            units[-1].written += match.group()
            units[-1].spoken += spoken
        else:
            unsaid += match.group()
    if unsaid:
        units.append(_Unit(unsaid, "", 0.0))
    return units


def _spoken_within(text: str, start: int, end: int, swaps: Sequence[Swap]) -> tuple[str, bool]:
    """Say what is spoken for a word, and whether its sound began in the word before."""
    spoken, at, joined = "", start, False
    for begin, finish, instead in swaps:
        if finish <= start or begin >= end:
            continue
        spoken += text[at : max(at, begin)]
        if begin >= start:
            spoken += instead
        else:
            joined = instead != ""
        at = min(finish, end)
    return spoken + text[at:end], joined


def _share(units: list[_Unit]) -> None:
    """Share the sound of a phrase among its written words, by their length."""
    first = max(number for number, unit in enumerate(units) if not unit.joined)
    phrase = units[first:]
    weight = sum(unit.weight for unit in phrase)
    letters = sum(len(unit.written) for unit in phrase)
    for unit in phrase:
        unit.weight = weight * len(unit.written) / letters


def _weight(spoken: str) -> float:
    """Estimate how long words are to say, in letters; 0 when nothing is to be said."""
    if not _SAYABLE.search(spoken):
        return 0.0
    letters = "".join(spoken.split())
    digits = sum(character.isdigit() for character in letters)
    return len(letters) + (_DIGIT_WEIGHT - 1) * digits + len(spoken.split())
