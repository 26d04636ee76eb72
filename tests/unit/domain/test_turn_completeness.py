"""What the words say about the end of a turn, in English, Dutch and German."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sovereign_ari.domain.completeness import Standing, standing_of
from sovereign_ari.domain.expectation import NOTHING, expected_after
from sovereign_ari.domain.spoken import language_of, same_words


@pytest.mark.parametrize(
    "text",
    [
        "zero six one two",
        "drie vier",
        "06 12",
        "06",
        "0612",
        "06-12 34",
        "my number is 06 12",
        "nul zes twaalf vierendertig",
        "null eins sieben",
        "double four seven",
        "oh six twelve thirty four",
        "null eins siebzig",
        "zero double six",
        "plus three one",
        "+31 6 12",
        "020 794",
        "it is 1 2 3",
        "612 345",
        "J A N",
        "J-A-N",
        "J. A. N.",
        "My name is J A",
        "j for john",
        "A wie Anton",
        "met de k van karel",
        "bravo alfa",
        "double s",
        "M",
    ],
)
def test_what_is_read_out_is_not_over(text: str) -> None:
    assert standing_of(text) is Standing.DICTATING


@pytest.mark.parametrize(
    "text",
    [
        "06 12 34 56 78",
        "nul zes twaalf vierendertig zesenvijftig achtenzeventig",
        "null eins sieben eins zwölf vierunddreißig fünfundsechzig sieben",
        "oh two oh seven nine four six oh nine five eight",
        "zero six one two three four five six seven eight",
        "my number is 0612345678.",
        "+31 6 12345678",
        "212 555 1234",
        "a table for four",
        "at seven thirty",
        "at ten fifteen",
        "thirty four",
        "half past 3",
        "12:30",
        "12,50",
        "1.250,00",
        "in 1985",
        "5 2026",
        "12 03 1985",
        "twenty five",
        "nineteen eighty five",
        "we zijn met twee",
        "plan B",
        "at 3 p.m.",
        "Jan, J A N",
        "I know him from India",
        "112",
        "no one",
    ],
)
def test_a_complete_number_or_name_may_be_over(text: str) -> None:
    assert standing_of(text).may_be_over


@pytest.mark.parametrize(
    ("question", "answer", "over"),
    [
        ("What are the last four digits?", "one two three", False),
        ("What are the last four digits?", "one two three four", True),
        ("What are the last four digits?", "twelve", False),
        ("Wat zijn de laatste 4 cijfers?", "een twee drie vier", True),
        ("Ihre sechsstellige Nummer, bitte.", "eins zwei drei", False),
        ("Ihre sechsstellige Nummer, bitte.", "123 456", True),
        ("What is your phone number?", "six", False),
        ("Op welk telefoonnummer kunnen we u bereiken?", "zes", False),
        ("How many people?", "six", True),
        ("Can you spell that?", "that is a J", False),
        ("Which plan?", "that is a J", True),
    ],
)
def test_what_was_asked_decides_when_digits_are_complete(
    question: str, answer: str, *, over: bool
) -> None:
    standing = standing_of(answer, expected=expected_after(question))
    assert standing.may_be_over is over


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("a table and", None),
        ("a table and.", None),
        ("I would like to book a", "en"),
        ("I would like to book a table for", "en"),
        ("I want it because", "en"),
        ("my name is", "en"),
        ("I was thinking um", "en"),
        ("well", "en"),
        ("um", None),
        ("on Tuesday,", None),
        ("on Tuesday...", None),
        ("ik kom morgen dus", "nl"),
        ("ik kom morgen dus", None),
        ("ik wil een tafel voor", "nl"),
        ("ik wil graag een", "nl"),
        ("dat kan niet want", "nl"),
        ("even kijken", "nl"),
        ("mijn naam is", "nl"),
        ("ja maar", "nl"),
        ("ich komme morgen also", "de"),
        ("das geht nicht weil", None),
        ("einen Tisch für", "de"),
        ("ich möchte einen", "de"),
        ("ähm", "de"),
        ("also", "de"),
        ("ich heiße", None),
        ("nee dus", None),
    ],
)
def test_a_sentence_that_must_go_on_is_not_over(text: str, language: str | None) -> None:
    assert standing_of(text, language=language) is Standing.UNFINISHED


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("I would like to book a table", "en"),
        ("where are you from", "en"),
        ("what is that for?", "en"),
        ("I think so", "en"),
        ("that is what I want", "en"),
        ("that is what I want", None),
        ("if you want to", "en"),
        ("I think we need that also", None),
        ("I would not like to die", None),
        ("ja ik denk dat niet an", None),
        ("nous sommes en", "fr"),
        ("doe maar", "nl"),
        ("ik zoek een hotel in Amsterdam", "nl"),
        ("waar komt u vandaan", "nl"),
        ("rufen Sie mich bitte an", "de"),
        ("ich komme mit", "de"),
        ("hello there", None),
        ("stop please", None),
    ],
)
def test_a_sentence_that_may_be_over_is_not_held_up(text: str, language: str | None) -> None:
    assert standing_of(text, language=language).may_be_over


@pytest.mark.parametrize(
    "text",
    [
        "Yes.",
        "yes please",
        "No, thanks!",
        "no thank you",
        "that's right",
        "ja",
        "Nee, dank u.",
        "nee dank u wel",
        "ja hoor",
        "ja, genau",
        "Nein, danke.",
        "in Ordnung",
        "oké",
        "Das stimmt.",
        "yes, that's correct",
    ],
)
def test_a_complete_short_answer_is_told_from_the_rest(text: str) -> None:
    assert standing_of(text) is Standing.SHORT


@pytest.mark.parametrize("text", ["yes, but", "ja und", "no I want the other one", "nee wacht"])
def test_a_short_answer_with_more_behind_it_is_none(text: str) -> None:
    assert standing_of(text) is not Standing.SHORT


@given(st.text(max_size=60), st.text(max_size=60), st.sampled_from([None, "en", "nl", "de", "fr"]))
def test_any_text_has_a_standing(text: str, question: str, language: str | None) -> None:
    expected = expected_after(question)
    assert standing_of(text, expected=expected, language=language) in Standing


@given(st.text(max_size=40))
def test_capitals_and_punctuation_do_not_make_other_words(text: str) -> None:
    assert same_words(text, f" {text.strip()}. ")


def test_a_language_tag_is_read_by_its_first_part() -> None:
    tags = ["nl", "nl-NL", "de_AT", "multi", "", None, "auto"]
    assert [language_of(tag) for tag in tags] == ["nl", "nl", "de", None, None, None, None]


def test_nothing_is_expected_of_a_statement() -> None:
    assert expected_after("I have booked it for you.") == NOTHING
