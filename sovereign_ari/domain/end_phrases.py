"""What an assistant says last: phrases that end the call once they were heard. Pure.

Compared are the letters and digits of whole words, without case, accents, punctuation, or the
spaces between the words of the phrase: `good bye` is also `Goodbye!`, but `bye` is not in
`maybe`. In scripts without spaces every character is a word.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from itertools import accumulate

_UNSPACED = "\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff"  # Thai, Lao, kana, Han
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+")


class EndPhrases:
    """The phrases of one assistant.

    Args:
        phrases: As configured.
    """

    def __init__(self, phrases: Sequence[str]) -> None:
        self._phrases = [joined for phrase in phrases if (joined := "".join(_words(phrase)))]

    def said_in(self, text: str) -> bool:
        """Whether a text holds one of them."""
        if not self._phrases:
            return False
        words = _words(text)
        joined = "".join(words)
        edges = {0, *accumulate(map(len, words))}
        return any(_stands_in(phrase, joined, edges) for phrase in self._phrases)


def _words(text: str) -> list[str]:
    folded = unicodedata.normalize("NFKD", text.casefold())
    letters = "".join(each for each in folded if unicodedata.category(each) != "Mn")
    return _WORD.findall(letters.replace("'", "").replace("\u2019", ""))


def _stands_in(phrase: str, joined: str, edges: set[int]) -> bool:
    at = joined.find(phrase)
    while at >= 0:
        if at in edges and at + len(phrase) in edges:
            return True
        at = joined.find(phrase, at + 1)
    return False
