from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sovereign_ari.conversation.silence import ASK, ASK_AGAIN, SAY_GOODBYE
from sovereign_ari.speech.base import Message, ReplyPart, Token, ToolCall, Usage
from sovereign_ari.speech.parrot_llm import ParrotLanguageModel

SCRIPT: list[dict[str, Any]] = [
    {"match": "again", "say": "$previous"},
    {"match": r"my name is (\w+)", "say": "Hello, $1!", "once": True},
    {"match": "bye", "say": "Goodbye.", "tool": {"name": "end_call", "arguments": {"now": True}}},
    {"match": "weather", "tool": {"name": "weather"}},
    {"match": "name", "say": "I know, $2$1."},
]


async def parts_of(messages: Sequence[Message], script: list[dict[str, Any]]) -> list[ReplyPart]:
    return [part async for part in ParrotLanguageModel(script).reply(messages, [])]


def reply(*messages: Message, script: list[dict[str, Any]] | None = None) -> list[ReplyPart]:
    return asyncio.run(parts_of(messages, SCRIPT if script is None else script))


def text_of(parts: list[ReplyPart]) -> str:
    return "".join(part.text for part in parts if isinstance(part, Token))


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("MY NAME IS Ada", "Hello, Ada!"),
        ("nothing known", "You said: nothing known"),
        ("  ", "Sorry, I did not hear you. Could you say that again?"),
    ],
)
def test_answers_by_the_first_rule_that_matches(said: str, answer: str) -> None:
    assert text_of(reply(Message("user", said))) == answer


def test_calls_a_tool_after_its_words() -> None:
    *words, call, usage = reply(Message("user", "bye now"))
    assert text_of(words) == "Goodbye."
    assert call == ToolCall("call_1", "end_call", '{"now": true}')
    assert usage == Usage(2, 1)


def test_a_rule_for_once_counts_once() -> None:
    first = Message("user", "my name is Ada")
    answer = Message("assistant", "Hello, Ada!")
    assert text_of(reply(first, answer, first)) == "I know, ."


def test_repeats_what_was_said_before() -> None:
    before = Message("assistant", "We are open.")
    assert text_of(reply(before, Message("user", "say that again"))) == "We are open."


@pytest.mark.parametrize(
    ("words", "result", "spoken"),
    [
        ("", "It is sunny.", "It is sunny."),
        ("", '{"result": "It rains."}', "It rains."),
        ("", '{"degrees": 7}', ""),
        ("Let me see.", "It is sunny.", ""),
    ],
)
def test_speaks_a_tools_result_unless_it_spoke_already(
    words: str, result: str, spoken: str
) -> None:
    call = ToolCall("call_1", "weather", "{}")
    history = (
        Message("user", "weather"),
        Message("assistant", words, tool_calls=(call,)),
        Message("tool", result, tool_call_id="call_1"),
    )
    assert text_of(reply(*history)) == spoken


@pytest.mark.parametrize("instruction", [ASK, ASK_AGAIN, SAY_GOODBYE])
def test_leaves_a_silent_caller_to_the_platforms_own_words(instruction: str) -> None:
    history = Message("user", "my name is Bob"), Message("assistant", "Hello, Bob!")
    assert text_of(reply(*history, Message("system", instruction))) == ""


ROLES = st.sampled_from(["system", "user", "assistant", "tool"])


@given(st.lists(st.builds(Message, ROLES, st.text(max_size=40)), max_size=6))
def test_any_conversation_gets_a_reply(messages: list[Message]) -> None:
    parts = reply(*messages)
    assert isinstance(parts[-1], Usage)
    assert parts == reply(*messages)
