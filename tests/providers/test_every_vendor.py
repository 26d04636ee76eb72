"""What holds of every vendor whose server fails, is slow, or refuses our key.

Of the adapters alone, and as calls have them: behind circuits and retries, without a fall-back.
"""

from __future__ import annotations

import asyncio
import audioop
import time
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from sovereign_ari.errors import ProviderRefused, ProviderUnavailable
from sovereign_ari.media.pcm import ULAW_8K
from sovereign_ari.speech.base import Message, SpeechToText, Token, Transcript
from sovereign_ari.speech.registry import Keys
from tests.support.tone_code import decode, encode
from tests.support.vendors import BAD, GOOD, Trouble, Vendors, all_vendors

STT = pytest.mark.parametrize("provider", ["openai", "google"])
TTS = pytest.mark.parametrize("provider", ["openai", "google"])
LLM = pytest.mark.parametrize("provider", ["openai", "openai_compatible", "mistral", "xai"])
FAILING = pytest.mark.parametrize(
    "trouble",
    [Trouble(status=500), Trouble(status=503), Trouble(after=1), Trouble(silent=True)],
    ids=["500", "503", "breaks off", "says nothing"],
)
HELLO = [Message("user", "hello")]


@pytest.fixture(params=["bare", "wrapped"])
async def vendors(request: pytest.FixtureRequest) -> AsyncIterator[Vendors]:
    async with all_vendors(wrapped=request.param == "wrapped") as vendors:
        yield vendors


def recogniser(vendors: Vendors, provider: str, keys: Keys = GOOD) -> SpeechToText:
    return vendors.make.speech_to_text(vendors.block(provider), keys)


async def hear(stt: SpeechToText, *texts: str) -> list[str]:
    """Say texts without a pause, flush, and return the words."""
    words: list[str] = []
    async with asyncio.timeout(20), stt.open(ULAW_8K) as stream:
        for text in texts:
            audio = audioop.lin2ulaw(encode(text, 8000), 2)
            for start in range(0, len(audio), 800):
                await stream.send(audio[start : start + 800])
        await stream.flush()
        async for transcript in stream:
            if transcript.final:
                words += transcript.text.split()
            if transcript.flushed:
                return words
    raise AssertionError("the stream ended")


async def say(vendors: Vendors, provider: str, text: str, keys: Keys = GOOD) -> list[str]:
    voice = vendors.make.text_to_speech(vendors.block(provider), keys)
    async with aclosing(voice.speak(text)) as chunks:  # type: ignore[type-var]
        sound = b"".join([chunk async for chunk in chunks])
    return decode(sound, voice.audio.rate_hz)


async def reply(vendors: Vendors, provider: str, keys: Keys = GOOD) -> str:
    model = vendors.make.language_model(vendors.block(provider), keys)
    parts = [part async for part in model.reply(HELLO, ())]
    return "".join(part.text for part in parts if isinstance(part, Token))


@STT
async def test_a_recogniser_refuses_a_bad_key_once(vendors: Vendors, provider: str) -> None:
    with pytest.raises(ProviderRefused, match="the key is wrong") as raised:
        await hear(recogniser(vendors, provider, BAD), "hello")
    assert not raised.value.retryable
    assert vendors.shown == 1, "it was tried again"


@TTS
async def test_a_voice_refuses_a_bad_key_once(vendors: Vendors, provider: str) -> None:
    with pytest.raises(ProviderRefused, match="the key is wrong"):
        await say(vendors, provider, "hello", BAD)
    assert vendors.shown == 1, "it was tried again"


@LLM
async def test_a_model_refuses_a_bad_key_once(vendors: Vendors, provider: str) -> None:
    with pytest.raises(ProviderRefused, match="the key is wrong"):
        await reply(vendors, provider, BAD)
    assert vendors.shown == 1, "it was tried again"


@STT
async def test_a_recogniser_that_is_throttled_says_until_when(
    vendors: Vendors, provider: str
) -> None:
    vendors.trouble("stt", provider, Trouble(status=429))
    with pytest.raises(ProviderUnavailable) as raised:
        await hear(recogniser(vendors, provider), "hello")
    assert raised.value.retry_after_s == 4
    assert vendors.served("stt", provider) == 1, "it was tried again at once"


@TTS
async def test_a_voice_that_is_throttled_says_until_when(vendors: Vendors, provider: str) -> None:
    vendors.trouble("tts", provider, Trouble(status=429))
    with pytest.raises(ProviderUnavailable) as raised:
        await say(vendors, provider, "hello")
    assert raised.value.retry_after_s == 4


@LLM
async def test_a_model_that_is_throttled_says_until_when(vendors: Vendors, provider: str) -> None:
    vendors.trouble("llm", provider, Trouble(status=429))
    with pytest.raises(ProviderUnavailable) as raised:
        await reply(vendors, provider)
    assert raised.value.retry_after_s == 4


