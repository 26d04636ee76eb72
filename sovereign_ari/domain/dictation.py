"""Digits being dictated, and words being spelled. Pure.

Whoever reads out a telephone number pauses between its groups, for longer than anybody does who
has finished. So a number that grows digit by digit, and letters that stand alone, are taken for
unfinished, unless they are as many as were asked for, or a telephone number that may exist.

A plain number ("twelve", "table for 4", "half past 3", "in 1985", "EUR 12.50") is no dictation,
unless it is called a number or a code, or is all that was said: see `domain/codes.py`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

import phonenumbers

from sovereign_ari.domain.codes import MOST_CODE_SIGNS, code_goes_on, is_no_telephone
from sovereign_ari.domain.expectation import Expected
from sovereign_ari.domain.numerals import Group, group_of
from sovereign_ari.domain.spoken import words_of

REGIONS = {"nl": ("NL", "BE"), "de": ("DE", "AT", "CH"), "en": ("GB", "US")}
"""Where a telephone number without a country code is, by the caller's language."""

FEWEST_PHONE_DIGITS = 10
MOST_PHONE_DIGITS = 15  # E.164
CARD_DIGITS = 16

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
_ALPHABET = _NATO | frozenset(
    "anton bernhard berta casar cornelis dirk dora eduard emil ferdinand friedrich gerard gustav "
    "heinrich hendrik ida izaak jan johan julius karel kaufmann konrad lodewijk ludwig maria "
    "martha nico nordpol otto paula pieter quelle quirinus richard rudolf samuel siegfried simon "
    "theodor teunis ulrich utrecht viktor wilhelm willem xantippe xanthippe ypsilon zaandam "
    "zacharias zeppelin".split()
)
_BY_NAME = re.compile(r"\b([a-z]) (?:for|as in|as|wie|van|von)(?: in)? (\w+)(?: [a-z])?$")
_NAMED_ONLY = re.compile(r"(as in|van|wie|von|for) (\w+)(?: [a-z])?")
_NAMES = re.compile(r"\b(?:name is|naam is|name ist|heet|heisse|called)$")


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
    code = code_goes_on(text, expected)
    if digits:
        plus = re.search(r"\+\s*\d", text) is not None or "plus" in words
        if plus:
            return not _is_complete(digits, expected, language, plus=True)
        if _is_dictation(groups) or expected.wants_more(digits):
            if code is False:
                return False
            if expected.digits is None and is_no_telephone(text, expected):
                return len(digits) < MOST_CODE_SIGNS
            if expected.digits is None and _is_card(groups):
                return True
            return not _is_complete(digits, expected, language, plus=False)
        return code is True and not _is_date(groups)
    return code is True or _is_spelling(words, expected)


def _groups(words: Sequence[str]) -> list[Group]:
    """The digits at the end, as they were grouped."""
    groups: list[Group] = []
    for word in reversed(words):
        if word in _DOUBLE and groups and groups[0].single:
            groups.insert(0, groups[0])
        elif (group := group_of(word)) is not None:
            if word.endswith("ty") and groups and groups[0].single and groups[0].digits != "0":
                groups[0] = Group(
                    group.digits[0] + groups[0].digits, single=False
                )  # "thirty four"
            else:
                groups.insert(0, group)
        elif not (word == "plus" and groups):
            break
    if len(groups) == 1 and words[-1] in ("oh", "o", "een", "ein"):
        groups.clear()  # an interjection, or an article
    return groups


def _is_dictation(groups: Sequence[Group]) -> bool:
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


def _is_date(groups: Sequence[Group]) -> bool:
    """Whether it ends with a year, and a day and a month at most stand before it."""
    *before, last = groups
    if not 1 <= len(before) <= 2 or not re.fullmatch(r"(?:19|20)\d\d", last.digits):
        return False
    return all(len(group.digits) <= 2 and int(group.digits) <= 31 for group in before)


def _in_pairs(groups: Sequence[Group]) -> bool:
    """Whether numerals of two digits and more follow each other: "12 34" but not "3 30"."""
    return any(
        len(one.digits) > 1 and len(other.digits) > 1 and one.numeral and other.numeral
        for one, other in pairwise(groups)
    )


def _is_card(groups: Sequence[Group]) -> bool:
    """Whether it is a part of a number that is grouped as those of cards, and no telephone's."""
    fours = all(group.numeral and len(group.digits) == 4 for group in groups)
    return fours and 2 < len(groups) < CARD_DIGITS // 4 and groups[0].digits[0] != "0"


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
    begun = at == 0 or expected.spelling or _NAMES.search(" ".join(words[:at]))
    if len(spelled) > 1 or (spelled and begun):
        # A word that was said before it was spelled is complete when it is spelled.
        return spelled not in words[:at] and spelled not in _NOT_SPELLED
    said = " ".join(words)
    named = _BY_NAME.search(said)
    if named is not None and named[2].startswith(named[1]):
        return True
    only = _NAMED_ONLY.fullmatch(said)  # the letter was said before a pause
    if only is not None and (only[1] == "as in" or only[2] in _ALPHABET):
        return True
    return len(words) > 1 and words[-1] in _NATO and words[-2] in _NATO
