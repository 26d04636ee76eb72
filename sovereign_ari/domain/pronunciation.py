"""What a voice is given instead of what is written. Pure.

A rule holds for whole words and phrases, in any case and with any space between their words. The
longest rule wins, each word is replaced once at most, and what is put in its place is not looked
at again. A word ends where no letter, digit, underscore or combining mark follows; a rule that
begins or ends with another sign (`&`, `C++`) needs no end of a word there.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

_SAME = {"\u2018": "'", "\u2019": "'", "\u02bc": "'", "\u00a0": " "}


class Pronunciation:
    """The rules of one assistant.

    Args:
        rules: Pairs of what is written and what is spoken, which may be empty.
    """

    def __init__(self, rules: Sequence[tuple[str, str]] = ()) -> None:
        self._rules: dict[str, list[tuple[str, str]]] = {}
        for written, spoken in rules:
            key = _folded(" ".join(unicodedata.normalize("NFC", written).split()))[0]
            if key:
                self._rules.setdefault(key[0], []).append((key, " ".join(spoken.split())))
        for starting_alike in self._rules.values():
            starting_alike.sort(key=lambda rule: -len(rule[0]))

    def swaps(self, text: str) -> list[tuple[int, int, str]]:
        """Find what of a text is spoken otherwise: begin, end and words, in order.

        A text of which nothing would be left to say is left as it is.

        Args:
            text: With single spaces, in Unicode's form NFC.
        """
        if not self._rules:
            return []
        folded, origin = _folded(text)
        found: list[tuple[int, int, str]] = []
        at = 0
        while at < len(folded):
            rule = self._rule_at(folded, at)
            if rule is None or origin[at] == origin[at - 1 if at else -1]:
                at += 1
                continue
            end = at + len(rule[0])
            found.append((origin[at], origin[end], rule[1]))
            at = end
        return found if _any_left(text, found) else []

    def _rule_at(self, folded: str, at: int) -> tuple[str, str] | None:
        for key, spoken in self._rules.get(folded[at], ()):
            if folded.startswith(key, at) and _stands_alone(folded, at, at + len(key)):
                return key, spoken
        return None


def _folded(text: str) -> tuple[str, list[int]]:
    """Fold case and the kinds of apostrophe; where each character came from, and the end."""
    folded: list[str] = []
    origin: list[int] = []
    for number, character in enumerate(text):
        plain = _SAME.get(character, character).casefold()
        folded.append(plain)
        origin += [number] * len(plain)
    return "".join(folded), [*origin, len(text)]


def _stands_alone(text: str, start: int, end: int) -> bool:
    before = start > 0 and _in_word(text[start]) and _in_word(text[start - 1])
    after = end < len(text) and (
        (_in_word(text[end - 1]) and _in_word(text[end])) or _is_mark(text[end])
    )
    return not before and not after


def _in_word(character: str) -> bool:
    return character.isalnum() or character == "_" or _is_mark(character)


def _is_mark(character: str) -> bool:
    return not character.isascii() and unicodedata.category(character)[0] == "M"


def _any_left(text: str, swaps: Sequence[tuple[int, int, str]]) -> bool:
    """Whether a letter or digit is left to say."""
    at = 0
    for begin, end, spoken in swaps:
        if any(map(str.isalnum, text[at:begin])) or any(map(str.isalnum, spoken)):
            return True
        at = end
    return any(map(str.isalnum, text[at:]))