@STT
async def test_a_recogniser_that_breaks_off_while_we_speak_loses_no_word(
    vendors: Vendors, provider: str
) -> None:
    vendors.trouble("stt", provider, Trouble(after_s=0.05, times=1))
    speech = audioop.lin2ulaw(encode("across a break", 8000), 2)
    async with asyncio.timeout(10), recogniser(vendors, provider).open(ULAW_8K) as stream:
        await stream.send(speech[:4000])
        await vendors.openai.until(lambda: vendors.served("stt", provider) == 2)
        await stream.send(speech[4000:])
        await stream.flush()
        finals = [t async for t in _until_flushed(stream.__aiter__()) if t.final]
    assert " ".join(t.text for t in finals) == "across a break"


async def _until_flushed(transcripts: AsyncIterator[Transcript]) -> AsyncIterator[Transcript]:
    async for transcript in transcripts:
        yield transcript
        if transcript.flushed:
            return


@STT
async def test_a_recogniser_that_keeps_breaking_off_is_unavailable(
    vendors: Vendors, provider: str
) -> None:
    vendors.trouble("stt", provider, Trouble(after_s=0.01))

    async def listen() -> None:
        async with asyncio.timeout(10), recogniser(vendors, provider).open(ULAW_8K) as stream:
            await stream.send(bytes(8000))
            async for _ in stream:
                raise AssertionError("a word")

    with pytest.raises(ProviderUnavailable):
        await listen()
    await vendors.openai.until(lambda: vendors.open == 0)


@TTS
@FAILING
async def test_a_voice_that_fails_is_unavailable(
    vendors: Vendors, provider: str, trouble: Trouble
) -> None:
    vendors.trouble("tts", provider, trouble)
    with pytest.raises(ProviderUnavailable):
        await say(vendors, provider, "hello, this is a sentence")
    await vendors.openai.until(lambda: vendors.open == 0)


@LLM
@FAILING
async def test_a_model_that_fails_is_unavailable(
    vendors: Vendors, provider: str, trouble: Trouble
) -> None:
    vendors.trouble("llm", provider, trouble)
    with pytest.raises(ProviderUnavailable):
        await reply(vendors, provider)
    await vendors.openai.until(lambda: vendors.open == 0)


@STT
async def test_a_slow_recogniser_is_waited_for(vendors: Vendors, provider: str) -> None:
    vendors.slow(0.8)
    assert await hear(recogniser(vendors, provider), "take your time") == ["take", "your", "time"]


@TTS
async def test_a_slow_voice_is_waited_for(vendors: Vendors, provider: str) -> None:
    vendors.slow(0.8)
    assert await say(vendors, provider, "take your time") == ["take your time"]


@LLM
async def test_a_slow_model_is_waited_for(vendors: Vendors, provider: str) -> None:
    vendors.slow(0.8)
    assert await reply(vendors, provider) == "You said: hello"


@STT
async def test_a_long_speech_is_heard_whole(vendors: Vendors, provider: str) -> None:
    texts = [f"part number {number}" for number in range(5)]
    assert await hear(recogniser(vendors, provider), *texts) == " ".join(texts).split()


@TTS
async def test_a_long_sentence_is_spoken_whole(vendors: Vendors, provider: str) -> None:
    text = "and so on " * 40
    voice = vendors.make.text_to_speech(vendors.block(provider), GOOD)
    async with aclosing(voice.speak(text)) as chunks:  # type: ignore[type-var]
        size = sum([len(chunk) async for chunk in chunks])
    assert size == len(encode(text, voice.audio.rate_hz))


@LLM
async def test_a_long_reply_comes_whole(vendors: Vendors, provider: str) -> None:
    words = " ".join(f"word{number}" for number in range(3000))
    vendors.openai.reply = lambda _messages, _tools: words
    assert await reply(vendors, provider) == words


@STT
async def test_silence_is_answered_with_nothing(vendors: Vendors, provider: str) -> None:
    async with asyncio.timeout(10), recogniser(vendors, provider).open(ULAW_8K) as stream:
        await stream.send(b"\xff" * 8000)
        await stream.flush()
        async for transcript in stream:
            assert transcript == Transcript("", final=True, flushed=True)
            break


@LLM
async def test_a_reply_that_is_cut_ends_the_request(vendors: Vendors, provider: str) -> None:
    vendors.openai.chat.token_s = 0.2
    vendors.openai.reply = lambda _messages, _tools: "one two three four five six seven"
    model = vendors.make.language_model(vendors.block(provider), GOOD)
    async with aclosing(model.reply(HELLO, ())) as parts:  # type: ignore[type-var]
        assert isinstance(await anext(parts), Token)
    began_s = time.monotonic()
    await vendors.openai.until(lambda: vendors.open == 0)
    assert time.monotonic() - began_s < 0.6
