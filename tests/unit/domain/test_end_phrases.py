"""Phrases are compared by the letters of whole words."""

from __future__ import annotations

import pytest

from sovereign_ari.domain.end_phrases import EndPhrases


@pytest.mark.parametrize(
    ("phrase", "text"),
    [
        ("good bye", "Thank you, GOODBYE!"),
        ("goodbye", "Well then: good-bye."),
        ("à bientôt", "A bientot, madame."),
        ("Auf Wiederhören", "auf Wiederho\u0308ren"),
        ("straße", "STRASSE"),
        ("have a nice day", "Have a **nice**\n day?"),
        ("that's all", "That\u2019s all."),
        ("that's all", "thats all"),
        ("tot ziens", "tot ziens tot ziens"),
        ("さようなら", "では、さようなら。"),
        ("42", "The answer is 42."),
        ("bye bye", "bye, bye bye"),
    ],
)
def test_is_said(phrase: str, text: str) -> None:
    assert EndPhrases([phrase]).said_in(text)


@pytest.mark.parametrize(
    ("phrase", "text"),
    [
        ("bye", "maybe later"),
        ("bye", "goodbyes"),
        ("good bye", "good, but bye"),
        ("good bye", "by good"),
        ("42", "142"),
        ("bye bye", "bye"),
        ("x", ""),
        ("...", "..."),
    ],
)
def test_is_not_said(phrase: str, text: str) -> None:
    assert not EndPhrases([phrase]).said_in(text)


def test_any_of_them_will_do_and_none_says_nothing() -> None:
    assert EndPhrases(["see you", "bye"]).said_in("Bye.")
    assert not EndPhrases([]).said_in("Bye.")
