"""Rules hold for whole words, once, and never leave a caller in silence."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sovereign_ari.domain.pronunciation import Pronunciation


def spoken(text: str, *rules: tuple[str, str]) -> str:
    said, at = "", 0
    for begin, end, instead in Pronunciation(rules).swaps(text):
        assert at <= begin < end
        said += text[at:begin] + instead
        at = end
    return said + text[at:]


@pytest.mark.parametrize(
    ("text", "rules", "said"),
    [
        ("Ask Sjaak.", [("Sjaak", "Shahk")], "Ask Shahk."),
        ("sjaak, SJAAK and Sjaak's", [("Sjaak", "Shahk")], "Shahk, Shahk and Shahk's"),
        ("Anne and Ann", [("Ann", "An")], "Anne and An"),
        ("class ass", [("ass", "donkey")], "class donkey"),
        ("A4 and A40", [("A4", "ay four")], "ay four and A40"),
        ("Öl und Böl", [("öl", "oil")], "oil und Böl"),
        ("STRASSE, Straße", [("straße", "street")], "street, street"),
        ("cafe\u0301 or cafe", [("cafe", "bar")], "cafe\u0301 or bar"),
        ("नमस्ते नमस", [("नमस", "x")], "नमस्ते x"),
        ("New York and York", [("York", "Jork"), ("New York", "Nu Jork")], "Nu Jork and Jork"),
        ("new\u00a0york", [("New  York", "NY")], "NY"),
        ("a b", [("a", "b"), ("b", "c")], "b c"),
        ("That is, um, fine", [("um", "")], "That is, , fine"),
        ("um.", [("um", "")], "um."),
        ("um, AB", [("um", ""), ("ab", "...")], "um, AB"),
        ("It costs 3.50 (a.b)", [("a.b", "x"), ("3.50", "three fifty")],
         "It costs three fifty (x)"),
        ("aXb a.b", [("a.b", "x")], "aXb x"),
        ("C++ and C", [("C++", "see plus plus")], "see plus plus and C"),
        ("R&D", [("&", " and ")], "RandD"),
        ("5€", [("€", "euro")], "5euro"),
        ("that’s it", [("that's", "thats")], "thats it"),
        ("$1 \\1 (?i)", [("\\1", "one"), ("$1", "dollar")], "dollar one (?i)"),
        ("nothing here", [("[a-z]+", "x"), (".*", "y")], "nothing here"),
        ("İstanbul", [("i", "x"), ("İstanbul", "Istanbul")], "Istanbul"),
        ("", [("a", "b")], ""),
    ],
)  # fmt: skip
def test_what_the_voice_is_given(text: str, rules: list[tuple[str, str]], said: str) -> None:
    assert spoken(text, *rules) == said


def test_fifty_rules_cost_next_to_nothing() -> None:
    rules = Pronunciation([(f"word number {n}", f"{n}") for n in range(50)])
    text = "This word is a word number 7, as in word number 49, and so on. " * 5
    begun_s = time.process_time()
    for _ in range(100):
        rules.swaps(text)
    assert time.process_time() - begun_s < 1.0  # 10 ms each would be noticed; it takes 0.1


texts = st.text("abAßİ e\u0301&.'’", max_size=40)


@given(texts, st.lists(st.tuples(texts, texts), max_size=5))
def test_any_rules_make_a_text_of_which_something_is_left(
    text: str, rules: list[tuple[str, str]]
) -> None:
    said = spoken(text, *rules)
    assert any(map(str.isalnum, said)) == any(map(str.isalnum, text)) or not any(
        map(str.isalnum, text)
    )
