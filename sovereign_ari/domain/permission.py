"""Whom an organisation may call. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberType

SHORTEST_NATIONAL = 2


@dataclass(frozen=True, slots=True)
class OutboundPermission:
    """What an organisation may call, and how much at once.

    Attributes:
        allowed_prefixes: In E.164, e.g. `+31`; None allows every country, an empty list none.
        refused_prefixes: Likewise. Of the prefixes that fit a number the longest decides, and of
            two alike the refusal.
        concurrency: Outgoing calls at one time.
        calls_per_second: Outgoing calls begun in any second, on average.
    """

    allowed_prefixes: Sequence[str] | None = None
    refused_prefixes: Sequence[str] = ()
    concurrency: int = 20
    calls_per_second: float = 5.0

    @property
    def window(self) -> tuple[int, float]:
        """The rate as so many calls in any period of so many seconds."""
        allowed = max(1, int(self.calls_per_second))
        return allowed, allowed / self.calls_per_second

    def fault(self, number: str) -> str | None:
        """Say why a number in E.164 may not be called; None when it may.

        Premium-rate numbers, as `phonenumbers` classifies them, are never called.
        """
        refused = _longest(self.refused_prefixes, number)
        allowed = "+" if self.allowed_prefixes is None else _longest(self.allowed_prefixes, number)
        if len(refused) >= max(1, len(allowed)):
            return f"the organisation may not call numbers that begin with {refused}"
        if not allowed:
            return f"{number} begins with none of the prefixes that the organisation may call"
        if not _has_country(number):
            return f"{number} belongs to no country"
        if _is_premium_rate(number):
            return f"{number} is a premium-rate number"
        return None


def _longest(prefixes: Sequence[str], number: str) -> str:
    return max((prefix for prefix in prefixes if number.startswith(prefix)), key=len, default="")


def _has_country(number: str) -> bool:
    try:
        phonenumbers.parse(number)
    except NumberParseException:
        return False
    return True


def _is_premium_rate(number: str) -> bool:
    """Whether a number, or what a network may take for one that is written too long, is dear."""
    parsed = phonenumbers.parse(number)
    if phonenumbers.is_valid_number(parsed):
        return _kind(parsed) == PhoneNumberType.PREMIUM_RATE
    shorter = phonenumbers.PhoneNumber()
    shorter.merge_from(parsed)
    while len(str(shorter.national_number)) > SHORTEST_NATIONAL:
        if _kind(shorter) == PhoneNumberType.PREMIUM_RATE:
            return True
        assert shorter.national_number is not None
        shorter.national_number //= 10
    return False


def _kind(number: phonenumbers.PhoneNumber) -> int:
    return phonenumbers.number_type(number)
