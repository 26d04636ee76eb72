"""Recognised text as words. Pure.

Recognisers disagree about capitals, punctuation and accents; what the caller said is the same.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import TypeAlias

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")

Phrases: TypeAlias = frozenset[tuple[str, ...]]
"""Phrases, each as its words."""


def words_of(text: str) -> list[str]:
    """The words, in lower case, without accents, apostrophes and punctuation."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(sign for sign in plain if not unicodedata.combining(sign))
    return [word.replace("'", "").replace("’", "") for word in _WORD.findall(plain)]


def same_words(one: str, other: str) -> bool:
    """Whether two texts differ in nothing but capitals, accents and punctuation."""
    return words_of(one) == words_of(other)


def phrases(listed: str) -> Phrases:
    """Read phrases between which commas stand."""
    return frozenset(tuple(words_of(phrase)) for phrase in listed.split(",") if phrase.strip())


def leading(words: Sequence[str], known: Phrases, longest: int = 4) -> int:
    """How many words at the beginning are the longest of these phrases; 0 for none."""
    lengths = range(min(longest, len(words)), 0, -1)
    return next((n for n in lengths if tuple(words[:n]) in known), 0)


def made_of(words: Sequence[str], known: Phrases, longest: int = 4) -> bool:
    """Whether there are words, and they are nothing but these phrases, one behind another."""
    reached = {0}
    for at in range(len(words)):
        if at in reached:
            reached |= {
                at + n for n in range(1, longest + 1) if tuple(words[at : at + n]) in known
            }
    return bool(words) and len(words) in reached


def language_of(tag: object) -> str | None:
    """`nl` of `nl-NL`; None of `multi` and of whatever is no language tag."""
    primary = re.split(r"[-_]", str(tag or ""))[0].lower()
    return primary if len(primary) == 2 and primary.isalpha() else None
