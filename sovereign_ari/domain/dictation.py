"""Digits being dictated, and words being spelled. Pure.

Whoever reads out a telephone number pauses between its groups, for longer than anybody does who
has finished. So a number that grows digit by digit, and letters that stand alone, are taken for
unfinished, unless they are as many as were asked for, or a telephone number that may exist.

A plain number ("twelve", "table for 4", "half past 3", "1985", "EUR 12.50") is no dictation.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import phonenumbers

from sovereign_ari.domain.expectation import Expected
from sovereign_ari.domain.spoken import words_of

REGIONS = {"nl": ("NL", "BE"), "de": ("DE", "AT", "CH"), "en": ("GB", "US")}
"""Where a telephone number without a country code is, by the caller's language."""

FEWEST_PHONE_DIGITS = 10
MOST_PHONE_DIGITS = 15  # E.164

_UNITS = (
    ("zero", "nul", "null", "oh", "o"),
    ("one", "een", "eins", "ein"),
    ("two", "twee", "zwei", "zwo"),
    ("three", "drie", "drei"),
    ("four", "vier"),
    ("five", "vijf", "funf"),
    ("six", "zes", "sechs"),
    ("seven", "zeven", "sieben"),
    ("eight", "acht"),
    ("nine", "negen", "neun"),
)
_DIGITS = {name: str(digit) for digit, names in enumerate(_UNITS) for name in names}
_TEENS = (
    ("ten", "tien", "zehn"),
    ("eleven", "elf"),
    ("twelve", "twaalf", "zwolf"),
    ("thirteen", "dertien", "dreizehn"),
    ("fourteen", "veertien", "vierzehn"),
    ("fifteen", "vijftien", "funfzehn"),
    ("sixteen", "zestien", "sechzehn"),
    ("seventeen", "zeventien", "siebzehn"),
    ("eighteen", "achttien", "achtzehn"),
    ("nineteen", "negentien", "neunzehn"),
)
_TENS = (
    ("twenty", "twintig", "zwanzig"),
    ("thirty", "dertig", "dreissig"),
    ("forty", "veertig", "vierzig"),
    ("fifty", "vijftig", "funfzig"),
    ("sixty", "zestig", "sechzig"),
    ("seventy", "zeventig", "siebzig"),
    ("eighty", "tachtig", "achtzig"),
    ("ninety", "negentig", "neunzig"),
)
_TWO_DIGITS = {
    name: str(number)
    for first, rows, step in ((10, _TEENS, 1), (20, _TENS, 10))
    for number, names in zip(range(first, first + step * len(rows), step), rows, strict=True)
    for name in names
} | {
    f"{unit}{link}{ten}": f"{tens + 2}{digit}"  # "vierendertig", "vierunddreissig"
    for tens, names in enumerate(_TENS)
    for link, ten in (("en", names[1]), ("und", names[2]))
    for digit, units in enumerate(_UNITS)
    for unit in units
    if digit
}
_DOUBLE = frozenset({"double", "dubbel", "dubbele", "doppel", "doppelt"})
_PLAIN = re.compile(
    r"\d+[:h]\d+"  # a time
    r"|(?<![\d.,])(?:0|[1-9]\d{0,2})(?:[.,]\d{3})*[.,]\d{1,2}(?![\d.,]*\d)"  # an amount
    r"|(?<![\d.,])[1-9]\d{0,2}(?:[.,]\d{3})+(?![\d.,]*\d)"
)
_NOT_SPELLED = frozenset(
    "am pm us uk usa eu tv pc id ie eg bv nv zb dh ua ok it ai gmbh ag".split()
)
_NATO = frozenset(
    "alpha alfa bravo charlie delta echo foxtrot golf hotel india juliet juliett kilo lima mike "
    "november oscar papa quebec romeo sierra tango uniform victor whiskey xray yankee "
    "zulu".split()
)
_BY_NAME = re.compile(r"\b([a-z]) (?:for|as in|as|wie|van|von)(?: in)? (\w+)$")


@dataclass(frozen=True, slots=True)
class _Group:
    """Digits said in one go.

    Attributes:
        digits: They.
        single: Whether it is one digit, said or written by itself.
        numeral: Whether it is written in digits.
    """

    digits: str
    single: bool
    numeral: bool = False


