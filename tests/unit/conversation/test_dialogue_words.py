"""What is said first, what ends a call once it was said, and what is spoken instead."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from sovereign_ari.domain.records import EndReason
from tests.support.scripted_speech import CHARACTER_S, ScriptedLlm, ScriptedStt, ScriptedTts
from tests.unit.conversation.test_dialogue import ASSISTANT, Scene, converse

FAREWELL = "It was nice to talk to you. Good bye! Do call again some day, we are always here."
ENDING = replace(ASSISTANT, end_call_phrases=("goodbye",), end_call_message="Until next time.")


def ending_scene() -> Scene:
    return Scene(
        assistant=ENDING,
        stt=ScriptedStt("that is all", "wait"),
        llm=ScriptedLlm(lambda _: FAREWELL),
    )


async def asks(it: Scene) -> None:
    await it.quiet(1500)
    await it.speak(800)


def test_the_call_ends_after_the_reply_that_holds_an_end_phrase() -> None:
    async def caller(it: Scene) -> None:
        await asks(it)
        await it.quiet(1000 + round(len(FAREWELL) * CHARACTER_S * 1000))

    it, ending = converse(caller, ending_scene)
    assert ending is not None
    assert ending.reason is EndReason.ASSISTANT_HANGUP
    assert it.turns[1].heard_text == FAREWELL
    assert len(it.turns) == 2, "no farewell of ours is said in addition"


@pytest.mark.parametrize("heard_ms", [900, 3600])
def test_a_caller_who_speaks_up_in_that_reply_is_listened_to(heard_ms: int) -> None:
    async def caller(it: Scene) -> None:
        await asks(it)
        await it.quiet(600 + heard_ms)
        await it.speak(600)
        await it.quiet(700)

    it, ending = converse(caller, ending_scene)
    assert ending is None
    assert it.turns[1].interrupted
    assert it.turns[2].user_text == "wait"
    assert ("Good bye!" in it.turns[1].heard_text) == (heard_ms > 3000)


def test_the_caller_may_say_the_phrase() -> None:
    async def caller(it: Scene) -> None:
        await asks(it)
        await it.quiet(3000)

    it, ending = converse(caller, lambda: Scene(assistant=ENDING, stt=ScriptedStt("goodbye")))
    assert (it.turns[1].user_text, it.turns[1].heard_text) == ("goodbye", "Yes.")
    assert ending is None


def test_a_greeting_may_be_all_there_is() -> None:
    async def caller(it: Scene) -> None:
        await it.quiet(3000)

    notice = replace(ENDING, first_message="Your parcel is here. Goodbye.")
    it, ending = converse(caller, lambda: Scene(assistant=notice))
    assert ending is not None
    assert ending.reason is EndReason.ASSISTANT_HANGUP
    assert it.turns[0].heard_text == "Your parcel is here. Goodbye."


@pytest.mark.parametrize(
    ("outbound", "own", "said"),
    [
        (False, "We call you.", "Hello there."),
        (True, "We call you.", "We call you."),
        (True, "  ", "Hello there."),
        (True, None, "Hello there."),
    ],
)
def test_a_call_that_we_placed_has_a_greeting_of_its_own(
    outbound: bool, own: str | None, said: str
) -> None:
    assistant = replace(ASSISTANT, first_message_outbound=own)

    async def caller(it: Scene) -> None:
        await it.quiet(2500)

    it, _ = converse(caller, lambda: Scene(assistant=assistant, outbound=outbound))
    assert it.turns[0].heard_text == said


def test_the_voice_is_given_what_the_rules_say_and_nobody_else_is() -> None:
    rules = (("Sjaak", "Shahk"), ("ANWB", "ah en weh beh"), ("um", ""))
    line = "Sjaak of the ANWB is, um, here."
    assistant = replace(ASSISTANT, first_message=line, pronunciation=rules)

    async def caller(it: Scene) -> None:
        await it.quiet(3000)
        await it.speak(800)
        await it.quiet(2000)

    it, _ = converse(caller, lambda: Scene(assistant=assistant, stt=ScriptedStt("fine")))
    assert it.tts.said[0] == "Shahk of the ah en weh beh is, here."
    assert it.turns[0].heard_text == it.turns[0].agent_text == line
    assert it.llm.asked[0][0].content == line


class Roaring(ScriptedTts):
    """Sends a WAV file where samples were asked for."""

    async def speak(self, text: str) -> AsyncIterator[bytes]:
        self.said.append(text)
        yield b"RIFF\xff\xff\xff\xffWAVEfmt " + bytes(20000)


def test_a_voice_that_sends_files_is_not_heard_and_an_apology_is() -> None:
    async def caller(it: Scene) -> None:
        await it.quiet(4000)

    it, ending = converse(caller, lambda: Scene(tts=Roaring()))
    assert ending is not None
    assert ending.reason is EndReason.PROVIDER_ERROR
    assert "sent a WAV file instead of raw samples" in str(ending.error)
    assert it.turns[0].heard_text == ""
    assert it.mouth.first_sent_s is not None


def test_ten_thousand_words_are_spoken_piece_by_piece_and_can_be_cut_anywhere() -> None:
    words = "word " * 10_000

    async def caller(it: Scene) -> None:
        await asks(it)
        for _ in range(120):
            await it.quiet(500)
            assert it.mouth.queued_s < 2.0 + 300 * CHARACTER_S
        await it.speak(1000)
        await it.quiet(1500)

    it, _ = converse(
        caller,
        lambda: Scene(
            stt=ScriptedStt("a story", "stop"),
            llm=ScriptedLlm(lambda asked: words if asked[-1].content == "a story" else "Fine."),
        ),
    )
    told = it.turns[1]
    assert told.interrupted
    assert 100 < len(told.heard_text.split()) < 300
    assert max(map(len, it.tts.said)) <= 300
    assert it.turns[2].heard_text == "Fine."
