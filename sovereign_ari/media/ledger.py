"""Which words of a reply were heard, from how much of its audio has left.

Words are found by proportion: a word's end lies where the same share of the sentence's loud
audio has been played as of its characters. Leading, trailing and inner silence therefore moves
no word, and no provider needs to send time stamps.
"""

from __future__ import annotations

import audioop
import re
from bisect import bisect_right
from itertools import accumulate

from sovereign_ari.media.pcm import FRAME_S, AudioFormat
from sovereign_ari.media.transcode import decoder_for

_UNSPACED = "\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff"  # Thai, Lao, kana, Han
_WORD = re.compile(rf"\s*(?:[{_UNSPACED}]|[^\s{_UNSPACED}]+)")
_LOUD_RMS = 100  # -50 dBFS: the pauses of synthetic speech are far below
_DIGIT_WEIGHT = 3  # "7" takes as long to say as "seven" takes letters, nearly
_WEIGHT_PER_S = 17.0
"""Speaking rate assumed while a sentence's audio is incomplete: 15 characters, 2.5 words."""


class _Sentence:
    def __init__(self, text: str, start_bytes: int) -> None:
        self.text = text.strip()
        self.start_bytes = start_bytes
        self.size_bytes = 0
        self.complete = False
        self.loud_until = [0]  # loud frames before frame n
        self.words = _WORD.findall(self.text)
        self.weight_until = list(accumulate(_weight(word) for word in self.words))

    def heard(self, played_bytes: int, frame_bytes: int) -> str:
        if self.complete and played_bytes >= self.size_bytes:
            return self.text
        if not self.words:
            return ""
        frames = min(played_bytes // frame_bytes, len(self.loud_until) - 1)
        loud = self.loud_until[frames]
        total = self.loud_until[-1]
        whole_weight = self.weight_until[-1]
        if not self.complete:
            total = max(total, round(whole_weight / _WEIGHT_PER_S / FRAME_S))
        elif total == 0:  # nothing is loud: any audio counts
            loud, total = frames, len(self.loud_until)
        count = bisect_right(self.weight_until, loud * whole_weight // total)
        return "".join(self.words[:count])


def _weight(word: str) -> int:
    digits = sum(character.isdigit() for character in word)
    return len(word.strip()) + (_DIGIT_WEIGHT - 1) * digits + 1


class SpokenLedger:
    """What one reply says, where: `begin`, `extend` and `end` for each sentence, in order.

    Args:
        wire: Format of the audio.
    """

    def __init__(self, wire: AudioFormat) -> None:
        self._frame_bytes = wire.frame_bytes
        self._decoder = decoder_for(wire)
        self._sentences: list[_Sentence] = []
        self._size_bytes = 0
        self._unmeasured = b""

    @property
    def text(self) -> str:
        """Everything that was begun, whether or not it was heard."""
        return " ".join(sentence.text for sentence in self._sentences if sentence.text)

    def begin(self, text: str) -> None:
        """Say that the audio to come speaks `text`."""
        if self._sentences and not self._sentences[-1].complete:
            self.end()
        self._sentences.append(_Sentence(text, self._size_bytes))

    def extend(self, audio: bytes) -> None:
        """Note audio that was put behind what is there, for the sentence begun last."""
        sentence = self._sentences[-1]
        sentence.size_bytes += len(audio)
        self._size_bytes += len(audio)
        size = self._frame_bytes
        audio = self._unmeasured + audio
        whole = len(audio) - len(audio) % size
        self._unmeasured = audio[whole:]
        for at in range(0, whole, size):
            self._measure(sentence, audio[at : at + size])

    def end(self) -> None:
        """Say that the audio of the sentence begun last is complete."""
        sentence = self._sentences[-1]
        if self._unmeasured:
            self._measure(sentence, self._unmeasured)
            self._unmeasured = b""
        sentence.complete = True

    def heard(self, played_bytes: int) -> str:
        """Return the text up to the last word that ends within the first `played_bytes`.

        While a sentence's audio is incomplete its words are placed by an assumed speaking rate,
        and may move when the rest has come.
        """
        heard: list[str] = []
        for sentence in self._sentences:
            within_bytes = played_bytes - sentence.start_bytes
            if within_bytes <= 0:
                break
            heard.append(sentence.heard(within_bytes, self._frame_bytes))
        return " ".join(text for text in heard if text)

    def _measure(self, sentence: _Sentence, audio: bytes) -> None:
        pcm = self._decoder.decode(audio)
        loud = audioop.rms(pcm[: len(pcm) & ~1], 2) > _LOUD_RMS
        sentence.loud_until.append(sentence.loud_until[-1] + loud)
