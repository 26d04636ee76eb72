"""Recognisers that repeat, that come late, that never make up their mind, or that die."""

from __future__ import annotations

from dataclasses import replace

from sovereign_ari.conversation.own_words import ENGLISH
from sovereign_ari.conversation.terms import Providers
from sovereign_ari.domain.records import EndReason
from sovereign_ari.errors import ProviderRefused, ProviderUnavailable
from sovereign_ari.speech.base import Transcript
from sovereign_ari.speech.resilience.candidate import Candidate
from sovereign_ari.speech.resilience.notes import ProviderNotes
from sovereign_ari.speech.resilience.speech_to_text import ResilientSpeechToText
from tests.support.scripted_speech import ScriptedLlm, ScriptedStt
from tests.unit.conversation.test_dialogue import Scene, converse
from tests.unit.conversation.test_dialogue_faults import FallibleStt

ANSWER = "It is five past nine, and it is getting late, so I shall go now."

AGAIN = ENGLISH.no_words


class TwoEars(Scene):
    """A scene with a recogniser to fall back on."""

    def __init__(self, stt: ScriptedStt, other: ScriptedStt) -> None:
        self.other = other
        super().__init__(stt=stt, llm=ScriptedLlm(lambda _: ANSWER))

    def providers(self) -> Providers:
        candidates = [Candidate(self.stt, "stt/a"), Candidate(self.other, "stt/b")]
        ears = ResilientSpeechToText(candidates, ProviderNotes(self._note, "stt"))
        return replace(super().providers(), stt=ears)


def answering(stt: ScriptedStt) -> Scene:
    return Scene(stt=stt, llm=ScriptedLlm(lambda _: ANSWER))


def test_words_that_never_become_final_are_answered_and_the_call_goes_on() -> None:
    stt = FallibleStt()
    stt.deaf = True

    async def caller(it: Scene) -> None:
        await it.quiet(1500)
        for words in ("what time is it", "and on the moon"):
            await it.speak(600)
            stt.tell(Transcript(words, final=False))
            await it.quiet(12_000)

    it, ending = converse(caller, lambda: answering(stt))
    assert ending is None
    assert [turn.user_text for turn in it.turns.values()] == [
        None,
        "what time is it",
        "and on the moon",
    ]
    assert [turn.heard_text for turn in it.turns.values()][1:] == [ANSWER] * 2


def test_words_that_are_shown_again_behind_their_final_do_not_interrupt_the_answer() -> None:
    stt = FallibleStt("What time is it?")

    async def caller(it: Scene) -> None:
        await it.quiet(1500)
        await it.speak(600)
        await it.quiet(1500)
        for _ in range(3):
            stt.tell(Transcript("what time is it", final=False))
            await it.quiet(500)
        await it.quiet(4000)

    it, _ = converse(caller, lambda: answering(stt))
    assert [turn.user_text for turn in it.turns.values()] == [None, "What time is it?"]
    assert it.turns[1].heard_text == ANSWER
    assert not it.turns[1].interrupted


def test_a_recogniser_that_dies_while_the_caller_speaks_is_not_noticed() -> None:
    stt = FallibleStt()
    other = ScriptedStt("what time is it")

    async def caller(it: Scene) -> None:
        await it.quiet(1500)
        await it.speak(400)
        stt.fault = ProviderRefused("the key was withdrawn")
        stt.tell(ProviderUnavailable("gone"))
        await it.speak(400)
        await it.quiet(7000)

    it, ending = converse(caller, lambda: TwoEars(stt, other))
    assert ending is None
    assert [turn.user_text for turn in it.turns.values()] == [None, "what time is it"]
    assert it.turns[1].heard_text == ANSWER
    assert it.turns[1].models["stt"] == "stt/b"
    changes = [kind for kind in it.notes if kind.startswith("provider_")]
    assert changes == ["provider_retry", "provider_fallback"]


def hears(*lines: str) -> Scene:
    return answering(ScriptedStt(*lines))


async def speaks(it: Scene, *voices_ms: int) -> None:
    await it.quiet(1500)
    for ms in voices_ms:
        await it.speak(ms)
        await it.quiet(8000)


