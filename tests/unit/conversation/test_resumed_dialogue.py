"""Conversations that go on after the death of their controller, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from sovereign_ari.conversation.own_words import ENGLISH, OWN_WORDS
from sovereign_ari.conversation.resumed_dialogue import ResumedDialogue
from sovereign_ari.conversation.terms import Reporting
from sovereign_ari.domain.adoption import BrokenTransfer, Past, PastTurn
from sovereign_ari.domain.ids import CallId
from sovereign_ari.media.pcm import ULAW_8K
from sovereign_ari.speech.base import Message
from tests.support.scripted_speech import ScriptedStt
from tests.unit.conversation.test_dialogue import ASSISTANT, NOON, Scene, converse

TOOL = {"id": "1", "name": "weather", "arguments": "{}", "result": '"sunny"'}
GREETED = PastTurn(None, "Hello there.")


class Resumed(Scene):
    """A call that was adopted."""

    def __init__(self, past: Past, *lines: str, language: str = "en") -> None:
        assistant = replace(ASSISTANT, tts={"language": language})
        super().__init__(stt=ScriptedStt(*lines), assistant=assistant)
        clock = asyncio.get_running_loop().time
        dialogue = ResumedDialogue(
            CallId("call"),
            assistant,
            self.providers(),
            self.mouth,
            ULAW_8K,
            Reporting(self._turn, self._note, clock, lambda: NOON),
        )
        dialogue.remember(past, outbound=False)
        self.dialogue = dialogue

    @property
    def heard(self) -> list[str]:
        return [turn.heard_text for turn in self.turns.values()]


def after(*turns: PastTurn, language: str = "en", said: str = "") -> Callable[[], Resumed]:
    past = Past(turns, len(turns), NOON - timedelta(seconds=30))
    return lambda: Resumed(past, *([said] if said else []), language=language)


async def listens(it: Scene) -> None:
    await it.quiet(6000)


@pytest.mark.parametrize("language", ["en", "nl", "de", "fr", "es"])
def test_the_caller_is_told_that_the_assistant_is_back(language: str) -> None:
    turns = (GREETED, PastTurn("hello", "How can I help?"))
    it, _ = converse(listens, after(*turns, language=language))
    assert it.turns.keys() == {2}, "the numbers go on"
    assert it.turns[2].heard_text == OWN_WORDS[language].where_were_we
    ended_ms = it.turns[2].reply_ended_ms
    assert ended_ms is not None
    assert ended_ms > 30_000, "as does the time"


def test_what_was_said_before_is_known_to_the_model() -> None:
    async def asks(it: Scene) -> None:
        await it.quiet(6000)
        await it.speak(800)
        await it.quiet(3000)

    weather = PastTurn("how is the weather", "It is sunny.", (TOOL,))
    it, _ = converse(asks, after(GREETED, weather, said="and tomorrow"))
    (asked,) = it.llm.asked
    assert [(m.role, m.content) for m in asked if m.role != "tool" and m.content] == [
        ("assistant", "Hello there."),
        ("user", "how is the weather"),
        ("assistant", "It is sunny."),
        ("assistant", ENGLISH.where_were_we),
        ("user", "and tomorrow"),
    ]
    (result,) = [m for m in asked if m.role == "tool"]
    assert (result.tool_call_id, "sunny" in result.content) == ("1", True)


def test_a_caller_whose_words_had_no_answer_yet_is_answered() -> None:
    it, _ = converse(listens, after(GREETED, PastTurn("who are you", "", finished=False)))
    assert isinstance(it, Resumed)
    assert it.heard == [ENGLISH.back, "Yes."]
    assert Message("user", "who are you") in it.llm.asked[0]


def test_a_caller_who_was_being_put_through_is_told_that_it_was_broken_off() -> None:
    broken = BrokenTransfer("blind", "+31201234567")
    past = Past((GREETED, PastTurn("put me through", "One moment.")), 2, NOON, broken)
    it, _ = converse(listens, lambda: Resumed(past))
    assert isinstance(it, Resumed)
    assert it.heard == [ENGLISH.back, "Yes."]
    told = [m.content for m in it.llm.asked[0] if m.role == "system"][-1]
    assert told.startswith("The transfer of this call to +31201234567 failed")


def test_where_nobody_has_said_anything_yet_the_call_begins_anew() -> None:
    it, _ = converse(listens, after(PastTurn(None, "", finished=False)))
    assert isinstance(it, Resumed)
    assert it.heard == ["Hello there."]
