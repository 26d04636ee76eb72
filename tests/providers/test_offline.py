"""The offline recogniser's process, the espeak-ng program, and the demo dialogue."""

from __future__ import annotations

import asyncio
import audioop
import os
import signal
from collections.abc import AsyncIterator
from typing import Any

import pytest

from sovereign_ari.errors import ProviderRefused, ProviderUnavailable
from sovereign_ari.media.pcm import PCM_16K, ULAW_8K, AudioFormat
from sovereign_ari.speech.base import Message, Token, ToolCall
from sovereign_ari.speech.demo import DEMO_LLM_OFFLINE, DEMO_STT_OFFLINE, DEMO_TTS_OFFLINE
from sovereign_ari.speech.espeak_tts import EspeakTextToSpeech
from sovereign_ari.speech.pocketsphinx_stt import PocketsphinxSpeechToText, PocketsphinxWorker
from sovereign_ari.speech.registry import ProviderRegistry, load_catalogue
from tests.support.speech_samples import silence, speech


@pytest.fixture
async def worker() -> AsyncIterator[PocketsphinxWorker]:
    async with PocketsphinxWorker() as worker:
        yield worker


async def heard(stt: Any, text: str, audio: AudioFormat = ULAW_8K) -> str:
    rate_hz = audio.rate_hz
    pcm = silence(0.2, rate_hz) + speech(text, rate_hz) + silence(0.4, rate_hz)
    wire = audioop.lin2ulaw(pcm, 2) if audio == ULAW_8K else pcm
    async with asyncio.timeout(20), stt.open(audio) as stream:
        for start in range(0, len(wire), audio.frame_bytes):
            await stream.send(wire[start : start + audio.frame_bytes])
        await stream.flush()
        async for transcript in stream:
            if transcript.final:
                return str(transcript.text)
    raise AssertionError("the stream ended")


async def test_the_demo_hears_and_answers_its_own_sentences() -> None:
    async with ProviderRegistry(openai_api_key=None, openai_base_url="http://x") as registry:
        stt = registry.speech_to_text(DEMO_STT_OFFLINE)
        llm = registry.language_model(DEMO_LLM_OFFLINE)
        for said, answer in [
            ("what are your opening hours", "We are open from nine in the morning"),
            ("i would like to make an appointment", "With pleasure. Which day"),
            ("on friday at ten o'clock", "friday, at ten o'clock. I have noted it."),
            ("yes please", "Good. Shall I tell you"),
            ("help", "You can say:"),
            ("thank you goodbye", "Thank you for calling. Goodbye!"),
        ]:
            words = await heard(stt, said)
            assert words == said
            parts = [part async for part in llm.reply([Message("user", words)], [])]
            text = "".join(part.text for part in parts if isinstance(part, Token))
            assert text.startswith(answer)
            calls = [part.name for part in parts if isinstance(part, ToolCall)]
            assert calls == (["end_call"] if "goodbye" in said else [])


def test_the_demo_blocks_are_valid() -> None:
    catalogue = load_catalogue()
    assert catalogue.validate("llm", DEMO_LLM_OFFLINE) == []
    assert catalogue.validate("stt", DEMO_STT_OFFLINE) == []
    assert catalogue.validate("tts", DEMO_TTS_OFFLINE) == []


async def test_speech_outside_the_grammar_is_not_forced_into_it(
    worker: PocketsphinxWorker,
) -> None:
    stt = PocketsphinxSpeechToText(worker, grammar=DEMO_STT_OFFLINE["grammar"])
    assert await heard(stt, "my cat likes to sleep under the kitchen table") == ""
    assert await heard(stt, "we should discuss the contract") == ""


async def test_wideband_audio_is_recognised_too(worker: PocketsphinxWorker) -> None:
    stt = PocketsphinxSpeechToText(worker, phrases=["opening hours", "goodbye"])
    assert await heard(stt, "opening hours", PCM_16K) == "opening hours"


async def test_words_are_reported_when_the_caller_pauses(worker: PocketsphinxWorker) -> None:
    stt = PocketsphinxSpeechToText(worker, phrases=["opening hours", "goodbye"])
    wire = audioop.lin2ulaw(silence(0.2) + speech("opening hours") + silence(0.4), 2)
    async with asyncio.timeout(20), stt.open(ULAW_8K) as stream:
        for start in range(0, len(wire), 160):
            await stream.send(wire[start : start + 160])
        async for transcript in stream:
            assert (transcript.text, transcript.final) == ("opening hours", False)
            break


async def test_free_dictation_hears_something(worker: PocketsphinxWorker) -> None:
    assert await heard(PocketsphinxSpeechToText(worker), "good morning")


@pytest.mark.parametrize(
    "config",
    [
        {"grammar": "#JSGF V1.0;\ngrammar g;\npublic <a> = <missing>;\n"},
        {"grammar": "#JSGF V1.0;\ngrammar g;\npublic <a> = xyzzyq;\n"},
        {"grammar": "nonsense"},
        {"phrases": ["xyzzyq please"]},
    ],
)
async def test_a_grammar_that_cannot_work_is_refused_and_hurts_nobody(
    worker: PocketsphinxWorker, config: dict[str, Any]
) -> None:
    with pytest.raises(ProviderRefused, match=r"grammar|xyzzyq"):
        await heard(PocketsphinxSpeechToText(worker, **config), "goodbye")
    good = PocketsphinxSpeechToText(worker, phrases=["goodbye", "hello"])
    assert await heard(good, "goodbye") == "goodbye"


async def test_a_crash_ends_the_calls_it_served_and_the_next_one_gets_a_new_process(
    worker: PocketsphinxWorker,
) -> None:
    stt = PocketsphinxSpeechToText(worker, phrases=["goodbye", "hello"])
    async with stt.open(ULAW_8K) as stream:
        first = worker.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        with pytest.raises(ProviderUnavailable, match="crashed"):
            async with asyncio.timeout(5):
                await anext(aiter(stream))
    assert await heard(stt, "goodbye") == "goodbye"
    assert worker.pid != first


async def test_the_process_ends_with_the_registry() -> None:
    async with ProviderRegistry(openai_api_key=None, openai_base_url="http://x") as registry:
        await heard(registry.speech_to_text(DEMO_STT_OFFLINE), "goodbye")
        pid = registry.recogniser_pid
    assert pid is not None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_a_text_that_looks_like_an_option_is_spoken() -> None:
    audio = b"".join([chunk async for chunk in EspeakTextToSpeech().speak("--version")])
    assert len(audio) > 22050


async def test_a_text_without_words_is_silence_and_no_error() -> None:
    audio = b"".join([chunk async for chunk in EspeakTextToSpeech().speak("...")])
    assert len(audio) % 2 == 0


async def test_a_missing_program_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(ProviderRefused, match="apt-get install espeak-ng"):
        await anext(EspeakTextToSpeech().speak("Hello."))
