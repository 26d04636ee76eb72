"""Whole conversations in virtual time: scripted providers, real turn taking, real bookkeeping."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from sovereign_ari.conversation.dialogue import Dialogue
from sovereign_ari.conversation.own_words import ENGLISH
from sovereign_ari.conversation.terms import (
    Ending,
    Providers,
    Reporting,
)
from sovereign_ari.domain.agent import Assistant
from sovereign_ari.domain.ids import CallId
from sovereign_ari.domain.records import EndReason, TurnRecord
from sovereign_ari.errors import ProviderRefused, ProviderUnavailable
from sovereign_ari.media.g711 import pcm_to_ulaw
from sovereign_ari.media.pcm import PCM_8K, ULAW_8K
from sovereign_ari.speech.base import Message, Token, ToolCall
from tests.support.scripted_speech import (
    ScriptedLlm,
    ScriptedStt,
    ScriptedTts,
    TimedMouth,
    hang_up_call,
    resilient,
    resilient_ears,
    resilient_voice,
)
from tests.support.virtual_time import run_in_virtual_time
from tests.support.vowel import vowel

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
ASSISTANT = Assistant("a", "o", "Ann", "Hello there.", {"tools": [{"type": "end_call"}]}, {}, {})
SILENCE = b"\xff" * 160


class Scene:
    """One dialogue and its caller."""

    def __init__(
        self,
        *,
        stt: ScriptedStt | None = None,
        llm: ScriptedLlm | None = None,
        tts: ScriptedTts | None = None,
        assistant: Assistant = ASSISTANT,
        outbound: bool = False,
    ) -> None:
        self.outbound = outbound
        self.stt = stt or ScriptedStt()
        self.llm = llm or ScriptedLlm(lambda _: "Yes.")
        self.tts = tts or ScriptedTts()
        self.turns: dict[int, TurnRecord] = {}
        self.notes: list[str] = []
        loop = asyncio.get_running_loop()
        self.mouth = TimedMouth(ULAW_8K)
        self.dialogue = Dialogue(
            CallId("call"),
            assistant,
            self.providers(),
            self.mouth,
            ULAW_8K,
            Reporting(self._turn, self._note, loop.time, lambda: NOON),
        )
        self._loud = pcm_to_ulaw(vowel())

    def providers(self) -> Providers:
        return Providers(
            resilient_ears(self.stt, self._note),
            resilient(self.llm, self._note),
            resilient_voice(self.tts, self._note),
            b"\x00\x10" * 8000,
            PCM_8K,
        )

    def _turn(self, turn: TurnRecord) -> None:
        self.turns[turn.number] = turn

    def _note(self, kind: str, _detail: Mapping[str, object]) -> None:
        self.notes.append(kind)

    async def frames(self, ms: int, frame: Callable[[int], bytes]) -> None:
        loop = asyncio.get_running_loop()
        for number in range(ms // 20):
            await asyncio.sleep(0.02)
            self.dialogue.hear(frame(number), loop.time())
            self.dialogue.tick(loop.time())

    async def quiet(self, ms: int) -> None:
        await self.frames(ms, lambda _: SILENCE)

    async def speak(self, ms: int) -> None:
        loud = self._loud
        await self.frames(ms, lambda n: loud[n * 160 % (len(loud) - 160) :][:160])


def converse(
    act: Callable[[Scene], Awaitable[None]], make: Callable[[], Scene] = Scene
) -> tuple[Scene, Ending | None]:
    """Run a dialogue while `act` plays the caller, who hangs up when it returns."""

    async def scene() -> tuple[Scene, Ending | None]:
        it = make()
        running = asyncio.create_task(it.dialogue.run(outbound=it.outbound))
        await asyncio.sleep(0)
        it.dialogue.answered()
        await act(it)
        ending = running.result() if running.done() else None
        running.cancel()
        await asyncio.wait((running,))
        if not running.cancelled() and running.exception():
            raise running.exception()  # type: ignore[misc]
        assert it.stt.open_streams == it.llm.open_replies == it.tts.open_requests == 0
        return it, ending

    return run_in_virtual_time(scene())


def test_greets_then_answers_and_keeps_the_record() -> None:
    async def caller(it: Scene) -> None:
        await it.quiet(1500)
        await it.speak(800)
        await it.quiet(2000)

    it, _ = converse(caller, lambda: Scene(stt=ScriptedStt("what time is it")))
    assert [t.user_text for t in it.turns.values()] == [None, "what time is it"]
    assert [t.heard_text for t in it.turns.values()] == ["Hello there.", "Yes."]
    assert it.llm.asked == [
        [Message("assistant", "Hello there."), Message("user", "what time is it")]
    ]
    turn = it.turns[1]
    assert turn.user_stopped_ms == pytest.approx(2300, abs=40)
    assert turn.turn_ended_ms == pytest.approx(2700, abs=40)
    offsets = [
        turn.user_stopped_ms,
        turn.stt_final_ms,
        turn.turn_ended_ms,
        turn.llm_first_token_ms,
        turn.first_sentence_ms,
        turn.tts_first_byte_ms,
        turn.first_packet_ms,
        turn.reply_ended_ms,
    ]
    assert offsets == sorted(o for o in offsets if o is not None)


def test_an_interruption_cuts_the_reply_and_history_to_what_was_heard() -> None:
    async def caller(it: Scene) -> None:
        await it.quiet(1500)
        await it.speak(600)
        await it.quiet(400 + 60 + 1500)  # the reply speaks for a second and a half
        await it.speak(800)
        await it.quiet(1500)

    long = "One two three four five six seven eight nine ten eleven twelve."
    replies = iter([long, "Fine."])
    it, _ = converse(
        caller,
        lambda: Scene(
            stt=ScriptedStt("count", "stop it"), llm=ScriptedLlm(lambda _: next(replies))
        ),
    )
    turn = it.turns[1]
    assert turn.interrupted
    assert turn.agent_text == long
    assert 3 <= len(turn.heard_text.split()) <= 7
    assert long.startswith(turn.heard_text)
    assert it.llm.asked[1][-2:] == [
        Message("assistant", turn.heard_text),
        Message("user", "stop it"),
    ]
    assert it.turns[2].heard_text == "Fine."
    pause, cut = it.mouth.log[0], it.mouth.log[1]
    assert (pause[1], cut[1]) == ("pause", "cut")
    assert cut[0] - pause[0] == pytest.approx(1.01, abs=0.05)  # when its words were understood


def test_a_click_does_not_cost_a_word() -> None:
    async def caller(it: Scene) -> None:
        await it.quiet(300)
        await it.speak(60)
        await it.quiet(1500)

    it, _ = converse(caller)
    assert [what for _, what in it.mouth.log] == ["pause", "resume"]
    assert it.turns[0].heard_text == "Hello there."
    assert not it.turns[0].interrupted
    assert it.notes == ["false_interruption"]


def test_hanging_up_mid_sentence_records_what_was_heard() -> None:
    async def caller(it: Scene) -> None:
        await it.quiet(400)

    it, _ = converse(caller)
    assert it.turns[0].interrupted
    assert it.turns[0].heard_text in ("", "Hello")


def test_words_that_nobody_answered_are_recorded() -> None:
    async def caller(it: Scene) -> None:
        await it.quiet(1500)
        await it.speak(600)
        await it.quiet(300)

    it, _ = converse(caller, lambda: Scene(stt=ScriptedStt("wait")))
    assert (it.turns[1].user_text, it.turns[1].agent_text) == ("wait", "")


def test_the_agent_hangs_up_after_its_farewell_was_heard() -> None:
    async def caller(it: Scene) -> None:
        await it.quiet(1500)
        await it.speak(600)
        await it.quiet(4000)

    it, ending = converse(
        caller,
        lambda: Scene(
            stt=ScriptedStt("bye"),
            llm=ScriptedLlm(lambda _: [Token("See you soon."), hang_up_call()]),
        ),
    )
    assert ending == Ending(EndReason.ASSISTANT_HANGUP)
    assert it.turns[1].heard_text == "See you soon."
    assert it.turns[1].tool_calls[0]["name"] == "end_call"


def test_a_hang_up_without_a_word_still_says_goodbye() -> None:
    async def caller(it: Scene) -> None:
        await it.quiet(1500)
        await it.speak(600)
        await it.quiet(4000)

    assistant = replace(ASSISTANT, end_call_message="Take care.")
    it, ending = converse(
        caller,
        lambda: Scene(
            stt=ScriptedStt("bye"),
            llm=ScriptedLlm(lambda _: [hang_up_call()]),
            assistant=assistant,
        ),
    )
    assert ending is not None
    assert it.tts.said[-1] == it.turns[1].heard_text == "Take care."


def test_an_unknown_tool_is_answered_with_an_error_and_the_model_goes_on() -> None:
    async def caller(it: Scene) -> None:
        await it.quiet(1500)
        await it.speak(600)
        await it.quiet(2000)

    def respond(messages: object) -> str | list[object]:
        assert isinstance(messages, list)
        if messages[-1].role == "tool":
            return "I cannot do that."
        return [ToolCall("t", "fly", "{}")]

    it, _ = converse(
        caller,
        lambda: Scene(stt=ScriptedStt("fly"), llm=ScriptedLlm(respond)),  # type: ignore[arg-type]
    )
    assert it.turns[1].heard_text == "I cannot do that."
    assert "there is no tool named fly" in it.turns[1].tool_calls[0]["result"]


def test_after_a_tool_the_model_knows_what_it_said_before_it() -> None:
    async def caller(it: Scene) -> None:
        await it.quiet(1500)
        await it.speak(600)
        await it.quiet(3000)

    rounds = iter([[Token("One moment. "), ToolCall("t", "fly", "{}")], [Token("It failed.")]])
    it, _ = converse(
        caller,
        lambda: Scene(stt=ScriptedStt("fly"), llm=ScriptedLlm(lambda _: next(rounds))),  # type: ignore[arg-type,return-value]
    )
    told = [m.content for m in it.llm.asked[1] if m.role == "assistant" and m.tool_calls]
    assert told == ["One moment."]
    assert it.turns[1].heard_text == "One moment. It failed."


def test_a_model_that_calls_tools_for_ever_is_spoken_for_and_the_call_goes_on() -> None:
    async def caller(it: Scene) -> None:
        await it.quiet(1500)
        await it.speak(600)
        await it.quiet(12000)

    it, ending = converse(
        caller,
        lambda: Scene(
            stt=ScriptedStt("go"), llm=ScriptedLlm(lambda _: [ToolCall("t", "fly", "{}")])
        ),
    )
    assert ending is None
    assert it.tts.said[-1] == ENGLISH.no_words


@pytest.mark.parametrize("broken", ["stt", "stt-deaf", "llm", "tts"])
def test_a_broken_provider_ends_in_an_apology_that_is_heard(broken: str) -> None:
    def make() -> Scene:
        it = Scene(stt=ScriptedStt("hello"))
        if broken == "stt":
            it.stt.fault = ProviderRefused("bad key")
        elif broken == "stt-deaf":
            it.stt.deaf = True
        elif broken == "llm":
            it.llm._respond = lambda _: [ProviderUnavailable("gone")]
        else:
            it.tts.fault = ProviderUnavailable("gone")
        return it

    async def caller(it: Scene) -> None:
        await it.quiet(1500)
        await it.speak(600)
        await it.quiet(14000)

    it, ending = converse(caller, make)
    assert ending is not None
    assert ending.reason is EndReason.PROVIDER_ERROR
    assert ending.error
    assert "provider_fault" in it.notes
    assert it.mouth.sent_bytes >= 8000  # a second at least: its own voice, or the spare one
    if broken == "llm":
        assert len(it.llm.asked) == 2  # once more, silently


def test_a_fault_in_mid_sentence_lets_the_sentence_end_before_the_apology() -> None:
    async def caller(it: Scene) -> None:
        await it.quiet(1500)
        await it.speak(600)
        await it.quiet(12000)

    parts = [Token("First sentence. "), ProviderUnavailable("dropped")]
    it, ending = converse(
        caller,
        lambda: Scene(stt=ScriptedStt("go"), llm=ScriptedLlm(lambda _: parts)),  # type: ignore[arg-type,return-value]
    )
    assert ending is not None
    assert it.tts.said[-2:] == ["First sentence.", ENGLISH.apology]
    assert it.turns[1].heard_text == "First sentence."
    assert it.turns[1].error is not None


def test_the_longest_call_ends_with_a_last_word() -> None:
    async def caller(it: Scene) -> None:
        await it.quiet(1500)
        it.dialogue.time_is_up()
        await it.quiet(6000)

    it, ending = converse(caller)
    assert ending == Ending(EndReason.MAX_DURATION)
    assert it.tts.said[-1] == ENGLISH.time_is_up


def test_silence_on_both_sides_ends_the_call() -> None:
    async def caller(it: Scene) -> None:
        await it.quiet(8000)

    _, ending = converse(
        caller, lambda: Scene(assistant=replace(ASSISTANT, silence_timeout_s=5.0))
    )
    assert ending == Ending(EndReason.SILENCE_TIMEOUT)


def test_a_caller_without_any_packets_is_answered_and_timed_all_the_same() -> None:
    async def caller(it: Scene) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(200):
            await asyncio.sleep(0.04)
            it.dialogue.tick(loop.time())

    it, ending = converse(
        caller, lambda: Scene(assistant=replace(ASSISTANT, silence_timeout_s=5.0))
    )
    assert ending == Ending(EndReason.SILENCE_TIMEOUT)
    assert it.turns[0].heard_text == "Hello there."


def test_the_words_of_a_greeting_stand_in_the_record_before_they_are_heard() -> None:
    async def caller(it: Scene) -> None:
        assert (it.turns[0].agent_text, it.turns[0].heard_text) == ("Hello there.", "")
        assert it.turns[0].reply_ended_ms is None

    converse(caller)
