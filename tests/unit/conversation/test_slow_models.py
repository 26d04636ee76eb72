"""A model that is slow to begin: the caller is asked for a moment, once, and the call goes on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from sovereign_ari.conversation.own_words import ENGLISH
from sovereign_ari.domain.records import EndReason
from sovereign_ari.speech.base import Message, ToolCall, ToolSpec
from tests.support.scripted_speech import hang_up_call
from tests.unit.conversation.test_bad_models import (
    WAIT,
    BadScene,
    Scripted,
    Step,
    always,
    ask,
    drips,
)
from tests.unit.conversation.test_dialogue import ASSISTANT, Scene, converse


async def one_question(it: Scene) -> None:
    await it.quiet(1500)
    await it.speak(600)
    await it.quiet(14_000)


@pytest.mark.parametrize("first_token_s", [3.0, 7.0, 9.0])
def test_a_slow_model_is_spoken_for_once_and_then_heard(first_token_s: float) -> None:
    it, ending = ask(always(first_token_s, "We are open."))
    assert ending is None
    assert it.tts.said[1:] == [WAIT, "We are open."]
    assert it.reply.heard_text == it.reply.agent_text == f"{WAIT} We are open."
    assert it.silent_s == pytest.approx(it.box.patience.after_s, abs=0.15)
    assert it.facts == []


def test_a_model_that_begins_in_time_is_not_spoken_for() -> None:
    it, _ = ask(always(2.3, "We are open."))
    assert it.tts.said[1:] == ["We are open."]


def test_the_language_is_the_assistants() -> None:
    dutch = replace(ASSISTANT, stt={"language": "nl"})
    model = Scripted(always(5.0, "Ja."))
    it, _ = converse(one_question, lambda: BadScene(model, assistant=dutch))
    assert it.tts.said[1:] == ["Een moment alstublieft.", "Ja."]


def test_a_reply_that_has_begun_is_not_talked_into() -> None:
    it, _ = ask(always("We are open. ", 5.0, "Every day."))
    assert it.reply.heard_text == "We are open. Every day."


def test_a_model_that_never_begins_is_apologised_for_behind_the_one_line() -> None:
    it, ending = ask(always(3600.0))
    assert ending is not None
    assert ending.reason is EndReason.PROVIDER_ERROR
    assert it.tts.said.count(WAIT) == 1


def test_a_model_that_is_slow_behind_its_tool_is_spoken_for_as_well() -> None:
    def answer(messages: Sequence[Message], _tools: Sequence[ToolSpec]) -> Sequence[Step]:
        if messages[-1].role == "tool":
            return [5.0, "There is a door."]
        return ["Let me look. ", ToolCall("1", "look", '{"place": "here"}')]

    it, _ = ask(answer)
    assert it.tts.said[1:] == ["Let me look.", WAIT, "There is a door."]
    assert it.reply.heard_text == f"Let me look. {WAIT} There is a door."
    assert [m.content for m in it.dialogue.history.messages if m.tool_calls] == [""]


def test_a_model_that_is_slow_each_time_is_spoken_for_each_time() -> None:
    def answer(messages: Sequence[Message], _tools: Sequence[ToolSpec]) -> Sequence[Step]:
        if messages[-1].role == "tool":
            return [4.0, "There is a door."]
        return [4.0, ToolCall("1", "look", '{"place": "here"}')]

    it, _ = ask(answer)
    assert it.tts.said[1:] == [WAIT, WAIT, "There is a door."]


def test_white_space_for_ever_is_filled_once() -> None:
    it, _ = ask(drips(" ", 4.5))
    assert it.tts.said.count(WAIT) == 1


def test_the_line_is_not_told_to_the_model_as_its_own_words() -> None:
    told: list[Sequence[Message]] = []

    def answer(messages: Sequence[Message], _tools: Sequence[ToolSpec]) -> Sequence[Step]:
        told.append(list(messages))
        if messages[-1].role == "tool":
            return ["There is a door."]
        return [4.0, "Let me look. ", ToolCall("1", "look", '{"place": "here"}')]

    it, _ = ask(answer)
    assert [m.content for m in told[1] if m.tool_calls] == ["Let me look."]
    assert it.reply.heard_text == f"{WAIT} Let me look. There is a door."


def test_a_farewell_is_said_behind_the_line_when_the_model_hangs_up_without_a_word() -> None:
    it, ending = ask(always(4.0, hang_up_call()))
    assert ending is not None
    assert ending.reason is EndReason.ASSISTANT_HANGUP
    assert it.reply.heard_text == f"{WAIT} {ENGLISH.farewell}"


def test_a_noise_behind_the_line_does_not_cost_the_answer() -> None:
    async def caller(it: Scene) -> None:
        await it.quiet(1500)
        await it.speak(600)
        await it.quiet(5000)
        it.stt.lines = [""]
        await it.speak(300)
        await it.quiet(9000)

    it, ending = converse(caller, lambda: BadScene(Scripted(always(7.0, "We are open."))))
    assert ending is None
    assert it.turns[1].heard_text == f"{WAIT} We are open."
