"""Codes that begin as telephone numbers do, and telephone numbers, which are not kept waiting."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sovereign_ari.domain.completeness import Standing, standing_of
from sovereign_ari.domain.expectation import NOTHING, expected_after

BEGINNINGS = {
    "en": ("020 7946 0958", "02079460958", "0 2 0 7 9 4 6 0 9 5 8", "212 555 1234"),
    "nl": ("06 12 34 56 78", "0612345678", "0 6 1 2 3 4 5 6 7 8", "020 123 4567", "06-12345678"),
    "de": ("030 12345678", "0171 2345678", "0 1 7 1 2 3 4 5 6 7 8", "01 71 23 45 67 89"),
}
"""Telephone numbers that may exist, in several groupings."""

WORDS = {
    "en": "oh two oh seven nine four six oh nine five eight",
    "nl": "nul zes een twee drie vier vijf zes zeven acht",
    "de": "null eins sieben eins zwei drei vier fünf sechs sieben acht",
}
NAMED = {
    "en": ("My customer number is", "the tracking number is", "it's serial number", "my code is",
           "my order number's", "reference", "my bank account number is"),
    "nl": ("Mijn klantnummer is", "het dossiernummer is", "mijn code is", "ordernummer",
           "mijn klant nummer is"),
    "de": ("Meine Kundennummer ist", "die Sendungsnummer lautet", "mein Code ist",
           "Aktenzeichen"),
}  # fmt: skip
ASKED = {
    "en": ("What is your order number?", "Can you read me the number on the card?",
           "Please tell me the activation code."),
    "nl": ("Wat is uw klantnummer?", "Welk nummer op de factuur staat er?", "Wat is de code?"),
    "de": ("Wie lautet Ihre Kundennummer?", "Welche Nummer auf der Karte steht?",
           "Wie ist der Code?"),
}  # fmt: skip
PHONES = {
    "en": ("My number is", "my phone number is", "my mobile number is", "call me on"),
    "nl": ("Mijn nummer is", "mijn telefoonnummer is", "mijn mobiele nummer is"),
    "de": ("Meine Nummer ist", "meine Telefonnummer ist", "meine Handynummer ist"),
}
CALLED_PHONES = {language: (said[1],) for language, said in PHONES.items()}
PHONE_ASKED = {
    "en": ("What is your phone number?", "What number can we reach you on?"),
    "nl": ("Wat is uw telefoonnummer?", "Op welk nummer kunnen we u bereiken?"),
    "de": ("Wie ist Ihre Telefonnummer?", "Unter welcher Nummer erreichen wir Sie?"),
}

LANGUAGES = tuple(BEGINNINGS)


def cases(
    firsts: Mapping[str, tuple[str, ...]], digits: Mapping[str, tuple[str, ...]] = BEGINNINGS
) -> list[tuple[str, str, str]]:
    return [
        (language, first, number)
        for language in LANGUAGES
        for first in firsts[language]
        for number in (*digits[language], WORDS[language])
    ]


@pytest.mark.parametrize(("language", "named", "number"), cases(NAMED))
def test_a_code_goes_on_behind_what_may_be_a_telephone_number(
    language: str, named: str, number: str
) -> None:
    assert standing_of(f"{named} {number}", language=language) is Standing.DICTATING


@pytest.mark.parametrize(("language", "question", "number"), cases(ASKED))
def test_what_was_asked_for_is_no_telephone_number(
    language: str, question: str, number: str
) -> None:
    expected = expected_after(question)
    assert standing_of(number, expected=expected, language=language) is Standing.DICTATING


@pytest.mark.parametrize(("language", "said", "number"), cases(PHONES))
def test_a_telephone_number_is_complete(language: str, said: str, number: str) -> None:
    assert standing_of(f"{said} {number}", language=language).may_be_over


@pytest.mark.parametrize(("language", "question", "number"), cases(PHONE_ASKED))
def test_a_telephone_number_that_was_asked_for_is_complete(
    language: str, question: str, number: str
) -> None:
    expected = expected_after(question)
    assert standing_of(number, expected=expected, language=language).may_be_over


@pytest.mark.parametrize(("language", "named", "number"), cases(CALLED_PHONES))
def test_a_telephone_number_is_one_whatever_was_asked_for(
    language: str, named: str, number: str
) -> None:
    expected = expected_after(ASKED[language][0])
    text = f"{named} {number}"
    assert standing_of(text, expected=expected, language=language).may_be_over


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_number_of_a_card_goes_on_until_it_is_whole(language: str) -> None:
    assert standing_of("4929 1234 5678", language=language) is Standing.DICTATING
    assert standing_of("4929 1234 5678 9012", language=language).may_be_over


def test_as_many_digits_as_were_asked_for_are_all() -> None:
    expected = expected_after("What is your 12 digit customer number?")
    assert standing_of("My customer number is 123456789012", expected=expected).may_be_over
    assert standing_of("1234 5678 9012", expected=expected).may_be_over
    assert not standing_of("0612345678", expected=expected).may_be_over


@given(st.text("0123456789", min_size=30, max_size=60))
def test_no_code_goes_on_for_ever(digits: str) -> None:
    assert standing_of(f"my customer number is {digits}").may_be_over


@given(st.lists(st.text("0123456789", min_size=1, max_size=5), min_size=2, max_size=12))
def test_the_name_of_a_code_never_makes_it_end_sooner(groups: list[str]) -> None:
    number = " ".join(groups)
    if not standing_of(f"my number is {number}", expected=NOTHING).may_be_over:
        assert not standing_of(f"my customer number is {number}").may_be_over
