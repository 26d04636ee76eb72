"""Numbers and codes that are read out, told from numbers that are complete answers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sovereign_ari.domain.completeness import Standing, standing_of
from sovereign_ari.domain.expectation import expected_after


@pytest.mark.parametrize(
    "text",
    [
        "my number is 12",
        "My order number is 4711.",
        "it's order number 12",
        "my code is AB12",
        "my code is AB12 CD34",
        "my code is AB",
        "the pin is four",
        "customer 4711",
        "my birthday is 12",
        "postcode 1234",
        "zip 902",
        "SW1A",
        "Meine IBAN DE44",
        "meine IBAN ist DE44 5001",
        "Kundennummer 47",
        "die Postleitzahl ist 10",
        "mein Aktenzeichen lautet 12 AB",
        "mijn klantnummer is 12",
        "het kenteken is 12 AB",
        "it is 4711",
        "12",
        "1234",
        "4711.",
        "AB12",
        "B AB 12",
        "NL91 ABNA",
        "my extension's 12",
    ],
)
def test_what_is_called_a_number_or_stands_alone_is_not_over(text: str) -> None:
    assert standing_of(text) is Standing.DICTATING


@pytest.mark.parametrize(
    "text",
    [
        "at 12",
        "at 12 PM",
        "3 p.m.",
        "two tickets",
        "twelve",
        "I want to order 12",
        "an order for 12",
        "table for 4",
        "on the 15th",
        "15th",
        "half past 9",
        "10 euro",
        "10%",
        "€ 10",
        "10 kg",
        "in 1985",
        "it is 12",
        "um 12",
        "für 4",
        "voor 12",
        "my birthday is 12 03 1985",
        "my birthday is march 1985",
        "postcode 1234 AB",
        "1234 AB",
        "zip 90210",
        "my postcode is SW1A 1AA",
        "Meine IBAN DE44 5001 0517 5407 3249 31",
        "my number is 212 555 1234",
        "112",
        "the code is it",
        "MY NUMBER IS OK",
        "die Anzahl ist 12",
    ],
)
def test_a_number_that_is_an_answer_may_be_over(text: str) -> None:
    assert standing_of(text).may_be_over


@pytest.mark.parametrize(
    ("question", "answer", "over"),
    [
        ("What is your order number?", "twelve", False),
        ("What is your order number?", "yes, 12", False),
        ("What is your order number? It is on the invoice.", "47", False),
        ("What is your order number?", "at 12", True),
        ("Your order number is 4711. Anything else?", "a table at 7", True),
        ("Please tell me your customer number.", "it is 12", False),
        ("Wat is uw postcode?", "1234", False),
        ("Wat is uw postcode?", "1234 AB", True),
        ("Wie lautet Ihre Postleitzahl?", "10", False),
        ("Wie lautet Ihre Postleitzahl?", "10115", True),
        ("Wie ist Ihre Kundennummer?", "AB12", False),
        ("What are the last 2 digits of your account?", "my number is 12", True),
        ("What is your four digit code?", "AB12", True),
        ("How many people?", "12", True),
        ("For what time?", "12", True),
        ("What number of guests?", "12", True),
        ("Hoeveel personen?", "12", True),
        ("Wie viele Personen?", "12", True),
        ("How many people?", "my number is 12", False),
    ],
)
def test_the_question_decides_whether_a_number_is_all(
    question: str, answer: str, *, over: bool
) -> None:
    assert standing_of(answer, expected=expected_after(question)).may_be_over is over


@pytest.mark.parametrize("language", [None, "en", "nl", "de"])
@pytest.mark.parametrize(
    "text",
    [
        "a as in alpha b",
        "as in bravo",
        "a as in alpha b as in bravo",
        "J van Jan A",
        "van Anton",
        "wie Berta",
        "my name is O",
    ],
)
def test_a_name_that_is_spelled_by_words_goes_on(text: str, language: str | None) -> None:
    assert standing_of(text, language=language) is Standing.DICTATING


@pytest.mark.parametrize("text", ["my name is O'", "my name is O’", "ik heet Jan d'"])
def test_half_a_name_goes_on(text: str) -> None:
    assert not standing_of(text).may_be_over


@pytest.mark.parametrize("language", [None, "en", "nl", "de"])
@pytest.mark.parametrize(
    "text", ["I live in the", "ik woon in de", "I would like a", "it is in the", "the"]
)
def test_an_article_at_the_end_waits_in_whichever_language(
    text: str, language: str | None
) -> None:
    assert standing_of(text, language=language) is Standing.UNFINISHED


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("ik wil die", "nl"),
        ("ich nehme die", "de"),
        ("ich nehme das", "de"),
        ("ich nehme das", None),
        ("ik weet het", "nl"),
        ("I would not like to die", "en"),
        ("I come from Amsterdam", "en"),
        ("vitamine a", "nl"),
    ],
)
def test_the_last_word_of_a_sentence_is_no_article(text: str, language: str | None) -> None:
    assert standing_of(text, language=language).may_be_over


@pytest.mark.parametrize("sign", ["1", "1 ", "a", "AB1", "1.2", "12 AB "])
def test_only_the_end_of_an_endless_text_is_looked_at(
    sign: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    def judge(text: str, *_: object) -> bool:
        seen.append(len(text))
        return False

    monkeypatch.setattr("sovereign_ari.domain.completeness.is_dictating", judge)
    standing_of(sign * 5000)
    assert seen == [200]


@given(st.text(alphabet="aAB12 0.-iseurm%€'", max_size=40), st.sampled_from(["", "Your code?"]))
def test_any_code_has_a_standing(text: str, question: str) -> None:
    assert standing_of(text, expected=expected_after(question)) in Standing
