from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sovereign_ari.errors import ProviderUnavailable
from sovereign_ari.speech.base import ReplyPart, Token, ToolCall, Usage
from sovereign_ari.speech.openai_llm_chunks import ReplyChunks

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


def choice(finish: str | None = None, **delta: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def call(index: int | None, call_id: str | None, name: str | None, arguments: str) -> Any:
    return {"index": index, "id": call_id, "function": {"name": name, "arguments": arguments}}


def parts_of(chunks: ReplyChunks, *events: object) -> list[ReplyPart]:
    return [part for event in events for part in chunks.on_event(json.dumps(event))]


def state_of(chunks: ReplyChunks) -> tuple[bool, bool]:
    return chunks.finished, chunks.done


def test_text_comes_as_it_came_and_the_end_is_noticed() -> None:
    chunks = ReplyChunks()
    assert parts_of(chunks, choice(role="assistant", content=""), choice(content=" Hé")) == [
        Token(" Hé")
    ]
    assert state_of(chunks) == (False, False)
    assert parts_of(chunks, choice("stop", content="!")) == [Token("!")]
    assert state_of(chunks) == (True, False)
    assert chunks.on_event("[DONE]") == []
    assert state_of(chunks) == (True, True)


def test_calls_that_come_interleaved_are_kept_apart_and_come_once() -> None:
    chunks = ReplyChunks()
    assert not parts_of(
        chunks,
        choice(tool_calls=[call(0, "a", "one", ""), call(1, "b", "two", "{")]),
        choice(tool_calls=[call(0, None, None, '{"x"')]),
        choice(tool_calls=[call(1, None, None, "}"), call(0, None, None, ":1}")]),
    )
    finish = choice("tool_calls")
    assert parts_of(chunks, finish, finish) == [
        ToolCall("a", "one", '{"x":1}'),
        ToolCall("b", "two", "{}"),
    ]


def test_calls_without_an_index_are_told_apart_by_their_ids() -> None:
    chunks = ReplyChunks()
    parts = parts_of(
        chunks,
        choice(tool_calls=[call(None, "a", "one", "{")]),
        choice(tool_calls=[call(None, None, None, "}")]),
        choice("tool_calls", tool_calls=[call(None, "b", "two", "")]),
    )
    assert parts == [ToolCall("a", "one", "{}"), ToolCall("b", "two", "{}")]


def test_the_last_count_is_the_one_that_counts() -> None:
    chunks = ReplyChunks()
    parts_of(
        chunks, {**choice(content="a"), "usage": {"prompt_tokens": 3, "completion_tokens": 1}}
    )
    assert chunks.usage == Usage(3, 1)
    parts_of(chunks, {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 9}})
    parts_of(chunks, {"choices": [], "usage": None})
    assert chunks.usage == Usage(3, 9)


def test_an_error_in_the_stream_is_told_by_its_code_alone() -> None:
    error = {"error": {"code": "server_error", "message": "the caller said secret"}}
    with pytest.raises(ProviderUnavailable, match=r"\(server_error\)") as raised:
        parts_of(ReplyChunks(), error)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("data", ["{not json", "", "[]", "7", "[" * 100_000])
def test_what_is_not_a_chunk_is_an_error(data: str) -> None:
    with pytest.raises(ProviderUnavailable):
        ReplyChunks().on_event(data)


@given(st.lists(JSON, max_size=4), JSON)
def test_any_json_is_parts_or_an_error(entries: list[Any], value: Any) -> None:
    shapes: list[Any] = [
        value,
        {"choices": value, "usage": value},
        {"choices": entries, "usage": {"prompt_tokens": value}},
        {"choices": [{"delta": value, "finish_reason": value}]},
        {"choices": [{"delta": {"content": value, "tool_calls": entries}}]},
        {"choices": [{"delta": {"tool_calls": [{"index": value, "function": value}]}}]},
        {"choices": [{"delta": {"tool_calls": [call(value, value, value, value)]}}]},
        choice("tool_calls"),
    ]  # fmt: skip
    chunks = ReplyChunks()
    for shape in shapes:
        try:
            parts = parts_of(chunks, shape)
        except ProviderUnavailable:
            continue
        assert all(isinstance(part, Token | ToolCall) for part in parts)
