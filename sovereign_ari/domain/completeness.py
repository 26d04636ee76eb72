"""Whether the words so far are all that the caller wants to say. Pure.

    DICTATING   digits or letters are read out, and more must come
    UNFINISHED  the sentence must go on: "I would like a table and"
    OPEN        it may be over, or not
    SHORT       an answer that is complete in a word or two

An unknown language is no fault: English, Dutch and German hold at once then.
"""

from __future__ import annotations

from enum import Enum

from sovereign_ari.domain.dictation import is_dictating
from sovereign_ari.domain.expectation import NOTHING, Expected
from sovereign_ari.domain.short_answers import is_short_answer
from sovereign_ari.domain.spoken import words_of
from sovereign_ari.domain.unfinished import breaks_off, trails_off

LAST_CHARS = 200
"""Whether something is over stands at its end, and nobody bounds what a recogniser writes."""


class Standing(Enum):
    """How complete a turn is, by its words."""

    DICTATING = "dictating"
    UNFINISHED = "unfinished"
    OPEN = "open"
    SHORT = "short"

    @property
    def may_be_over(self) -> bool:
        """Whether it need not go on."""
        return self in (Standing.OPEN, Standing.SHORT)


def standing_of(
    text: str, *, expected: Expected = NOTHING, language: str | None = None
) -> Standing:
    """Judge what was said in a turn so far.

    Args:
        text: All of it.
        expected: What the agent asked for.
        language: ISO 639-1 of the caller's words, None when it is not known.
    """
    text = text[-LAST_CHARS:]
    words = words_of(text)
    if is_dictating(text, expected, language):
        return Standing.DICTATING
    if breaks_off(text):
        return Standing.UNFINISHED
    if is_short_answer(words):
        return Standing.SHORT
    return Standing.UNFINISHED if trails_off(text, words, language) else Standing.OPEN
