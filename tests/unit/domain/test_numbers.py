from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sovereign_ari.domain.numbers import (
    LONGEST_SHOWN,
    caller_number,
    dialled_number,
)

ALLOWED = "allowed_not_screened"
COUNTRIES = st.sampled_from([None, "NL", "US", "IT", "DE"])


@pytest.mark.parametrize(
    ("text", "country", "meant"),
    [
        ("+0201234567", "NL", "+31201234567"),
        ("+31201234567", "NL", "+31201234567"),
        ("+2125551234", "US", "+12125551234"),
        ("+12125551234", "US", "+12125551234"),
        ("+4155552671", "US", "+14155552671"),  # also a number of Zürich, when it has a plus
        ("+0612345678", "IT", "+390612345678"),  # the zero belongs to it
        ("+0201234567", None, "+0201234567"),  # nobody's
        ("+112", "NL", "+112"),
        ("1000", "NL", "1000"),
    ],
)
def test_a_national_number_is_read_in_the_country_of_the_trunks(
    text: str, country: str | None, meant: str
) -> None:
    assert dialled_number(text, country, bare=True) == meant


@given(st.from_regex(r"\+[0-9]{1,20}", fullmatch=True), COUNTRIES)
def test_a_number_that_came_with_its_plus_is_what_was_dialled(
    text: str, country: str | None
) -> None:
    assert dialled_number(text, country, bare=False) == text


@pytest.mark.parametrize(
    ("text", "country", "shown"),
    [
        ("+31612345678", "NL", "+31612345678"),
        ("0031612345678", None, "+31612345678"),
        ("0612345678", "NL", "+31612345678"),
        ("31612345678", "NL", "+31612345678"),
        ("493012345678", "NL", "+493012345678"),
        ("0612345678", None, "0612345678"),
        ("4711", "NL", "4711"),
        ("alice.smith", "NL", "alice.smith"),
    ],
)
def test_a_caller_is_shown_as_a_number_that_can_be_called_back(
    text: str, country: str | None, shown: str
) -> None:
    assert caller_number(text, ALLOWED, country) == shown


@pytest.mark.parametrize(
    ("text", "presentation"),
    [
        ("anonymous", ALLOWED),
        ("Anonymous", ALLOWED),
        ("Restricted", ALLOWED),
        ("", ALLOWED),
        ("", "unavailable"),
        ("+31612345678", "prohib_passed_screen"),
        ("+31612345678", "prohib"),
    ],
)
def test_who_withholds_his_number_has_none(text: str, presentation: str) -> None:
    assert caller_number(text, presentation, "NL") is None


@given(st.text("0123456789+*#_.abcXYZ", max_size=200), COUNTRIES)
def test_whatever_a_network_writes_is_shown_and_never_longer(
    text: str, country: str | None
) -> None:
    shown = caller_number(text, ALLOWED, country)
    assert shown is None or 0 < len(shown) <= LONGEST_SHOWN
    assert dialled_number(text, country, bare=True)[:1] == text[:1]
