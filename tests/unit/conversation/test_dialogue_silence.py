"""Callers who say nothing, in virtual time: what is said to them, and how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import pytest

from sovereign_ari.conversation.own_words import OWN_WORDS
from sovereign_ari.conversation.silence import ASK, ASK_AGAIN, SAY_GOODBYE
from sovereign_ari.conversation.terms import Ending
from sovereign_ari.conversation.tool_results import GUARD
from sovereign_ari.domain.agent import SilencePlan
from sovereign_ari.domain.control import EndCall
from sovereign_ari.domain.records import EndReason
from sovereign_ari.errors import ProviderError, ProviderRefused, ProviderUnavailable
from sovereign_ari.speech.base import Message, ReplyPart, Token
from tests.support.scripted_speech import ScriptedLlm, ScriptedStt
from tests.unit.conversation.test_dialogue import ASSISTANT, Scene, converse
from tests.unit.conversation.test_dialogue_tools import Box, ToolScene

PLAN = SilencePlan(first_check_s=2.0, interval_s=3.0, max_attempts=3)
FIXED = replace(PLAN, messages=("Hello?", "Anybody?"), final_message="Farewell.")
TIMED_OUT = Ending(EndReason.SILENCE_TIMEOUT)


def silent(seconds: float) -> Callable[[Scene], Awaitable[None]]:
    async def caller(it: Scene) -> None:
        await it.quiet(round(seconds * 1000))

    return caller


def checks_of(it: Scene) -> int:
    return it.notes.count("silence_check")


def test_the_fixed_messages_come_in_turn_and_the_last_one_again() -> None:
    patient = replace(ASSISTANT, silence=FIXED)
    it, ending = converse(silent(25), lambda: Scene(assistant=patient))
    assert ending == TIMED_OUT
    assert it.tts.said[1:] == ["Hello?", "Anybody?", "Anybody?", "Farewell."]
    assert it.llm.asked == []
    assert checks_of(it) == 3
    assert [turn.user_text for turn in it.turns.values()] == [None] * 5
    assert it.turns[4].heard_text == "Farewell."


def test_each_interval_begins_when_the_check_was_heard() -> None:
    patient = replace(ASSISTANT, silence=FIXED)
    it, _ = converse(silent(25), lambda: Scene(assistant=patient))
    for before, after, gap_ms in ((0, 1, 2000), (1, 2, 3000), (2, 3, 3000), (3, 4, 3000)):
        ended, begun = it.turns[before].reply_ended_ms, it.turns[after].first_packet_ms
        assert ended is not None
        assert begun is not None
        assert begun - ended == pytest.approx(gap_ms, abs=200)


def test_the_model_finds_the_words_and_is_told_only_then() -> None:
    def respond(messages: Sequence[Message]) -> str:
        told = {ASK: "Are you there, Bob?", ASK_AGAIN: "Bob?", SAY_GOODBYE: "Bye, Bob."}
        return told.get(messages[-1].content, "unasked")

    patient = replace(ASSISTANT, silence=PLAN)
    it, ending = converse(silent(25), lambda: Scene(assistant=patient, llm=ScriptedLlm(respond)))
    assert ending == TIMED_OUT
    assert it.tts.said[1:] == ["Are you there, Bob?", "Bob?", "Bob?", "Bye, Bob."]
    assert it.llm.asked[1] == [
        Message("assistant", "Hello there."),
        Message("assistant", "Are you there, Bob?"),
        Message("system", ASK_AGAIN),
    ]


@pytest.mark.parametrize(
    "answer", [[ProviderUnavailable("gone")], [ProviderRefused("bad")], "", "\n \n", [Token("Wh")]]
)
def test_a_model_that_finds_no_words_is_spoken_for_in_the_assistants_language(
    answer: str | list[ReplyPart | ProviderUnavailable],
) -> None:
    def respond(_: Sequence[Message]) -> str | list[ReplyPart | ProviderUnavailable]:
        if answer == [Token("Wh")]:
            return [Token("Wh"), ProviderUnavailable("dropped")]
        return answer

    plan = replace(PLAN, max_attempts=1)
    dutch = replace(ASSISTANT, silence=plan, tts={"language": "nl-NL"})
    it, ending = converse(
        silent(20),
        lambda: Scene(assistant=dutch, llm=ScriptedLlm(respond)),  # type: ignore[arg-type]
    )
    assert ending == TIMED_OUT
    lines = [OWN_WORDS["nl"].still_there, OWN_WORDS["nl"].gives_up]
    assert it.tts.said[1:] == lines
    assert [turn.agent_text for turn in it.turns.values()][1:] == lines


def test_a_model_that_talks_on_is_stopped() -> None:
    patient = replace(ASSISTANT, silence=PLAN)
    it, _ = converse(
        silent(9), lambda: Scene(assistant=patient, llm=ScriptedLlm(lambda _: "Are you? " * 500))
    )
    assert 1 <= sum(len(piece) for piece in it.tts.said[1:]) < 700


def test_results_of_tools_are_still_data_when_a_silent_caller_is_asked() -> None:
    patient = replace(ASSISTANT, silence=PLAN)
    it, _ = converse(
        silent(5),
        lambda: ToolScene(Box(), lambda _: "Still there?", "", assistant=patient),
    )
    assert it.tts.said[-1] == "Still there?"
    assert it.llm.asked[0][0] == Message("system", GUARD)
    assert it.llm.asked[0][-1] == Message("system", ASK)


def test_words_of_the_caller_begin_the_count_anew() -> None:
    async def caller(it: Scene) -> None:
        await it.quiet(7500)  # greeting, 2 s, check 1, 3 s, check 2
        assert checks_of(it) == 2
        await it.speak(800)
        await it.quiet(4000)

    patient = replace(ASSISTANT, silence=FIXED)
    it, ending = converse(caller, lambda: Scene(assistant=patient, stt=ScriptedStt("I am here")))
    assert ending is None
    assert it.turns[3].user_text == "I am here"
    assert it.tts.said[-1] == "Hello?"


def test_a_caller_who_speaks_up_during_the_goodbye_is_not_hung_up_on() -> None:
    async def caller(it: Scene) -> None:
        await it.quiet(5000)
        while it.tts.said[-1] != long:
            await it.quiet(100)
        await it.speak(600)
        await it.quiet(1000)

    long = "I cannot hear you any more, so I end the call now. Goodbye then, my dear caller."
    patient = replace(ASSISTANT, silence=replace(FIXED, max_attempts=1, final_message=long))
    it, ending = converse(
        caller, lambda: Scene(assistant=patient, stt=ScriptedStt("wait I am here"))
    )
    assert ending is None
    assert it.tts.said[-1] == "Yes."


def test_nobody_is_asked_while_on_hold() -> None:
    async def caller(it: Scene) -> None:
        await it.quiet(2000)
        it.dialogue.quiet.clock.hold(True)
        await it.quiet(30_000)
        assert checks_of(it) == 0
        it.dialogue.quiet.clock.hold(False)
        await it.quiet(2500)

    it, ending = converse(caller, lambda: Scene(assistant=replace(ASSISTANT, silence=FIXED)))
    assert ending is None
    assert checks_of(it) == 1


@pytest.mark.parametrize("model_works", [True, False])
def test_last_words_on_hold_are_left_unsaid(model_works: bool) -> None:
    async def caller(it: Scene) -> None:
        await it.quiet(3000)
        if model_works:
            assert it.dialogue.control(EndCall("So long, and thank you so much for your call."))
        else:
            await it.speak(600)
        while not it.mouth.queued_s:
            await it.quiet(20)
        it.dialogue.quiet.clock.hold(True)
        it.mouth.pause()
        await it.quiet(1000)

    def respond(_: Sequence[Message]) -> list[ReplyPart | ProviderError]:
        return [ProviderUnavailable("gone")]

    llm = ScriptedLlm(respond)
    _, ending = converse(caller, lambda: Scene(llm=llm, stt=ScriptedStt("Hello there")))
    assert ending is not None
    expected = EndReason.ASSISTANT_HANGUP if model_works else EndReason.PROVIDER_ERROR
    assert ending.reason is expected


def test_what_only_the_pbx_hears_moves_the_timer() -> None:
    async def caller(it: Scene) -> None:
        loop = asyncio.get_running_loop()
        await it.quiet(2000)
        for _ in range(3):
            it.dialogue.quiet.clock.talking(True, loop.time())
            await it.quiet(1000)
            it.dialogue.quiet.clock.talking(False, loop.time())
            await it.quiet(1500)
        assert checks_of(it) == 0
        await it.quiet(1000)

    it, _ = converse(caller, lambda: Scene(assistant=replace(ASSISTANT, silence=FIXED)))
    assert checks_of(it) == 1
    assert "talk_detection_missing" not in it.notes


def test_a_pbx_that_says_nothing_of_a_caller_who_was_understood_is_noted_once() -> None:
    async def caller(it: Scene) -> None:
        for _ in range(2):
            await it.quiet(1500)
            await it.speak(600)
        assert "talk_detection_missing" not in it.notes, "it may not listen yet"
        await it.quiet(4000)

    it, _ = converse(
        caller,
        lambda: Scene(assistant=replace(ASSISTANT, silence=FIXED), stt=ScriptedStt("one", "two")),
    )
    assert it.notes.count("talk_detection_missing") == 1


def test_a_pbx_that_listens_a_little_later_than_the_caller_speaks_is_not_missed() -> None:
    async def caller(it: Scene) -> None:
        loop = asyncio.get_running_loop()
        await it.quiet(500)
        await it.speak(600)
        it.dialogue.quiet.clock.talking(True, loop.time())
        it.dialogue.quiet.clock.talking(False, loop.time())
        await it.quiet(8000)

    it, _ = converse(
        caller, lambda: Scene(assistant=replace(ASSISTANT, silence=FIXED), stt=ScriptedStt("one"))
    )
    assert "talk_detection_missing" not in it.notes


def test_an_assistant_without_a_plan_asks_nothing_and_notes_nothing() -> None:
    it, ending = converse(silent(120))
    assert ending is None
    assert it.notes == []
    assert it.tts.said == ["Hello there."]
