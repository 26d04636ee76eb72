"""What clients of the API tell a conversation, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from sovereign_ari.conversation.terms import Ending
from sovereign_ari.domain.agent import SilencePlan
from sovereign_ari.domain.control import DialogueCommand, EndCall, InjectContext, Say
from sovereign_ari.domain.records import EndReason
from sovereign_ari.media.pcm import AudioFormat
from sovereign_ari.speech.base import Message, SpeechStream, Token
from tests.support.scripted_speech import ScriptedLlm, ScriptedStt, hang_up_call
from tests.unit.conversation.test_dialogue import ASSISTANT, Scene, converse

LONG = "One two three four five six seven eight nine ten eleven twelve."
SYSTEM = Message("system", "The order was shipped.")
CONTEXT = InjectContext(SYSTEM.content, trigger_response=False)
RESPOND = InjectContext(SYSTEM.content, trigger_response=True)
ENDED = Ending(EndReason.ASSISTANT_HANGUP)


def heard(it: Scene) -> list[str]:
    return [turn.heard_text for turn in it.turns.values()]


def told(command: DialogueCommand, *more: DialogueCommand) -> Callable[[Scene], Awaitable[None]]:
    """A caller who listens to the greeting, then waits while we are told something."""

    async def caller(it: Scene) -> None:
        await it.quiet(1500)
        for one in (command, *more):
            assert it.dialogue.control(one)
        await it.quiet(6000)

    return caller


def asking(*lines: str, reply: str = LONG) -> Callable[[], Scene]:
    return lambda: Scene(stt=ScriptedStt(*lines), llm=ScriptedLlm(lambda _: reply))


def test_a_line_is_said_at_once_and_stands_in_the_record() -> None:
    it, ending = converse(told(Say("Please hold the line.", end_after=False)))
    assert ending is None
    assert heard(it) == ["Hello there.", "Please hold the line."]
    line = it.turns[1]
    assert (line.user_text, line.interrupted) == (None, False)
    assert line.first_packet_ms == pytest.approx(1530, abs=30)
    assert not it.llm.asked


def test_a_line_stands_in_the_next_prompt_as_it_was_heard() -> None:
    async def caller(it: Scene) -> None:
        await it.quiet(1500)
        it.dialogue.control(Say(LONG, end_after=False))
        await it.quiet(1500)
        await it.speak(800)
        await it.quiet(1500)

    it, _ = converse(caller, asking("who is this", reply="Ann."))
    line = it.turns[1]
    assert line.interrupted
    assert 2 <= len(line.heard_text.split()) < len(LONG.split())
    assert it.llm.asked[0][-2:] == [
        Message("assistant", line.heard_text),
        Message("user", "who is this"),
    ]


def test_a_line_cuts_the_reply_of_the_model() -> None:
    async def caller(it: Scene) -> None:
        await it.quiet(1500)
        await it.speak(600)
        await it.quiet(400 + 60 + 1500)
        assert it.dialogue.control(Say("Stop.", end_after=False))
        await it.quiet(2000)

    it, _ = converse(caller, asking("count"))
    assert it.turns[1].interrupted
    assert 3 <= len(it.turns[1].heard_text.split()) <= 7
    assert it.turns[2].heard_text == "Stop."


def test_lines_are_said_one_after_the_other() -> None:
    lines = [Say(f"Line {word}.", end_after=False) for word in ("one", "two", "three")]
    it, _ = converse(told(*lines))
    assert heard(it) == ["Hello there.", "Line one.", "Line two.", "Line three."]
    assert not any(turn.interrupted for turn in it.turns.values())


def test_a_line_waits_for_the_caller_and_answers_what_they_said() -> None:
    async def caller(it: Scene) -> None:
        await it.quiet(1500)
        await it.speak(400)
        assert it.dialogue.control(Say("A colleague will help.", end_after=False))
        await it.speak(800)
        await it.quiet(4000)

    it, _ = converse(caller, asking("I have a question"))
    assert [turn.user_text for turn in it.turns.values()] == [None, "I have a question"]
    assert heard(it) == ["Hello there.", "A colleague will help."]
    assert not it.turns[1].interrupted
    assert not it.llm.asked


def test_a_line_waits_for_a_noise_that_turns_out_to_be_no_words() -> None:
    async def caller(it: Scene) -> None:
        await it.quiet(1500)
        await it.speak(400)
        assert it.dialogue.control(Say("Still here.", end_after=False))
        await it.quiet(3000)

    it, _ = converse(caller, asking(""))
    assert heard(it) == ["Hello there.", "Still here."]


def test_a_line_in_place_of_a_reply_that_a_noise_cut_off_is_said_once() -> None:
    async def caller(it: Scene) -> None:
        await it.quiet(1500)
        await it.speak(600)
        await it.quiet(400 + 60 + 1500)
        await it.speak(500)  # no words: without the line the reply would go on
        assert it.dialogue.control(CONTEXT)
        assert it.dialogue.control(Say("Excuse the noise.", end_after=False))
        await it.quiet(9000)

    it, _ = converse(caller, asking("count", ""))
    assert heard(it)[2:] == ["Excuse the noise."]
    assert it.turns[1].interrupted


def test_context_in_the_middle_of_a_noise_changes_nothing_of_the_reply() -> None:
    async def caller(it: Scene) -> None:
        await it.quiet(1500)
        await it.speak(600)
        await it.quiet(400 + 60 + 1500)
        await it.speak(500)
        assert it.dialogue.control(CONTEXT)
        await it.quiet(9000)

    it, _ = converse(caller, asking("count", ""))
    assert (it.turns[1].heard_text, it.turns[1].interrupted) == (LONG, False)
    assert len(it.llm.asked) == 1


def test_a_last_line_is_heard_to_its_end_and_ends_the_call() -> None:
    it, ending = converse(told(Say("Thank you, goodbye.", end_after=True)))
    assert ending == ENDED
    assert heard(it) == ["Hello there.", "Thank you, goodbye."]


def test_a_last_line_waits_for_the_lines_before_it() -> None:
    it, ending = converse(told(Say("First.", end_after=False), Say("Last.", end_after=True)))
    assert ending == ENDED
    assert heard(it) == ["Hello there.", "First.", "Last."]


@pytest.mark.parametrize(
    "last", [Say("Goodbye now.", end_after=True), EndCall("Goodbye now.")], ids=["say", "end-call"]
)
def test_a_last_word_waits_for_nobody_and_is_not_interrupted(last: DialogueCommand) -> None:
    async def caller(it: Scene) -> None:
        await it.quiet(1500)
        await it.speak(400)
        assert it.dialogue.control(last)
        await it.speak(3000)

    it, ending = converse(caller, asking("wait wait"))
    assert ending == ENDED
    assert heard(it)[-1] == "Goodbye now."
    assert not it.turns[max(it.turns)].interrupted


def test_ending_without_a_word_ends_at_once() -> None:
    async def caller(it: Scene) -> None:
        await it.quiet(400)
        assert it.dialogue.control(EndCall())
        await it.quiet(40)

    it, ending = converse(
        caller, lambda: Scene(assistant=replace(ASSISTANT, end_call_message="Bye."))
    )
    assert ending == ENDED
    assert it.turns[0].interrupted
    assert it.tts.said == ["Hello there."]


@pytest.mark.parametrize(
    "last",
    [
        EndCall("Goodbye."),
        Say("Goodbye.", end_after=True),
        "the model hangs up",
        "time is up",
    ],
    ids=str,
)
def test_nothing_is_taken_after_the_last_word(last: DialogueCommand | str) -> None:
    refused: list[bool] = []

    async def caller(it: Scene) -> None:
        await it.quiet(1500)
        match last:
            case "the model hangs up":
                await it.speak(600)
                await it.quiet(600)
            case "time is up":
                it.dialogue.time_is_up()
            case _:
                assert it.dialogue.control(last)  # type: ignore[arg-type]
        more = (Say("No.", end_after=False), EndCall(), CONTEXT, RESPOND)
        refused.extend(it.dialogue.control(command) for command in more)
        await it.quiet(6000)

    it, ending = converse(
        caller,
        lambda: Scene(
            stt=ScriptedStt("bye"), llm=ScriptedLlm(lambda _: [Token("Bye."), hang_up_call()])
        ),
    )
    assert refused == [False] * 4
    assert ending is not None
    assert "No." not in it.tts.said


def test_nothing_is_taken_before_the_answer() -> None:
    async def scene(it: Scene) -> None:
        """Answered by `converse` already: a fresh dialogue shows the state before it."""
        assert not Scene().dialogue.control(EndCall())

    converse(scene)


def test_context_is_told_to_the_model_and_heard_by_nobody() -> None:
    async def caller(it: Scene) -> None:
        await it.quiet(1500)
        assert it.dialogue.control(CONTEXT)
        await it.quiet(1000)
        assert not it.llm.asked
        await it.speak(800)
        await it.quiet(1500)

    it, _ = converse(caller, asking("where is it", reply="Under way."))
    assert it.llm.asked == [
        [Message("assistant", "Hello there."), SYSTEM, Message("user", "where is it")]
    ]
    assert heard(it) == ["Hello there.", "Under way."]


def test_context_may_make_the_assistant_respond_at_once() -> None:
    it, _ = converse(told(RESPOND), asking(reply="It was shipped."))
    assert it.llm.asked == [[Message("assistant", "Hello there."), SYSTEM]]
    assert heard(it) == ["Hello there.", "It was shipped."]


def test_a_response_at_once_replaces_the_one_in_progress() -> None:
    async def caller(it: Scene) -> None:
        await it.quiet(1500)
        await it.speak(600)
        await it.quiet(400 + 60 + 1500)
        assert it.dialogue.control(RESPOND)
        await it.quiet(9000)

    it, _ = converse(caller, asking("count"))
    cut = it.turns[1]
    assert cut.interrupted
    assert it.llm.asked[1][-2:] == [Message("assistant", cut.heard_text), SYSTEM]
    assert it.turns[2].heard_text == LONG


def test_a_response_waits_for_the_line_before_it_and_gives_way_to_one_after_it() -> None:
    say = [Say(f"Line {word}.", end_after=False) for word in ("one", "two")]

    async def caller(it: Scene) -> None:
        await it.quiet(1500)
        assert it.dialogue.control(say[0])
        assert it.dialogue.control(RESPOND)
        await it.quiet(3000)  # the response has begun
        assert it.dialogue.control(say[1])
        await it.quiet(6000)

    it, _ = converse(caller, asking(reply=LONG))
    assert it.turns[1].heard_text == "Line one."
    assert it.turns[2].interrupted
    assert it.turns[3].heard_text == "Line two."
    assert len(it.llm.asked) == 1


def test_a_line_of_many_sentences_is_synthesised_piece_by_piece() -> None:
    sentences = [f"This is sentence number {number} of a rather long text." for number in range(9)]
    it, ending = converse(
        lambda it: _long(it, " ".join(sentences)),
    )
    assert it.tts.said[1:3] == sentences[:2]
    assert ending is None


async def _long(it: Scene, text: str) -> None:
    await it.quiet(1500)
    assert it.dialogue.control(Say(text, end_after=False))
    await it.quiet(4000)


def test_signs_without_a_sound_are_no_line() -> None:
    it, ending = converse(told(Say("***", end_after=False), EndCall("...")))
    assert ending == ENDED
    assert it.tts.said == ["Hello there."]


def test_a_call_on_hold_ends_without_words_that_nobody_would_hear() -> None:
    async def caller(it: Scene) -> None:
        await it.quiet(1500)
        it.dialogue.quiet.clock.hold(True)
        it.mouth.pause()
        assert it.dialogue.control(EndCall("Goodbye."))
        await it.quiet(200)

    it, ending = converse(caller)
    assert ending == ENDED
    assert heard(it) == ["Hello there."]


def test_nothing_is_said_behind_a_goodbye_while_the_recogniser_is_let_go() -> None:
    class SlowToLeave(ScriptedStt):
        @asynccontextmanager
        async def open(self, audio: AudioFormat) -> AsyncIterator[SpeechStream]:
            async with super().open(audio) as stream:
                try:
                    yield stream
                finally:
                    await asyncio.sleep(1.0)

    async def caller(it: Scene) -> None:
        while not it.mouth.queued_s:
            await it.quiet(20)
        while it.mouth.queued_s:
            await it.quiet(20)
        await it.quiet(100)
        assert not it.dialogue.control(Say("One more thing.", end_after=False))
        await it.quiet(2000)

    leaving = replace(
        ASSISTANT,
        first_message=None,
        silence=SilencePlan(first_check_s=1.0, max_attempts=0, final_message="Farewell."),
    )
    it, ending = converse(caller, lambda: Scene(assistant=leaving, stt=SlowToLeave()))
    assert ending == Ending(EndReason.SILENCE_TIMEOUT)
    assert heard(it) == ["Farewell."]
