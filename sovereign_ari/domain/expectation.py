"""What the agent's question lets us expect of the answer. Pure.

Only what changes when an answer is complete: a number of so many digits, a telephone number, a
name that is spelled. English, Dutch and German.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

LAST_CHARS = 240
"""A question stands at the end of what the agent said."""

_COUNTS = {
    name: number
    for number, names in enumerate(
        (
            "two twee zwei", "three drie drei", "four vier", "five vijf funf fünf",
            "six zes sechs", "seven zeven sieben", "eight acht", "nine negen neun",
            "ten tien zehn", "eleven elf", "twelve twaalf zwolf zwölf",
        ),
        start=2,
    )
    for name in names.split()
}  # fmt: skip
_COUNT = re.compile(
    rf"\b(\d{{1,2}}|{'|'.join(_COUNTS)})[ -]?"
    r"(?:digits?|cijfer\w*|stellig\w*|ziffern?)\b",
    re.IGNORECASE,
)
_PHONE = re.compile(
    r"(?:phone|mobile|cell|contact|telefoon|mobiel|telefon|handy|ruf|mobil|ruckruf|rückruf)"
    r"[- ]?(?:number|nummer)|\bnumber (?:can|should|may) (?:i|we) (?:call|reach)"
    r"|(?:nummer|number)\b[^.?!]*\b(?:bereik|bellen|call you|erreich|anrufen)",
    re.IGNORECASE,
)
_SPELL = re.compile(r"\bspell|\bspel(?:len|t)?\b|buchstabier", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Expected:
    """What an answer is to hold.

    Attributes:
        digits: So many digits, None when nobody knows.
        phone: A telephone number.
        spelling: Letters one by one.
    """

    digits: int | None = None
    phone: bool = False
    spelling: bool = False

    def wants_more(self, digits: str) -> bool:
        """Whether these are too few, however they were said."""
        if self.digits is not None:
            return len(digits) < self.digits
        return self.phone


NOTHING = Expected()


def expected_after(said: str) -> Expected:
    """Read it from what the agent said last."""
    said = said[-LAST_CHARS:]
    count = _COUNT.search(said)
    if count is not None:
        named = count[1].lower()
        return Expected(digits=int(named) if named.isdigit() else _COUNTS[named])
    return Expected(
        phone=_PHONE.search(said) is not None, spelling=_SPELL.search(said) is not None
    )
