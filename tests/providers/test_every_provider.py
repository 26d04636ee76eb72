"""What the conversation counts on, whoever the provider is, bare and as calls have it."""

from __future__ import annotations

import asyncio
import audioop
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sovereign_ari.errors import ProviderRefused
from sovereign_ari.media.pcm import ALAW_8K, G722_16K, ULAW_8K, Encoding
from sovereign_ari.speech.base import Message, SpeechStream, Token, ToolCall, Transcript
from sovereign_ari.speech.registry import ProviderRegistry
from tests.support.speech_samples import noise, silence, speech
from tests.support.vendors import GOOD, Makes, Vendors, all_vendors

SENTENCE = "Good morning, you are speaking with the reception."
PHRASES = ["yes", "no", "good morning", "i would like to make an appointment", "goodbye"]
STT: list[dict[str, Any]] = [
    {"provider": "openai"},
    {"provider": "pocketsphinx", "phrases": PHRASES},
    {"provider": "google"},
]
EVERY_STT = pytest.mark.parametrize("block", STT, ids=lambda block: block["provider"])
EVERY_TTS = pytest.mark.parametrize("provider", ["openai", "espeak", "google"])
EVERY_LLM = pytest.mark.parametrize(
    "provider", ["openai", "parrot", "openai_compatible", "mistral", "xai"]
)


@pytest.fixture(params=["bare", "wrapped"])
async def vendors(request: pytest.FixtureRequest) -> AsyncIterator[Vendors]:
    async with all_vendors(wrapped=request.param == "wrapped") as vendors:
        for voice in (vendors.openai.speech, vendors.google.voices):
            voice.render = lambda _text, rate_hz: speech(SENTENCE, rate_hz)
        vendors.openai.realtime.recognise = by_length
        vendors.google.speech.recognise = by_length
        yield vendors


@pytest.fixture
def make(vendors: Vendors) -> Makes:
    return vendors.make


def by_length(pcm_8k: bytes) -> str:
    """Tell two utterances and silence apart, as a recogniser would."""
    loud = sum(audioop.rms(pcm_8k[i : i + 320], 2) > 300 for i in range(0, len(pcm_8k) - 319, 320))
    return "" if loud < 8 else "yes" if loud < 40 else "i would like to make an appointment"


def children() -> set[int]:
    """Processes that this one has started, besides the keepers of its own library."""
    listed = Path("/proc/self/task").glob("*/children")
    pids = {int(pid) for file in listed for pid in file.read_text().split()}
    return {pid for pid in pids if "espeak" in Path(f"/proc/{pid}/comm").read_text()}


async def say(stream: SpeechStream, text: str) -> None:
    pcm = silence(0.2) + (speech(text) if text else silence(0.5)) + silence(0.4)
    await send(stream, audioop.lin2ulaw(pcm, 2))


async def send(stream: SpeechStream, ulaw: bytes) -> None:
    for start in range(0, len(ulaw), 160):
        await stream.send(ulaw[start : start + 160])


async def answer(stream: SpeechStream) -> Transcript:
    async with asyncio.timeout(15):
        async for transcript in stream:
            if transcript.final:
                return transcript
    raise AssertionError("the stream ended")


@EVERY_STT
async def test_hears_short_and_long_sentences_in_turn(make: Makes, block: dict[str, Any]) -> None:
    async with make.speech_to_text(block, GOOD).open(ULAW_8K) as stream:
        for text in ("i would like to make an appointment", "yes"):
            await say(stream, text)
            await stream.flush()
            assert await answer(stream) == Transcript(text, final=True, flushed=True)


@EVERY_STT
async def test_hears_nothing_in_silence(make: Makes, block: dict[str, Any]) -> None:
    async with make.speech_to_text(block, GOOD).open(ULAW_8K) as stream:
        await say(stream, "")
        await stream.flush()
        await stream.flush()
        assert await answer(stream) == Transcript("", final=True, flushed=True)
        assert await answer(stream) == Transcript("", final=True, flushed=True)


@EVERY_STT
async def test_two_calls_do_not_hear_each_other(make: Makes, block: dict[str, Any]) -> None:
    recogniser = make.speech_to_text(block, GOOD)
    async with recogniser.open(ULAW_8K) as one, recogniser.open(ULAW_8K) as other:
        await say(one, "yes")
        await say(other, "i would like to make an appointment")
        await one.flush()
        await other.flush()
        assert (await answer(one)).text == "yes"
        assert (await answer(other)).text == "i would like to make an appointment"


@EVERY_STT
async def test_leaving_in_the_middle_of_a_sentence_leaves_nothing(
    vendors: Vendors, make: Makes, block: dict[str, Any]
) -> None:
    async with make.speech_to_text(block, GOOD).open(ULAW_8K) as stream:
        await send(stream, audioop.lin2ulaw(speech("i would like to make")[:8000], 2))
        await stream.flush()
    await vendors.openai.until(lambda: vendors.open == 0)
    assert [transcript async for transcript in stream if not transcript.final] == []


