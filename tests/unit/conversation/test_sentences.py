"""Pieces are sentences; the first may be a clause; nothing is lost."""

from __future__ import annotations

import re
from time import process_time

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
        ("1. First one. 2. Second one.", ["1. First one.", "2. Second one."]),
        ("Am 3. Januar, ja. Gut.", ["Am 3. Januar, ja.", "Gut."]),
        ("<think>Let me see. Hm.\n</think>Yes. Sure.", ["Yes.", "Sure."]),
        ("Yes. <think>No. Never.", ["Yes."]),
        ("[Our site. It is good](https://a.nl/x.y). Bye.", ["Our site.", "It is good .", "Bye."]),
        ("See https://www.a.nl/b.c?d=e! Then go.", ["See a.nl!", "Then go."]),
        ("Look:\n```python\nprint(1)\n```\nDone.", ["Look:", "print(1)", "Done."]),
        ("| Day | Time |\n|-----|:---:|\n| Mon | 9 |", ["Day, Time", "Mon, 9"]),
        ("# Prices\n- **One**\n- [x] Two\n* * *\nEnd", ["Prices", "One", "Two", "End"]),
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


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("***Very*** _important_ and __bold__, ~~not~~ that", "Very important and bold, not that"),
        ("my_file_name", "my file name"),
        ("2 * 3 = 6", "2 × 3 = 6"),
        ("[the site](https://a.nl/b_(c)) or ![a cat](x.png)", "the site or a cat"),
        ("[text][1] is so [2], and 【4†source】 so", "text is so , and so"),
        ("<https://www.example.com/a?b=c>", "example.com"),
        ("Go to http://user:pw@a.nl:80/b, or www.b.nl.", "Go to a.nl, or b.nl."),
        ("mail <info@a.nl>", "mail info@a.nl"),
        ("<speak>Hi <break time='1s'/><prosody rate=\"slow\">you</prosody></speak>", "Hi you"),
        ("<p>One</p><br/><!-- no -->Two &amp; three&nbsp;&lt;b&gt;four&lt;/b&gt;",
         "One Two & three four"),
        ("5 < 6 and 7 > 3", "5 < 6 and 7 > 3"),
        ("Wait <break time=", "Wait"),
        ("Great!!! 🎉👍🏽 Really?!?! 👨‍👩‍👧 1️⃣ 🇳🇱", "Great! Really? 1"),
        ("It is 21 °C ☀️ → warm ™", "It is 21 °C warm"),
        ("a\u200bb\ufeffc\u00ad\u202e d\x00\x07\x1b e", "abc d e"),
        ("half \ud83d pair \U000f0000", "half pair"),
        ("नमस्\u200dते", "नमस्\u200dते"),
        ("cafe\u0301", "café"),
        ("Well....... so ,,, that", "Well... so , that"),
        ("-----", ""),
        ("=====\n*****\n___", ""),
        ("> quoted\n> > twice", "quoted twice"),
        ("line\\nbreak \\*star\\*", "line break star"),
        ('{"answer": "yes"}', '"answer": "yes"'),
        ("\t \n\r \u00a0\u3000", ""),
        ("?!...", ""),
        ("€ 3.50, 10% of £5 + $2", "€ 3.50, 10% of £5 + $2"),
        ("Ça va ? Öl, ß, 日本語。", "Ça va ? Öl, ß, 日本語。"),
        ("- \n* \n#", ""),
    ],
)  # fmt: skip
def test_what_nobody_can_pronounce_is_left_out(text: str, said: str) -> None:
    assert speakable(text) == said


def test_a_very_long_address_is_one_host() -> None:
    text = "Go to https://a.nl/" + "x" * 900 + " now."
    assert pieces_of(*text) == ["Go to", "a.nl", "now."]
    assert pieces_of(text) == ["Go to", "a.nl", "now."]


def test_what_a_model_thinks_at_length_is_not_kept() -> None:
    splitter = SentenceSplitter()
    for _ in range(5000):
        assert splitter.push("<think>" if _ == 0 else "so. ") == []
    assert len(splitter._pending) < 1100
    assert splitter.push("</think>Right. Yes") == ["Right."]


@pytest.mark.parametrize("text", ["-" * 3000 + "x", "<a " + "= " * 20_000 + "<"])
def test_no_rule_or_tag_that_never_ends_keeps_other_calls_waiting(text: str) -> None:
    began_s = process_time()
    speakable(text)
    assert process_time() - began_s < 2.0


def test_abbreviations_without_end_keep_no_other_call_waiting() -> None:
    began_s = process_time()
    pieces = pieces_of("Dr. " * 5000)
    assert process_time() - began_s < 2.0
    assert " ".join(pieces).split() == ["Dr."] * 5000
    assert max(map(len, pieces)) <= LONGEST_CHARS


@given(st.text(alphabet="a1 <>[]()|*_`#~-!?.,&;:/\\\n=wh\"'", max_size=80))
def test_no_markup_takes_long_or_leaves_two_spaces(text: str) -> None:
    assert "  " not in speakable(text)


@given(st.lists(st.text(alphabet="ab .,!?\n3", max_size=20), max_size=40))
def test_no_word_is_lost_added_or_reordered(tokens: list[str]) -> None:
    said = re.findall(r"\w", "".join(pieces_of(*tokens)))
    assert said == re.findall(r"\w", "".join(tokens))


@given(st.text(max_size=200))
def test_speakable_text_can_be_pronounced(text: str) -> None:
    plain = speakable(text)
    assert plain == "" or re.search(r"\w", plain)
