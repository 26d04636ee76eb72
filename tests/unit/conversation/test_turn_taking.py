"""What a conversation makes of backchannels, noises and digits, in virtual time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sovereign_ari.domain.agent import TurnTaking
from sovereign_ari.media import hearing
from tests.support.loud_frames import LoudFrames
from tests.support.scripted_speech import ScriptedLlm, ScriptedStt
from tests.unit.conversation.test_dialogue import ASSISTANT, Scene, converse

LONG = "One two three four five six seven eight nine ten eleven twelve."


def scene(*lines: str, first: str = LONG, **taking: float) -> Scene:
    settings = replace(TurnTaking(), **taking)  # type: ignore[arg-type]
    assistant = replace(ASSISTANT, first_message=first, turn_taking=settings)
    return Scene(stt=ScriptedStt(*lines), assistant=assistant)


@pytest.mark.parametrize("word", ["mm-hm", "ja", "ok", ""])
def test_a_murmur_leaves_the_reply_whole_and_no_trace_in_the_history(word: str) -> None:
    async def caller(it: Scene) -> None:
        await it.quiet(1000)
        await it.speak(400)
        await it.quiet(6000)

    it, _ = converse(caller, lambda: scene(word))
    assert [what for _, what in it.mouth.log] == ["pause", "resume"]
    assert [turn.heard_text for turn in it.turns.values()] == [LONG]
    assert it.turns[0].user_text is None
    assert not it.turns[0].interrupted
    assert it.notes == ["false_interruption"]
    assert it.llm.asked == []


def test_a_recogniser_that_never_answers_resumes_after_the_time_out() -> None:
    async def caller(it: Scene) -> None:
        it.stt.deaf = True
        await it.quiet(1000)
        await it.speak(400)
        await it.quiet(3000)

    it, _ = converse(caller, lambda: scene(false_interruption_timeout_s=0.8))
    (paused_s, pause), (resumed_s, resume) = it.mouth.log[:2]
    assert (pause, resume) == ("pause", "resume")
    assert resumed_s - paused_s == pytest.approx(0.36 + 0.8, abs=0.05)


def test_a_yes_that_meets_the_end_of_the_question_is_its_answer() -> None:
    async def caller(it: Scene) -> None:
        await it.quiet(900)  # the question takes 1.3 s
        await it.speak(300)
        await it.quiet(3000)

    it, _ = converse(caller, lambda: scene("yes", first="Is that really all of it?"))
    assert it.turns[0].heard_text == "Is that really all of it?"
    assert not it.turns[0].interrupted
    assert (it.turns[1].user_text, it.turns[1].heard_text) == ("yes", "Yes.")


def test_digits_end_when_they_are_as_many_as_were_asked_for() -> None:
    async def caller(it: Scene) -> None:
        await it.quiet(3000)
        await it.speak(600)
        await it.quiet(700)  # longer than the shortest delay
        await it.speak(600)
        await it.quiet(1200)

    first = "What are the last four digits?"
    it, _ = converse(caller, lambda: scene("one two", "three four", first=first))
    turn = it.turns[1]
    assert turn.user_text == "one two three four"
    assert turn.turn_ended_ms is not None
    assert turn.user_stopped_ms is not None
    assert turn.turn_ended_ms - turn.user_stopped_ms == pytest.approx(400, abs=40)


def test_the_model_s_question_counts_as_well_as_the_greeting_s() -> None:
    async def caller(it: Scene) -> None:
        await it.quiet(1500)
        await it.speak(600)
        await it.quiet(3500)
        await it.speak(600)
        await it.quiet(1000)

    llm = ScriptedLlm(lambda _: "What is your phone number?")
    it, _ = converse(caller, lambda: Scene(stt=ScriptedStt("a table please", "six"), llm=llm))
    assert it.turns[2].agent_text == "", "a number has begun, and nobody answers it yet"


class _HumIsNoVoice(LoudFrames):
    """Misses what is not loud, as detectors miss a cough or a whisper."""

    speech_dbfs = -30.0


def test_a_cough_before_the_words_does_not_settle_them_with_its_own_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hearing, "VoiceActivity", _HumIsNoVoice)
    hum = bytes((0x57, 0xD7)) * 80  # -34 dBFS

    async def caller(it: Scene) -> None:
        await it.quiet(1000)
        await it.frames(400, lambda _: hum)
        await it.quiet(600)
        await it.speak(600)
        await it.quiet(4000)

    def slow() -> Scene:
        stt = ScriptedStt("", "a table please", delay_s=1.2)
        return Scene(stt=stt, assistant=replace(ASSISTANT, first_message=""))

    it, _ = converse(caller, slow)
    (turn,) = it.turns.values()
    assert turn.user_text == "a table please"
    assert turn.user_stopped_ms == pytest.approx(2600, abs=60)