def test_a_caller_of_whom_nothing_was_understood_is_asked_again() -> None:
    it, ending = converse(lambda it: speaks(it, 1500, 600), lambda: hears("", "what time is it"))
    assert ending is None
    assert [turn.user_text for turn in it.turns.values()] == [None, None, "what time is it"]
    assert [turn.heard_text for turn in it.turns.values()][1:] == [AGAIN, ANSWER]
    told = it.llm.asked[0]
    assert (told[1].role, told[1].content) == ("assistant", AGAIN), "the model knows of it"


def test_he_is_asked_within_the_time_of_an_answer() -> None:
    it, _ = converse(lambda it: speaks(it, 1500), lambda: hears(""))
    first_packet_ms = it.turns[1].first_packet_ms
    assert first_packet_ms is not None
    assert first_packet_ms < 1500 + 1500 + 800


def test_what_nobody_ever_understands_is_a_noise() -> None:
    it, _ = converse(lambda it: speaks(it, 1500, 1500, 1500, 1500), hears)
    assert it.tts.said.count(AGAIN) == 2
    lines = ("", "", "what time is it", "", "", "")
    it, _ = converse(lambda it: speaks(it, *[1500] * 6), lambda: hears(*lines))
    assert it.tts.said.count(AGAIN) == 4, "he was understood in between"


def test_a_short_noise_and_one_that_goes_on_are_asked_nothing() -> None:
    it, _ = converse(lambda it: speaks(it, 700, 12_000), hears)
    assert it.tts.said == ["Hello there."]


def test_a_noise_over_the_agent_is_asked_nothing() -> None:
    async def caller(it: Scene) -> None:
        await it.quiet(1500)
        await it.speak(600)
        await it.quiet(1000)
        await it.speak(1500)
        await it.quiet(9000)

    it, _ = converse(caller, lambda: hears("what time is it"))
    assert AGAIN not in it.tts.said
    assert it.turns[1].heard_text == ANSWER


def test_nobody_is_asked_again_who_waits_for_somebody_else() -> None:
    async def caller(it: Scene) -> None:
        it.dialogue.occupied = True
        await speaks(it, 1500)

    it, _ = converse(caller, hears)
    assert it.tts.said == ["Hello there."]


def test_a_session_that_turns_deaf_alone_costs_the_caller_a_pause_and_no_word() -> None:
    stt = FallibleStt("what time is it")
    stt.deaf = True

    async def caller(it: Scene) -> None:
        await it.quiet(1500)
        await it.speak(1500)
        await it.quiet(1500)
        stt.deaf = False
        await it.quiet(9000)

    it, ending = converse(caller, lambda: answering(stt))
    assert ending is None
    turn = it.turns[1]
    assert (turn.user_text, turn.heard_text) == ("what time is it", ANSWER)
    assert turn.first_packet_ms is not None
    assert turn.user_stopped_ms is not None
    assert turn.first_packet_ms - turn.user_stopped_ms < 4000


def test_a_recogniser_that_stays_deaf_ends_in_an_apology_and_not_in_silence() -> None:
    stt = FallibleStt()
    stt.deaf = True

    async def caller(it: Scene) -> None:
        await it.quiet(1500)
        await it.speak(1500)
        await it.quiet(7000)
        assert it.tts.said[-1] == ENGLISH.apology
        await it.quiet(9000)

    _, ending = converse(caller, lambda: answering(stt))
    assert ending is not None
    assert ending.reason is EndReason.PROVIDER_ERROR


def test_a_recogniser_that_turns_deaf_costs_the_caller_a_pause_and_no_word() -> None:
    stt = FallibleStt()
    stt.deaf = True
    other = ScriptedStt("what time is it")

    async def caller(it: Scene) -> None:
        await it.quiet(1500)
        await it.speak(600)
        await it.quiet(9000)

    it, ending = converse(caller, lambda: TwoEars(stt, other))
    assert ending is None
    turn = it.turns[1]
    assert (turn.user_text, turn.heard_text) == ("what time is it", ANSWER)
    assert turn.first_packet_ms is not None
    assert turn.user_stopped_ms is not None
    assert turn.first_packet_ms - turn.user_stopped_ms < 4200
