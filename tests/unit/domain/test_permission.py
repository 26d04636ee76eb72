"""Whom an organisation may call."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sovereign_ari.domain.permission import OutboundPermission

DUTCH = "+31201234567"
NUMBERS = st.from_regex(r"\+[1-9][0-9]{6,14}", fullmatch=True)
PREFIXES = st.lists(st.from_regex(r"\+[1-9][0-9]{0,3}", fullmatch=True), max_size=4)


@pytest.mark.parametrize(
    "number", [DUTCH, "+31612345678", "+12015550123", "+442071838750", "+882161234567"]
)
def test_by_default_every_country_may_be_called(number: str) -> None:
    assert OutboundPermission().fault(number) is None


@pytest.mark.parametrize(
    "number",
    ["+31909123456", "+3190912345", "+19005551234", "+449098790000", "+4990012345678",
     "+33892123456", "+979123456789"],
)  # fmt: skip
def test_premium_rate_numbers_are_not_called(number: str) -> None:
    fault = f"{number} is a premium-rate number"
    assert OutboundPermission().fault(number) == fault
    assert OutboundPermission(allowed_prefixes=[number]).fault(number) == fault


@pytest.mark.parametrize("extra", ["1", "12", "1234"])
def test_digits_behind_a_premium_rate_number_do_not_hide_it(extra: str) -> None:
    """Networks drop them."""
    assert OutboundPermission().fault(f"+1900555123{extra}") is not None


def test_a_number_of_no_country_is_not_called() -> None:
    assert OutboundPermission().fault("+99912345678") == "+99912345678 belongs to no country"


@pytest.mark.parametrize(
    ("allowed", "refused", "fault"),
    [
        (["+31"], [], None),
        (["+32", "+3120"], [], None),
        ([], [], f"{DUTCH} begins with none of the prefixes that the organisation may call"),
        (["+32"], [], f"{DUTCH} begins with none of the prefixes that the organisation may call"),
        (None, ["+31"], "the organisation may not call numbers that begin with +31"),
        (None, ["+32"], None),
        (["+31"], ["+31"], "the organisation may not call numbers that begin with +31"),
        (["+31"], ["+3120"], "the organisation may not call numbers that begin with +3120"),
        (["+3120"], ["+31"], None),
        (["+312"], ["+31"], None),
    ],
)  # fmt: skip
def test_the_longest_prefix_decides(
    allowed: list[str] | None, refused: list[str], fault: str | None
) -> None:
    permission = OutboundPermission(allowed_prefixes=allowed, refused_prefixes=refused)
    assert permission.fault(DUTCH) == fault


@given(number=NUMBERS, allowed=st.none() | PREFIXES, refused=PREFIXES)
def test_any_number_gets_an_answer_and_refusing_more_never_allows_more(
    number: str, allowed: list[str] | None, refused: list[str]
) -> None:
    some = OutboundPermission(allowed_prefixes=allowed, refused_prefixes=refused)
    more = OutboundPermission(allowed_prefixes=allowed, refused_prefixes=[*refused, number[:4]])
    if some.fault(number) is not None:
        assert more.fault(number) is not None
    if allowed is not None and not any(number.startswith(prefix) for prefix in allowed):
        assert some.fault(number) is not None
