"""Pieces are sentences; the first may be a clause; nothing is lost."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sovereign_ari.conversation.sentences import LONGEST_CHARS, SentenceSplitter, speakable


def pieces_of(*tokens: str) -> list[str]:
    splitter = SentenceSplitter()
    return [p for token in tokens for p in splitter.push(token)] + splitter.flush()


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("Hello. How are you?", ["Hello.", "How are you?"]),
        ("It costs 3.50 euros. Fine?", ["It costs 3.50 euros.", "Fine?"]),
        ("Dr. Smith is in. Wait.", ["Dr. Smith is in.", "Wait."]),
        ("One\n\nTwo", ["One", "Two"]),
        ("**Bold** and `code`.", ["Bold and code."]),
        ('He said "go." Then left.', ['He said "go."', "Then left."]),
        ("   ", []),
        ("...", []),
        ("😀", []),
    ],
)
def test_text_is_cut_at_sentences(text: str, pieces: list[str]) -> None:
    assert pieces_of(*text) == pieces


def test_a_sentence_is_spoken_as_soon_as_it_is_complete() -> None:
    splitter = SentenceSplitter()
    assert splitter.push("Good morning.") == []  # "3." may go on with "50"
    assert splitter.push(" How") == ["Good morning."]


def test_the_first_piece_of_a_long_sentence_is_a_clause() -> None:
    text = "We are open from nine to five on weekdays, and on Saturdays until noon, I think"
    assert pieces_of(text)[0] == "We are open from nine to five on weekdays,"


def test_a_text_without_any_stop_is_cut_all_the_same() -> None:
    pieces = pieces_of("word " * 400)
    assert max(map(len, pieces)) <= LONGEST_CHARS
    assert " ".join(pieces) == ("word " * 400).strip()


@given(st.lists(st.text(alphabet="ab .,!?\n3", max_size=20), max_size=40))
def test_no_word_is_lost_added_or_reordered(tokens: list[str]) -> None:
    said = re.findall(r"\w", "".join(pieces_of(*tokens)))
    assert said == re.findall(r"\w", "".join(tokens))


@given(st.text(max_size=200))
def test_speakable_text_can_be_pronounced(text: str) -> None:
    plain = speakable(text)
    assert plain == "" or re.search(r"\w", plain)
