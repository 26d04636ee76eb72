"""Numbers and codes that are read out, by what they are called. Pure.

"My number is 12" and "my code is AB12" hardly ever end there; "at 12" and "two tickets" do. So
digits at the end are a code when a word of identification stands before them, when the agent asked
for one, or when they are all that was said and nobody asked for a quantity.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from sovereign_ari.domain.expectation import IDENTIFIER, Expected, names_code
from sovereign_ari.domain.numerals import group_of
from sovereign_ari.domain.spoken import words_of

MOST_LINKS = 5
LEAST_AFTER_IS = 3  # "it is 12" is a time, "it is 471" is not

_TOKEN = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_AMOUNT = re.compile(r"[€$£]\s*\d[\d.,]*|\d[\d.,]*\s*[%€$£°]|\d[\d.,]*\s*[ap]\.?\s?m\b\.?", re.I)
_MEASURED = re.compile(
    r"\d+(?:st|nd|rd|th|e|de|ste|te|ter|ten|am|pm|h|u|k|x|kg|g|km|m|cm|mm|l|ml|eur|gb|mb|min|uhr|s)"
)
_CAPITALS = re.compile(r"[A-Z]{2,4}")
_WORDS_IN_CAPITALS = frozenset("AM PM OK UK US USA EU TV PC IT IS EUR USD GBP BV GMBH AG".split())
_ARTICLES = frozenset("a i o oh een ein".split())
_LINKS = frozenset(
    "is its it are was the a my number numbers no nr code ist lautet war so um uh then dan dann "
    "that this thats es das dat het die mijn meine mein de der starts begins begint beginnt with "
    "met mit id of".split()
)
_INTROS = frozenset("yes yeah ok okay oke sure well ja nee so also and en und uhm eh ah".split())
_IT_IS = frozenset(
    (one, verb) for one in "it that this es das dat het die".split() for verb in ("is", "ist")
) | {("its",), ("thats",)}
_DO = frozenset("to i we you please can could ik wil will ich".split())
_POSTCODE = re.compile(
    r"\d{5}|\d{4}[a-z]{2}|[a-z]{1,2}\d[a-z\d]?\d[a-z]{2}"  # Germany, the Netherlands, Britain
)
_BARE_POSTCODE = re.compile(r"\d{4}[a-z]{2}|[a-z]{1,2}\d[a-z\d]?\d[a-z]{2}")
_POSTCODE_NAMES = frozenset("postcode postal zip zipcode postleitzahl plz".split())
_IBAN = re.compile(r"([a-z]{2})\d{2}[a-z\d]*")
_IBAN_SIGNS = {"de": 22, "nl": 18, "be": 16, "at": 20, "ch": 21, "lu": 20, "fr": 27, "gb": 22}
_COMPLETE_NUMBERS = frozenset("110 112 116117 911 999 144 113".split())
MOST_DIGITS = 10
"""Of a number that may be a telephone number."""

MOST_CODE_SIGNS = 30


def code_goes_on(text: str, expected: Expected) -> bool | None:
    """Whether more of the number or code at the end must come; None when there is none."""
    tail, lead = _parted(text)
    if not tail or _MEASURED.fullmatch("".join(tail).lower()):
        return None
    if expected.quantity and not _name_of(lead):
        return None
    if not _is_read_out(tail, lead, expected):
        return None
    return not _is_complete(tail, lead, expected)


def is_no_telephone(text: str, expected: Expected) -> bool:
    """Whether the digits at the end are those of a code, by its name or by what was asked for."""
    _, lead = _parted(text)
    while lead and lead[-1] in _ARTICLES:
        lead.pop()  # "oh" is a digit here
    return _is_code(lead, expected)


def _parted(text: str) -> tuple[list[str], list[str]]:
    """The digits and letters at the end, and the words before them."""
    tokens = _TOKEN.findall(_AMOUNT.sub(" amount ", text))
    shouted = text.isupper() and any(len(one) > 4 and one.isalpha() for one in tokens)
    at = len(tokens)
    while at and _is_part(tokens[at - 1], shouted=shouted):
        at -= 1
    while at < len(tokens) and tokens[at].lower() in _ARTICLES:
        at += 1
    return tokens[at:], words_of(" ".join(tokens[:at]))


def _is_part(token: str, *, shouted: bool) -> bool:
    if any(sign.isdigit() for sign in token):
        return _MEASURED.fullmatch(token.lower()) is None
    if len(token) == 1:
        return token.isalpha()
    if not shouted and _CAPITALS.fullmatch(token):
        named = IDENTIFIER.fullmatch(token.lower()) is not None  # "PIN", "IBAN"
        return not named and token not in _WORDS_IN_CAPITALS
    return any(group_of(word) is not None for word in words_of(token))


def _is_read_out(tail: Sequence[str], lead: Sequence[str], expected: Expected) -> bool:
    digits = _has_digits(tail)
    if not lead:
        return digits and (expected.identifier or _stands_alone(tail))
    if _name_of(lead):
        return True
    if expected.identifier and lead[-1] in _LINKS | _INTROS:
        return digits
    said = tuple(lead[-2:])
    if said in _IT_IS or said[-1:] in _IT_IS:
        return len(tail) == 1 and tail[0].isdecimal() and len(tail[0]) >= LEAST_AFTER_IS
    return False


def _has_digits(tail: Sequence[str]) -> bool:
    return any(sign.isdigit() for sign in "".join(tail)) or any(
        group_of(word) is not None for token in tail for word in words_of(token)
    )


def _stands_alone(tail: Sequence[str]) -> bool:
    """Whether it is one group of digits, or a code of digits and letters."""
    code = "".join(tail)
    if code.isdecimal():
        return len(tail) == 1 and len(code) > 1
    return any(sign.isdigit() for sign in code) and all(
        len(token) <= 4 or not token.isalpha() for token in tail
    )


def _name_of(lead: Sequence[str]) -> str:
    """The word of identification that the end of these words names, empty without one."""
    for back, word in enumerate(reversed(lead[-MOST_LINKS - 1 :]), start=1):
        if IDENTIFIER.fullmatch(word.removesuffix("s")):  # "the code's"
            before = lead[-back - 1] if len(lead) > back else ""
            return "" if word == "order" and before in _DO else word
        if word not in _LINKS:
            return ""
    return ""


def _is_code(lead: Sequence[str], expected: Expected) -> bool:
    """Whether what the end of these words names, or else what was asked for, is no telephone's."""
    if not (named := _name_of(lead)):
        return expected.code
    at = max(at for at, word in enumerate(lead) if word == named)
    return names_code(lead[max(0, at - 1) : at + 1])


def _is_complete(tail: Sequence[str], lead: Sequence[str], expected: Expected) -> bool:
    groups = [group_of(word) for token in tail for word in words_of(token)]
    code = "".join(
        group.digits if group else token.lower()
        for group, token in zip(groups, tail, strict=False)
    )
    if expected.digits is not None:
        return len(code) >= expected.digits
    if iban := _IBAN.fullmatch(code):
        return len(code) >= _IBAN_SIGNS.get(iban[1], 34) or bool(_BARE_POSTCODE.fullmatch(code))
    if _name_of(lead) in _POSTCODE_NAMES or expected.postcode:
        return _POSTCODE.fullmatch(code) is not None
    if not lead and (code in _COMPLETE_NUMBERS or _BARE_POSTCODE.fullmatch(code)):
        return True
    if _is_code(lead, expected):
        return len(code) >= MOST_CODE_SIGNS
    return len(code) >= MOST_DIGITS and code.isdecimal() and code[0] != "0"
