from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sovereign_ari.conversation.tool_results import (
    CLOSE,
    LONGEST_CHARS,
    OPEN,
    fenced,
    in_words,
    sendable_arguments,
    sendable_name,
)
from sovereign_ari.conversation.tools import ToolAnswer

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=30,
)
nasty = st.lists(st.sampled_from([OPEN, CLOSE, "<", ">", "\n", "\\", '"', "u003c", "x"])).map(
    "".join
)


@given(anything | nasty)
def test_nothing_inside_closes_the_fence(value: Any) -> None:
    told = fenced(*in_words(ToolAnswer(value)))
    first, inside, last = told.splitlines()
    assert (first, last) == (OPEN, CLOSE)
    assert "<" not in inside
    json.loads(inside)
    told.encode()


@given(nasty)
def test_what_is_fenced_is_not_changed(text: str) -> None:
    assert json.loads(fenced(*in_words(ToolAnswer(text))).splitlines()[1]) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a\x00b\x1bc\x7fd\x85e", '"abcde"'),
        ("hidden\u202e\u200b\U000e0041 text", '"hidden text"'),
        ("half \ud800 sign", '"half  sign"'),
        ("lines\nand\ttabs", '"lines\\nand\\ttabs"'),
        ("مى\u200cخواهم 👩\u200d💻", '"مى\u200cخواهم 👩\u200d💻"'),
        (float("nan"), "null"),
        pytest.param(1 << 20_000, "null", id="huge"),
        ({"a\x00": ["\x07"]}, '{"a": [""]}'),
    ],
)
def test_signs_that_nobody_can_read_are_taken_out(value: Any, text: str) -> None:
    assert in_words(ToolAnswer(value)) == (text, len(text))


def test_what_lies_too_deep_is_left_out() -> None:
    deep: Any = "bottom"
    for _ in range(900):
        deep = [deep]
    text, _ = in_words(ToolAnswer(deep))
    assert '"..."' in text


def test_a_long_result_is_cut_outside_the_fence_it_is_said() -> None:
    told = fenced(*in_words(ToolAnswer("<" * LONGEST_CHARS)))
    assert told.splitlines()[-1] == "Only the first 8000 of 8002 characters are shown."
    assert told.splitlines()[-2] == CLOSE


@given(st.text(max_size=200))
def test_names_and_arguments_of_any_model_can_be_sent_back(text: str) -> None:
    assert sendable_name(text)
    assert isinstance(json.loads(sendable_arguments(text)), dict)


def test_arguments_that_are_too_long_to_keep_are_left_out() -> None:
    assert sendable_arguments(json.dumps({"a": "x" * 20_000})) == "{}"
