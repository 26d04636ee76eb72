"""Numbers as networks write them, read as one form: E.164, or as they came. Pure.

What a dialplan can say without knowing the world (`+`, `00`) it has said. What is left are
national numbers (`020 123 4567` in the Netherlands, `(212) 555-1234` in the United States): they
mean something only to who knows the country, which is a setting.
"""

from __future__ import annotations

import re

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat

SHORTEST_NATIONAL = 7  # digits; fewer are an extension or a short code
LONGEST_SHOWN = 64
NOBODY = frozenset(
    {"anonymous", "unknown", "restricted", "unavailable", "private", "withheld", "blocked"}
)
"""What networks write for a caller who wants to stay unknown (RFC 3323, RFC 3325, and habit)."""

_PLAIN = re.compile(r"\+?[0-9]+")


def dialled_number(text: str, country: str | None, *, bare: bool) -> str:
    """Say which number was dialled.

    Args:
        text: `+` and digits as the dialplan makes them of any number, or an extension.
        country: Where the trunks are, None when that is not known.
        bare: Whether the `+` is the dialplan's own: it may be a national number.

    Returns:
        A number in E.164, or `text` when nothing better can be made of it.
    """
    if not bare or country is None or not text.startswith("+"):
        return text
    return _national(text[1:], country) or text


def caller_number(text: str, presentation: str, country: str | None) -> str | None:
    """Say who calls; None when that is withheld.

    Args:
        text: The user part of the caller's address, cleaned by the dialplan.
        presentation: As Asterisk names it: `allowed...`, `prohib...`, `unavailable`.
        country: Where the trunks are, None when that is not known.
    """
    if presentation.startswith("prohib") or text.lower() in NOBODY or not text:
        return None
    text = text[:LONGEST_SHOWN]
    if not _PLAIN.fullmatch(text) or len(text) < SHORTEST_NATIONAL or text.startswith("+"):
        return text
    if text.startswith("00"):
        return f"+{text[2:]}"
    if country is None:
        return text
    return _national(text, country) or _valid(f"+{text}", None) or text


def _national(digits: str, country: str) -> str | None:
    if len(digits) < SHORTEST_NATIONAL:
        return None
    return _valid(digits, country)


def _valid(text: str, country: str | None) -> str | None:
    try:
        number = phonenumbers.parse(text, country)
    except NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)
