from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sovereign_ari.conversation.tools import ToolAnswer
from sovereign_ari.tools.answers import read_answer

ME = "tool_1"


def read(value: Any, status: int = 200) -> ToolAnswer:
    return read_answer(status, json.dumps(value).encode(), ME)


@pytest.mark.parametrize("value", [{"a": [1]}, "text", 5, None, [1, 2], False, {}])
def test_every_form_leads_to_the_same_result(value: Any) -> None:
    for form in (
        {"results": [{"tool_call_id": ME, "result": value}]},
        {"results": [{"tool_call_id": "other", "result": 0}, {"toolCallId": ME, "result": value}]},
        {"results": [{"result": value}]},
        {"result": value},
        value,
    ):
        assert read(form) == ToolAnswer(value)


@pytest.mark.parametrize(
    "form",
    [
        {"error": "Contact not found"},
        {"error": "Contact not found", "result": None},
        {"results": [{"tool_call_id": ME, "error": "Contact not found"}]},
    ],
)
def test_an_error_is_an_error_in_every_form(form: Any) -> None:
    assert read(form) == ToolAnswer({"error": "Contact not found"}, failed=True)


@pytest.mark.parametrize(
    "data",
    [
        {"name": "Ann", "result": 5},
        {"results": []},
        {"results": [1, 2]},
        {"results": [{"name": "Ann"}, {"name": "Bob"}]},
        {"results": {"a": 1}},
    ],
)
def test_data_that_resembles_a_form_stays_whole(data: Any) -> None:
    assert read(data) == ToolAnswer(data)


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (500, b"{}", "HTTP 500"),
        (404, b"{}", "HTTP 404"),
        (302, b"", "redirected"),
        (200, b"<html>", "did not answer in JSON"),
        (200, b"", "did not answer in JSON"),
        (200, b"\xff\xfe{}", "did not answer in JSON"),
        (200, b"NaN", "did not answer in JSON"),
        (200, b"[" * 100_000, "did not answer in JSON"),
        (200, b'{"results": [{"tool_call_id": "other", "result": 1}]}', "another call"),
    ],
)
def test_what_is_no_answer_becomes_an_error(status: int, body: bytes, said: str) -> None:
    answer = read_answer(status, body, ME)
    assert answer.failed
    assert said in answer.value["error"]


def test_an_answer_without_content_is_a_success() -> None:
    assert read_answer(204, b"", ME) == ToolAnswer({"success": True})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(json_values)
def test_any_json_is_an_answer(value: Any) -> None:
    read(value)


@given(st.integers(100, 599), st.binary())
def test_any_bytes_are_an_answer(status: int, body: bytes) -> None:
    read_answer(status, body, ME)
