"""What the agent's question lets us expect of the answer. Pure.

Only what changes when an answer is complete: a number of so many digits, a telephone number, a
name that is spelled. English, Dutch and German.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sovereign_ari.domain.spoken import words_of

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

IDENTIFIER = re.compile(
    r"\w*(?:numbers?|nummers?|nummern|codes?|kennung|zeichen)|(?!an)\w*zahl|nr|zip|iban|bic|"
    r"accounts?|order|customer|reference|ref|pin|extension|ext|policy|birthday|birth|dob|serial|id|"
    r"invoice|passport|plate|phone|password|kenteken|rekening|klant|bestelling|polis|referentie|"
    r"verjaardag|geboortedatum|toestel|dossier|factuur|wachtwoord|paspoort|konto|plz|geburtstag|"
    r"geburtsdatum|durchwahl|referenz|rechnung|police|passwort"
)
"""A word that names something that is read out; in lower case, without accents."""

_BARE = re.compile(r"numbers?|nummers?|nummern|nr")
_NO_CODE = re.compile(
    r"\w*(?:phone|telefoon|telefon|mobiele?|mobil|handy|fax|cell|contact|kontakt|whatsapp|gsm|bel"
    r"|ruf|festnetz|geschafts|privat|prive|vaste|werk|thuis)(?:number|nummer|nummern)"
    r"|phone|extension|ext|toestel|durchwahl|birthday|birth|dob|verjaardag|geboortedatum"
    r"|geburtstag|geburtsdatum"
)
_KINDS = frozenset(
    "order customer client account reference ref tracking serial card policy invoice passport "
    "case booking ticket member membership patient confirmation contract licence license "
    "registration meter claim security insurance id identification file tax vat parcel package "
    "shipment imei product model batch voucher gift document employee student reservation "
    "transaction device iban plate rekening klant bestelling order polis referentie dossier "
    "factuur paspoort burgerservice bsn kaart pas zending meter serie boeking contract konto "
    "kunden rechnung referenz vertrag ausweis karten sendung auftrag zahler serien buchung "
    "versicherung steuer".split()
)
_ON_SOMETHING = re.compile(r"\b(?:numbers?|nummers?|nummern) (?:on|op|auf)\b", re.IGNORECASE)


def names_code(words: Sequence[str]) -> bool:
    """Whether these words, of `words_of`, name something read out that is no telephone number.

    "Customer number", "klantnummer" and "Code" do; "number" alone may be a telephone number.
    """
    for at, word in enumerate(words):
        word = word.removesuffix("s") if word not in _KINDS else word
        if IDENTIFIER.fullmatch(word) is None or _NO_CODE.fullmatch(word):
            continue
        if _BARE.fullmatch(word) is None or (at and words[at - 1] in _KINDS):
            return True
    return False


_POSTCODE = re.compile(r"post ?code|postal code|\bzip|postleitzahl|\bplz\b", re.IGNORECASE)
_QUANTITY = re.compile(
    r"\bhow (?:many|much|old|long|late|far|often|big)|\bwhat (?:time|year|day|age|size|date)"
    r"|\bnumber of\b|\bwhen\b|\bwhich (?:day|floor|room|size|year|option|month)"
    r"|\bhoe ?veel|\bhoe (?:laat|oud|lang|vaak|groot|ver)|\bwanneer|\bwelke? (?:dag|maat|datum)"
    r"|\baantal|\bwelk jaar|\bwie ?viele?|\bwie (?:alt|lang|spat|spät|oft|gro(?:ss|ß)|weit)|\bwann"
    r"|\banzahl|\bwelche[nrms]? (?:tag|uhrzeit|datum|grö(?:ss|ß)e|jahr)|\bbetween\b|\btussen\b"
    r"|\bzwischen\b|\bscale\b",
    re.IGNORECASE,
)
_QUESTION = re.compile(r"[^.?!]+\?")


@dataclass(frozen=True, slots=True)
class Expected:
    """What an answer is to hold.

    Attributes:
        digits: So many digits, None when nobody knows.
        phone: A telephone number.
        spelling: Letters one by one.
        identifier: A number or a code that is read out, of whatever length.
        code: One that is certainly no telephone number, however much it may look like one.
        postcode: One that is a postcode.
        quantity: How many, how old, what time: a number that is said in one go.
    """

    digits: int | None = None
    phone: bool = False
    spelling: bool = False
    identifier: bool = False
    code: bool = False
    postcode: bool = False
    quantity: bool = False

    def wants_more(self, digits: str) -> bool:
        """Whether these are too few, however they were said."""
        if self.digits is not None:
            return len(digits) < self.digits
        return self.phone


NOTHING = Expected()


def expected_after(said: str) -> Expected:
    """Read it from what the agent said last."""
    said = said[-LAST_CHARS:]
    asked = _asked(said)
    count = _COUNT.search(said)
    if count is not None:
        named = count[1].lower()
        digits = int(named) if named.isdigit() else _COUNTS[named]
        return Expected(digits=digits, identifier=True)
    words = words_of(asked)
    on_it = _ON_SOMETHING.search(asked) is not None
    quantity = _QUANTITY.search(asked) is not None
    return Expected(
        phone=_PHONE.search(said) is not None,
        spelling=_SPELL.search(said) is not None,
        identifier=not quantity and any(map(IDENTIFIER.fullmatch, words)),
        code=not quantity and _PHONE.search(asked) is None and (on_it or names_code(words)),
        postcode=not quantity and _POSTCODE.search(asked) is not None,
        quantity=quantity,
    )


def _asked(said: str) -> str:
    """The last question; the last sentence when there is none."""
    questions = _QUESTION.findall(said)
    sentences = [one for one in re.split(r"[.?!]", said) if one.strip()]
    return (questions or sentences or [""])[-1]
