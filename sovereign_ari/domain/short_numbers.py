"""Short numbers in SIP URIs: extensions of another PBX, or emergency and premium numbers. Pure."""

from __future__ import annotations

import phonenumbers
from phonenumbers import PhoneNumber, ShortNumberCost, shortnumberinfo

EMERGENCY_EVERYWHERE = frozenset({"112", "911"})
"""3GPP TS 22.101 section 10.1.1: every mobile network has them."""

EMERGENCY_SOMEWHERE = frozenset({"000", "08", "110", "118", "119", "999"})
"""The same section: what a telephone without a card takes for one."""


def country_of(number: str | None) -> str | None:
    """The country of a number in E.164, by two letters; None when it has none."""
    try:
        return phonenumbers.region_code_for_number(phonenumbers.parse(number or ""))
    except phonenumbers.NumberParseException:
        return None


def short_number_fault(digits: str, *, at_carrier: bool, country: str | None) -> str | None:
    """Say why a number of up to six digits is not called; None when it may be.

    What it means the other side decides. Only a carrier, who knows us, connects it to emergency
    services or charges for it: by the country of the number that calls come from. A zero or a nine
    in front may be for an outside line there.

    Args:
        digits: It.
        at_carrier: Whether the call is sent to where a trunk of the organisation leads.
        country: Of the number that was called, when it is known.
    """
    if digits in EMERGENCY_EVERYWHERE:
        return f"{digits} is an emergency number, and those are not called"
    if not at_carrier:
        return None
    outside = {digits, digits.lstrip("0"), digits[1:] if digits[0] == "9" else digits} - {""}
    if any(_is_emergency(each, country) for each in outside):
        return f"{digits} is an emergency number, and those are not called"
    if country is not None and any(_is_dear(each, country) for each in outside):
        return f"{digits} is a premium-rate number"
    return None


def _is_emergency(digits: str, country: str | None) -> bool:
    if digits in EMERGENCY_EVERYWHERE | EMERGENCY_SOMEWHERE:
        return True
    return country is not None and shortnumberinfo.is_emergency_number(digits, country)


def _is_dear(digits: str, country: str) -> bool:
    if digits[0] == "0":
        return False
    number = PhoneNumber(phonenumbers.country_code_for_region(country), int(digits))
    cost = shortnumberinfo.expected_cost_for_region(number, country)
    return bool(cost == ShortNumberCost.PREMIUM_RATE)
