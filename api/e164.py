"""Telephone numbers in E.164, and what somebody probably meant who wrote one otherwise."""

from __future__ import annotations

import re

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat

_LONGEST = 40
_PREFIXES = ("00", "011")  # of international calls: most of the world, and North America


def guess(text: str) -> str | None:
    """Say which E.164 number was meant, or None when that cannot be told.

    A national number (`020 123 4567`) tells nothing: its country is not known.
    """
    text = text.strip()
    if not text or len(text) > _LONGEST:
        return None
    digits = re.sub(r"\D", "", text)
    tries = [text] if text.startswith(("+", "＋")) else []
    tries += [f"+{digits.removeprefix(p)}" for p in _PREFIXES if digits.startswith(p)]
    if not digits.startswith("0"):
        tries.append(f"+{digits}")
    return next((found for attempt in tries if (found := _valid(attempt)) is not None), None)


def _valid(text: str) -> str | None:
    try:
        number = phonenumbers.parse(text)
    except NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    return phonenumbers.format_number(number, PhoneNumberFormat.E164)
