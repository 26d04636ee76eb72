"""Dialogues in which two things go wrong at once, or one at the worst moment."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from sovereign_ari.conversation.own_words import ENGLISH
from sovereign_ari.conversation.terms import Ending
from sovereign_ari.domain.records import EndReason
from sovereign_ari.errors import ProviderUnavailable
from sovereign_ari.media.pcm import AudioFormat
from sovereign_ari.speech.base import SpeechStream, Token, Transcript
from tests.support.scripted_speech import ScriptedLlm, ScriptedStt, hang_up_call
from tests.unit.conversation.test_dialogue import Scene, converse

APOLOGY = ENGLISH.apology


class FallibleStt(ScriptedStt):
    """Breaks when told to, and says what it is told to."""

    def __init__(self, *lines: str, delay_s: float = 0.05) -> None:
        super().__init__(*lines, delay_s=delay_s)
        self.streams: list[SpeechStream] = []

    @asynccontextmanager
    async def open(self, audio: AudioFormat) -> AsyncIterator[SpeechStream]:
        async with super().open(audio) as stream:
            self.streams.append(stream)
            yield stream

    def tell(self, news: Transcript | ProviderUnavailable) -> None:
        self.streams[-1]._answers.put_nowait(news)  # type: ignore[attr-defined]


def test_two_faults_make_one_apology() -> None:
    stt = FallibleStt("hello")

    async def caller(it: Scene) -> None:
        await it.quiet(1500)
        await it.speak(600)
        await it.quiet(1500)
        assert it.tts.said[-1] == APOLOGY
        stt.tell(ProviderUnavailable("the network is gone"))
        await it.quiet(9000)

    it, ending = converse(
        caller,
        lambda: Scene(stt=stt, llm=ScriptedLlm(lambda _: [ProviderUnavailable("gone")])),
    )
    assert ending is not None
    assert ending.reason is EndReason.PROVIDER_ERROR
    assert it.tts.said.count(APOLOGY) == 1
    assert it.notes.count("provider_fault") == 1
    assert it.mouth.sent_bytes == len(APOLOGY) * 0.06 * 8000


def test_a_recogniser_that_breaks_during_the_farewell_does_not_spoil_it() -> None:
    stt = FallibleStt("bye")

    async def caller(it: Scene) -> None:
        await it.quiet(1500)
        await it.speak(600)
        await it.quiet(1000)
        stt.tell(ProviderUnavailable("the network is gone"))
        await it.quiet(6000)

    it, ending = converse(
        caller,
        lambda: Scene(
            stt=stt, llm=ScriptedLlm(lambda _: [Token("See you soon, dear."), hang_up_call()])
        ),
    )
    assert ending == Ending(EndReason.ASSISTANT_HANGUP)
    assert it.turns[1].heard_text == "See you soon, dear."


def test_a_fault_in_the_last_line_still_ends_the_call_for_its_reason() -> None:
    async def caller(it: Scene) -> None:
        await it.quiet(1500)
        it.tts.fault = ProviderUnavailable("gone")
        it.dialogue.time_is_up()
        await it.quiet(9000)

    it, ending = converse(caller)
    assert ending is not None
    assert it.tts.said[-1] in (APOLOGY, ENGLISH.time_is_up)


def test_words_that_come_after_their_turn_was_answered_do_not_interrupt() -> None:
    """The recogniser was slow: the turn ended by its longest delay, on a partial text."""
    stt = FallibleStt()
    stt.deaf = True

    async def caller(it: Scene) -> None:
        await it.quiet(1500)
        await it.speak(600)
        stt.tell(Transcript("what time is it", final=False))
        await it.quiet(2300)
        stt.tell(Transcript("What time is it?", final=True, flushed=True))
        await it.quiet(3000)

    it, _ = converse(
        caller, lambda: Scene(stt=stt, llm=ScriptedLlm(lambda _: "It is five past nine."))
    )
    assert [t.user_text for t in it.turns.values()] == [None, "what time is it"]
    assert it.turns[1].heard_text == "It is five past nine."
    assert not it.turns[1].interrupted


@pytest.mark.parametrize("moment", ["thinking", "speaking"])
def test_a_noise_that_interrupts_is_answered_in_the_end(moment: str) -> None:
    """A cough without words: what was asked before must not stay without an answer for ever."""

    async def caller(it: Scene) -> None:
        await it.quiet(1500)
        await it.speak(600)
        await it.quiet(900 if moment == "thinking" else 2200)
        await it.speak(500)
        await it.quiet(6000)

    first_token_s = 1.5
    it, _ = converse(
        caller,
        lambda: Scene(
            stt=ScriptedStt("what time is it", ""),
            llm=ScriptedLlm(lambda _: "It is five past nine.", first_token_s=first_token_s),
        ),
    )
    heard = " ".join(t.heard_text for t in it.turns.values())
    assert heard.endswith("It is five past nine.")