@EVERY_STT
async def test_wideband_is_taken_as_samples(vendors: Vendors, block: dict[str, Any]) -> None:
    bare = vendors.registry.speech_to_text(block, GOOD)
    assert bare.format_for(G722_16K).encoding is Encoding.PCM16


@EVERY_STT
def test_g711_is_taken_as_it_is(make: Makes, block: dict[str, Any]) -> None:
    recogniser = make.speech_to_text(block, GOOD)
    assert recogniser.format_for(ULAW_8K) == ULAW_8K
    assert recogniser.format_for(ALAW_8K) == ALAW_8K
    assert recogniser.label.startswith(block["provider"])


@EVERY_TTS
async def test_speaks_at_telephone_level_without_clipping(make: Makes, provider: str) -> None:
    voice = make.text_to_speech({"provider": provider}, GOOD)
    chunks = [chunk async for chunk in voice.speak(SENTENCE)]
    assert len(chunks) > 1
    assert all(chunk and len(chunk) % 2 == 0 for chunk in chunks)
    sound = np.frombuffer(b"".join(chunks), dtype="<i2") / 32768
    assert 1.5 < len(sound) / voice.audio.rate_hz < 6
    assert np.abs(sound).max() < 0.97
    frames = sound[: len(sound) // 480 * 480].reshape(-1, 480)
    rms = np.sqrt(np.mean(frames**2, axis=1))
    level_dbfs = 20 * np.log10(np.sqrt(np.mean(rms[rms > 0.05 * rms.max()] ** 2)))
    assert -25 < level_dbfs < -15


@EVERY_TTS
async def test_stopping_in_the_middle_of_a_sentence_leaves_nothing(
    vendors: Vendors, make: Makes, provider: str
) -> None:
    voice = make.text_to_speech({"provider": provider}, GOOD)
    vendors.openai.speech.chunk_s = vendors.google.voices.chunk_s = 0.2
    async with aclosing(voice.speak("One, two, three, four, five. " * 200)) as audio:  # type: ignore[type-var]
        assert await anext(audio)
    assert children() == set()
    await vendors.openai.until(lambda: vendors.open == 0)


@EVERY_TTS
async def test_many_sentences_at_once_are_kept_apart(make: Makes, provider: str) -> None:
    voice = make.text_to_speech({"provider": provider}, GOOD)

    async def spoken() -> bytes:
        return b"".join([chunk async for chunk in voice.speak(SENTENCE)])

    first, *others = await asyncio.gather(*(spoken() for _ in range(5)))
    assert all(other == first for other in others)


@EVERY_LLM
async def test_answers_the_last_thing_said(vendors: Vendors, provider: str) -> None:
    model = vendors.make.language_model(vendors.block(provider), GOOD)
    history = [
        Message("system", "Be brief."),
        Message("user", "first"),
        Message("assistant", "You said: first"),
        Message("user", "second thing"),
    ]
    parts = [part async for part in model.reply(history, [])]
    tokens = [part.text for part in parts if isinstance(part, Token)]
    assert "".join(tokens) == "You said: second thing"
    assert len(tokens) > 1
    assert not any(isinstance(part, ToolCall) for part in parts)


@pytest.mark.parametrize(
    ("kind", "block", "reason"),
    [
        ("llm", {"provider": "openai"}, "needs OPENAI_API_KEY"),
        ("stt", {"provider": "openai"}, "needs OPENAI_API_KEY"),
        ("tts", {"provider": "openai"}, "needs OPENAI_API_KEY"),
        ("stt", {"provider": "google"}, "needs GOOGLE_APPLICATION_CREDENTIALS"),
        ("tts", {"provider": "google"}, "needs GOOGLE_APPLICATION_CREDENTIALS"),
        (
            "tts",
            {"provider": "google", "model": "gemini-2.5-pro-preview-tts"},
            "'chirp-3-hd' can",
        ),
        ("stt", {"provider": "deepgram"}, "cannot be used by this release"),
        ("tts", {"provider": "nobody"}, "is unknown"),
    ],
)
async def test_what_cannot_work_is_refused_with_a_reason(
    kind: str, block: dict[str, Any], reason: str
) -> None:
    async with ProviderRegistry(openai_api_key=None, openai_base_url="http://x") as registry:
        make = {
            "llm": registry.language_model,
            "stt": registry.speech_to_text,
            "tts": registry.text_to_speech,
        }[kind]
        with pytest.raises(ProviderRefused, match=reason):
            make(block)


async def test_warming_up_a_server_that_is_away_is_no_error() -> None:
    async with ProviderRegistry(
        openai_api_key="k", openai_base_url="http://127.0.0.1:9/v1"
    ) as registry:
        await registry.warm_up()


async def test_noise_is_not_a_word(make: Makes) -> None:
    async with make.speech_to_text(STT[1]).open(ULAW_8K) as stream:
        await send(stream, audioop.lin2ulaw(silence(0.3) + noise(0.6) + silence(0.4), 2))
        await stream.flush()
        assert (await answer(stream)).text == ""
