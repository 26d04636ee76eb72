"""Which number somebody meant."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.e164 import guess
from api.kinds import E164_PATTERN, e164


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("0031201234567", "+31201234567"),
        ("00 31 20 1234567", "+31201234567"),
        ("31201234567", "+31201234567"),
        ("+31 (0)20 123 4567", "+31201234567"),
        ("011 44 20 7946 0958", "+442079460958"),
        ("1 (202) 555-0123", "+12025550123"),
        ("0201234567", None),
        ("+0201234567", None),
        ("", None),
        ("+", None),
        ("112", None),
        ("00", None),
        ("1" * 41, None),
    ],
)
def test_the_usual_spellings_are_understood(text: str, meant: str | None) -> None:
    assert guess(text) == meant


@given(st.text(max_size=60) | st.from_regex(r"[+0-9() .-]{0,20}", fullmatch=True))
def test_a_guess_is_always_a_number_that_is_accepted(text: str) -> None:
    meant = guess(text)
    assert meant is None or e164(meant) == meant


@given(st.text(max_size=40) | st.from_regex(r"\+?[0-9]{5,18}\n?", fullmatch=True))
def test_only_e164_is_accepted(text: str) -> None:
    if re.fullmatch(E164_PATTERN, text):
        assert e164(text) == text
    else:
        with pytest.raises(ValueError, match=r"is not a number in E\.164 form"):
            e164(text)
