"""What counts as a yes or a no of somebody who is asked to take a call."""

from __future__ import annotations

import pytest

from sovereign_ari.domain.consent import consent


@pytest.mark.parametrize(
    ("text", "language", "answer"),
    [
        ("Yes.", "en", True),
        ("yes please", "en", True),
        ("Ja, prima.", "nl", True),
        ("Ja gerne!", "de", True),
        ("yes", "nl", True),
        ("1", "de", True),
        ("Oui", "fr", True),
        ("No.", "en", False),
        ("not now", "en", False),
        ("I can't", "en", False),
        ("I can\u2019t, yes", "en", False),
        ("Ja, nee.", "nl", False),
        ("Nein danke", "de", False),
        ("2", "en", False),
        ("", "en", None),
        ("Hello?", "en", None),
        ("who is it", "en", None),
        ("Ja", "en", None),
        ("You have reached the voicemail of Ann, yes, leave a message", "en", None),
        ("press one or say yes to take the call", "en", None),
    ],
)
def test_an_answer_is_short_and_a_no_beats_a_yes(
    text: str, language: str, answer: bool | None
) -> None:
    assert consent(text, language) is answer
