"""What is said on our own account is said in the assistant's language, in every situation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, replace
from typing import Any

import pytest

from sovereign_ari.apologies import Apologies, speak_apologies
from sovereign_ari.conversation.own_words import ENGLISH, OWN_WORDS, OwnWords, own_words
from sovereign_ari.conversation.terms import Ending
from sovereign_ari.domain.records import EndReason
from sovereign_ari.errors import ProviderUnavailable
from sovereign_ari.media.pcm import PCM_8K
from sovereign_ari.speech.base import ReplyPart
from sovereign_ari.speech.registry import ProviderRegistry
from tests.support.scripted_speech import ScriptedLlm, ScriptedStt, hang_up_call
from tests.unit.conversation.test_dialogue import ASSISTANT, Scene, converse

OTHERS = [language for language in OWN_WORDS if language != "en"]


def lines_of(words: OwnWords) -> list[str]:
    return [*words.fillers, *(line for line in astuple(words) if isinstance(line, str))]


async def one_question(it: Scene) -> None:
    await it.quiet(1500)
    await it.speak(600)
    await it.quiet(14_000)


def answered(
    language: str, *answers: ReplyPart | ProviderUnavailable
) -> tuple[Scene, Ending | None]:
    assistant = replace(ASSISTANT, stt={"language": language})
    llm = ScriptedLlm(lambda _: list(answers))
    return converse(
        one_question, lambda: Scene(stt=ScriptedStt("bye"), llm=llm, assistant=assistant)
    )


@pytest.mark.parametrize("language", ["en", "nl", "de", "fr", "es"])
def test_the_apology_is_in_the_assistants_language(language: str) -> None:
    it, ending = answered(language, ProviderUnavailable("gone"))
    assert ending is not None
    assert ending.reason is EndReason.PROVIDER_ERROR
    assert it.tts.said[-1] == OWN_WORDS[language].apology


@pytest.mark.parametrize("language", ["nl", "de", "fr", "es"])
def test_the_farewell_of_a_model_that_hangs_up_in_silence_is_in_its_language(
    language: str,
) -> None:
    it, ending = answered(language, hang_up_call())
    assert ending == Ending(EndReason.ASSISTANT_HANGUP)
    assert it.turns[1].heard_text == OWN_WORDS[language].farewell


@pytest.mark.parametrize("language", ["nl", "de", "fr", "es"])
def test_the_end_of_the_longest_call_is_told_in_the_assistants_language(language: str) -> None:
    async def caller(it: Scene) -> None:
        await it.quiet(1500)
        it.dialogue.time_is_up()
        await it.quiet(9000)

    assistant = replace(ASSISTANT, tts={"language": language})
    it, ending = converse(caller, lambda: Scene(assistant=assistant))
    assert ending == Ending(EndReason.MAX_DURATION)
    assert it.tts.said[-1] == OWN_WORDS[language].time_is_up


@pytest.mark.parametrize("language", OTHERS)
def test_no_line_was_left_in_english(language: str) -> None:
    own, english = lines_of(OWN_WORDS[language]), lines_of(ENGLISH)
    assert all(line.strip() and line[-1] in ".?" for line in own)
    assert not set(own) & set(english)


@pytest.mark.parametrize(
    ("tts", "stt", "language"),
    [
        ({"language": "nl-NL"}, {"language": "de"}, "nl"),
        ({"language": "FR"}, {}, "fr"),
        ({}, {"language": "es-ES"}, "es"),
        ({"language": "multi"}, {"language": "multi"}, "en"),
        ({"language": "nld"}, {"language": None}, "en"),
        ({"language": "ja"}, {"language": "de"}, "de"),
        ({"language": 7}, {}, "en"),
        ({"provider": "espeak", "voice_id": "nl"}, {}, "nl"),
        ({"provider": "espeak", "voice_id": "fr-be"}, {"language": "nl"}, "fr"),
        ({"provider": "espeak"}, {"language": "nl"}, "nl"),
        ({"provider": "google", "voice_id": "de-DE-Chirp3-HD-Kore"}, {}, "de"),
        ({"provider": "google", "voice_id": "Kore"}, {"language": "it"}, "it"),
        ({"provider": "elevenlabs", "voice_id": "de"}, {"language": "pl"}, "pl"),
    ],
)
def test_the_voice_names_the_language_before_the_recogniser(
    tts: Mapping[str, Any], stt: Mapping[str, Any], language: str
) -> None:
    assert own_words(replace(ASSISTANT, tts=tts, stt=stt)) is OWN_WORDS[language]


async def test_every_apology_is_spoken_beforehand() -> None:
    async with ProviderRegistry(
        openai_api_key=None, openai_base_url="http://127.0.0.1:9"
    ) as registry:
        apologies = await speak_apologies(registry)
    heard = {lang: apologies.of(replace(ASSISTANT, tts={"language": lang})) for lang in OWN_WORDS}
    assert len(set(heard.values())) == len(OWN_WORDS)
    assert all(1 < apologies.audio.seconds(len(sound)) < 12 for sound in heard.values())
    assert apologies.of(replace(ASSISTANT, tts={"language": "ja"})) == heard["en"]


def test_a_language_that_could_not_be_spoken_is_apologised_for_in_english() -> None:
    apologies = Apologies(PCM_8K, {"en": b"sorry", "nl": b""})
    assert apologies.of(replace(ASSISTANT, tts={"language": "nl"})) == b"sorry"


def test_without_an_offline_voice_there_is_none() -> None:
    assert Apologies(PCM_8K, {}).of(ASSISTANT) == b""
