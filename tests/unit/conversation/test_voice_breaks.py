"""Voices that break off in the middle of a piece: what is asked for then, and what was heard."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sovereign_ari.conversation.voice import Speech
from sovereign_ari.errors import ProviderRefused, ProviderUnavailable
from sovereign_ari.media.pcm import PCM_8K, PCM_24K
from sovereign_ari.speech.resilience.candidate import Candidate
from sovereign_ari.speech.resilience.notes import ProviderNotes, unnoted
from sovereign_ari.speech.resilience.text_to_speech import ResilientTextToSpeech
from tests.support.scripted_speech import TimedMouth
from tests.support.scripted_voice import LETTER_S, ScriptedVoice, Voicing
from tests.support.virtual_time import run_in_virtual_time

TEXT = "I can offer you a table for four at eight o'clock on Friday evening by the window."
BAD_KEY = ProviderRefused("the key is wrong")


class Stage:
    """A reply being spoken by voices that break off."""

    def __init__(self, *voices: ScriptedVoice) -> None:
        self.mouth = TimedMouth(PCM_8K)
        for number, voice in enumerate(voices):
            voice.label = f"voice/{'abcd'[number]}"
        tts = ResilientTextToSpeech(
            [Candidate(voice, voice.label) for voice in voices], ProviderNotes(unnoted, "tts")
        )
        self.voices = voices
        self.speech = Speech(tts, self.mouth, asyncio.get_running_loop().time)

    @property
    def asked(self) -> list[list[str]]:
        return [voice.asked for voice in self.voices]


def on_stage(act: Callable[[Stage], Awaitable[None]], *voices: ScriptedVoice) -> Stage:
    async def scene() -> Stage:
        stage = Stage(*voices)
        await act(stage)
        return stage

    return run_in_virtual_time(scene())


async def says_all(stage: Stage) -> None:
    await stage.speech.say(TEXT)
    await stage.speech.finish()
    assert stage.speech.heard == TEXT
    assert not stage.speech.failed


def words_said(text: str, audio_s: float) -> int:
    """How many words the scripted voice has said completely in this time."""
    return len(text[: round(audio_s / LETTER_S)].split()) - (
        0 if text[round(audio_s / LETTER_S) :][:1] in (" ", "") else 1
    )


@pytest.mark.parametrize("breaks_s", [0.1, 0.5, 1.0, 2.0, 3.0, 4.0, 4.5, 4.9])
def test_the_voice_is_asked_for_the_words_that_did_not_come(breaks_s: float) -> None:
    stage = on_stage(says_all, ScriptedVoice(Voicing(breaks_s=breaks_s), Voicing()))
    first, rest = stage.voices[0].asked
    assert first == TEXT
    assert TEXT.endswith(rest)
    again = words_said(TEXT, breaks_s) - len(TEXT.removesuffix(rest).split())
    assert again >= 0, "words are missing"
    assert again <= 2 + breaks_s, "too many words are said again"


def test_once_the_pace_of_a_voice_is_known_hardly_a_word_is_said_again() -> None:
    for breaks_s in (0.5, 1.0, 2.0, 3.0, 4.0, 4.5):

        async def act(stage: Stage) -> None:
            await stage.speech.say("Let me see what I can do for you.")
            await stage.speech.say(TEXT)

        stage = on_stage(act, ScriptedVoice(Voicing(), Voicing(breaks_s=breaks_s), Voicing()))
        rest = stage.voices[0].asked[-1]
        again = words_said(TEXT, breaks_s) - len(TEXT.removesuffix(rest).split())
        assert 0 <= again <= 2


def test_another_voice_goes_on_where_the_first_cannot() -> None:
    stage = on_stage(
        says_all,
        ScriptedVoice(Voicing(breaks_s=2.0), Voicing(BAD_KEY)),
        ScriptedVoice(audio=PCM_24K),
    )
    rest = stage.voices[0].asked[1]
    assert stage.asked == [[TEXT, rest], [rest]]


@pytest.mark.parametrize("heard_s", [0.5, 1.5, 1.9, 2.2, 2.6, 3.0, 4.0, 5.0])
def test_what_was_heard_of_both_voices_is_known_to_the_word(heard_s: float) -> None:
    """The second voice says the words from `rest` on, right behind the first."""
    breaks_s = 2.0

    async def act(stage: Stage) -> None:
        await stage.speech.say(TEXT)
        rest = stage.voices[1].asked[0]
        await asyncio.sleep(heard_s - stage.speech._mouth.sent_bytes / 16000)
        stage.speech.cut()
        of_the_first = words_said(TEXT, min(heard_s, breaks_s))
        of_the_second = 0
        if heard_s > breaks_s:
            of_the_second = len(TEXT.removesuffix(rest).split())
            of_the_second += words_said(rest, heard_s - breaks_s)
        assert abs(len(stage.speech.heard.split()) - max(of_the_first, of_the_second)) <= 1
        assert TEXT.startswith(stage.speech.heard)

    on_stage(act, ScriptedVoice(Voicing(breaks_s=breaks_s), Voicing(BAD_KEY)), ScriptedVoice())


def test_a_voice_that_breaks_off_again_and_again_is_given_up() -> None:
    async def act(stage: Stage) -> None:
        with pytest.raises(ProviderUnavailable):
            await stage.speech.say(TEXT)
        assert stage.speech.failed

    broken = Voicing(breaks_s=0.3)
    for voices in (1, 2, 3, 4):
        stage = on_stage(act, *(ScriptedVoice(broken) for _ in range(voices)))
        assert [len(asked) for asked in stage.asked] == [2] * voices


def test_a_lonely_voice_that_stalls_again_and_again_costs_a_few_seconds() -> None:
    async def act(stage: Stage) -> None:
        began_s = asyncio.get_running_loop().time()
        with pytest.raises(ProviderUnavailable):
            await stage.speech.say(TEXT)
        assert asyncio.get_running_loop().time() - began_s < 6.5

    on_stage(act, ScriptedVoice(Voicing(stalls_s=0.2)))


def test_a_voice_that_stalls_leaves_no_long_silence() -> None:
    async def act(stage: Stage) -> None:
        saying = asyncio.create_task(stage.speech.say(TEXT))
        dry_s, loop = 0.0, asyncio.get_running_loop()
        while not saying.done():
            await asyncio.sleep(0.01)
            if stage.mouth.first_sent_s is not None and stage.mouth.queued_s <= 0:
                dry_s += 0.01
        await saying
        assert 1.0 < dry_s < 1.5
        assert loop.time() < 10

    on_stage(act, ScriptedVoice(Voicing(stalls_s=1.0)), ScriptedVoice())


def test_all_that_is_asked_for_is_counted() -> None:
    stage = on_stage(says_all, ScriptedVoice(Voicing(breaks_s=2.0), Voicing()))
    assert stage.speech.characters == sum(map(len, stage.voices[0].asked))


WORDS = st.lists(st.text("abcdefgh", min_size=1, max_size=12), min_size=1, max_size=25)


@given(words=WORDS, breaks=st.lists(st.floats(0.1, 3.0), max_size=3))
def test_whatever_breaks_no_word_is_missing_and_all_of_it_was_heard(
    words: list[str], breaks: list[float]
) -> None:
    text = " ".join(words)

    async def act(stage: Stage) -> None:
        await stage.speech.say(text)
        await stage.speech.finish()
        assert stage.speech.heard == text

    voice = ScriptedVoice(*(Voicing(breaks_s=at_s) for at_s in breaks), Voicing())
    on_stage(act, voice, voice)
    for (before, rest), at_s in zip(
        zip(voice.asked, voice.asked[1:], strict=False), breaks, strict=False
    ):
        assert before.endswith(rest)
        assert len(before.removesuffix(rest).split()) <= words_said(before, at_s + 0.1)