def is_dictating(text: str, expected: Expected, language: str | None) -> bool:
    """Whether the text ends in the middle of digits or letters that are read out.

    Args:
        text: What was said in this turn so far.
        expected: What was asked for.
        language: ISO 639-1, None when it is not known.
    """
    words = words_of(_PLAIN.sub(" amount ", text))
    groups = _groups(words)
    digits = "".join(group.digits for group in groups)
    if digits:
        plus = re.search(r"\+\s*\d", text) is not None or "plus" in words
        if not (plus or _is_dictation(groups) or expected.wants_more(digits)):
            return False
        return not _is_complete(digits, expected, language, plus=plus)
    return _is_spelling(words, expected)


def _groups(words: Sequence[str]) -> list[_Group]:
    """The digits at the end, as they were grouped."""
    groups: list[_Group] = []
    for word in reversed(words):
        if word in _DOUBLE and groups and groups[0].single:
            groups.insert(0, groups[0])
        elif (group := _group(word)) is not None:
            if word.endswith("ty") and groups and groups[0].single and groups[0].digits != "0":
                groups[0] = _Group(
                    group.digits[0] + groups[0].digits, single=False
                )  # "thirty four"
            else:
                groups.insert(0, group)
        elif not (word == "plus" and groups):
            break
    if len(groups) == 1 and words[-1] in ("oh", "o", "een", "ein"):
        groups.clear()  # an interjection, or an article
    return groups


def _group(word: str) -> _Group | None:
    if word.isdecimal():
        return _Group(word, single=len(word) == 1, numeral=True)
    if word in _DIGITS:
        return _Group(_DIGITS[word], single=True)
    if word in _TWO_DIGITS:
        return _Group(_TWO_DIGITS[word], single=False)
    return None


def _is_dictation(groups: Sequence[_Group]) -> bool:
    digits = "".join(group.digits for group in groups)
    if len(digits) < 2:
        return False
    if _is_date(groups):
        return False
    if digits[0] == "0":
        return True
    if any(one.single and other.single for one, other in pairwise(groups)):
        return True
    many = [group for group in groups if len(group.digits) > 1]
    return len(many) > 2 or any(len(group.digits) > 4 for group in groups) or _in_pairs(groups)


def _is_date(groups: Sequence[_Group]) -> bool:
    """Whether it ends with a year, and a day and a month at most stand before it."""
    *before, last = groups
    if not 1 <= len(before) <= 2 or not re.fullmatch(r"(?:19|20)\d\d", last.digits):
        return False
    return all(len(group.digits) <= 2 and int(group.digits) <= 31 for group in before)


def _in_pairs(groups: Sequence[_Group]) -> bool:
    """Whether numerals of two digits and more follow each other: "12 34" but not "3 30"."""
    return any(
        len(one.digits) > 1 and len(other.digits) > 1 and one.numeral and other.numeral
        for one, other in pairwise(groups)
    )


def _is_complete(digits: str, expected: Expected, language: str | None, *, plus: bool) -> bool:
    if expected.digits is not None:
        return len(digits) >= expected.digits
    if plus:
        return _may_exist(f"+{digits}", None) or len(digits) >= MOST_PHONE_DIGITS
    if len(digits) < FEWEST_PHONE_DIGITS:
        return False
    if digits[0] != "0" or len(digits) >= MOST_PHONE_DIGITS:
        return True
    regions = REGIONS.get(language or "") or [r for some in REGIONS.values() for r in some]
    return any(_may_exist(digits, region) for region in regions)


@lru_cache(maxsize=256)
def _may_exist(number: str, region: str | None) -> bool:
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(number, region))
    except phonenumbers.NumberParseException:
        return False


def _is_spelling(words: Sequence[str], expected: Expected) -> bool:
    at = len(words)
    while at and len(words[at - 1]) == 1 and words[at - 1].isalpha():
        at -= 1
    if at and words[at:-1] == ["a"]:
        at += 1  # an article
    spelled = "".join(words[at:])
    if at and len(spelled) == 1 and words[at - 1] in _DOUBLE:
        return True
    if len(spelled) > 1 or (spelled and (at == 0 or expected.spelling)):
        # A word that was said before it was spelled is complete when it is spelled.
        return spelled not in words[:at] and spelled not in _NOT_SPELLED
    named = _BY_NAME.search(" ".join(words))
    if named is not None and named[2].startswith(named[1]):
        return True
    return len(words) > 1 and words[-1] in _NATO and words[-2] in _NATO
