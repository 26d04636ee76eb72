"""Numbers up to a hundred as they are said, in English, Dutch and German. Pure."""

from __future__ import annotations

from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class Group:
    """Digits said in one go.

    Attributes:
        digits: They.
        single: Whether it is one digit, said or written by itself.
        numeral: Whether it is written in digits.
    """

    digits: str
    single: bool
    numeral: bool = False


def group_of(word: str) -> Group | None:
    """The digits of a word as `words_of` gives it; None when it is no number."""
    if word.isdecimal():
        return Group(word, single=len(word) == 1, numeral=True)
    if word in _DIGITS:
        return Group(_DIGITS[word], single=True)
    if word in _TWO_DIGITS:
        return Group(_TWO_DIGITS[word], single=False)
    return None
