"""Streamed synthesis against a server that speaks the vendor's protocol."""

from __future__ import annotations

import asyncio
import audioop
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace

import pytest

from sovereign_ari.errors import ProviderError, ProviderRefused, ProviderUnavailable
from sovereign_ari.media.pcm import (
    ALAW_8K,
    G722_16K,
    PCM_8K,
    PCM_16K,
    ULAW_8K,
    AudioFormat,
)
from sovereign_ari.speech.google_credentials import GoogleAccount
from sovereign_ari.speech.google_rpc import GoogleCloud
from sovereign_ari.speech.google_tts import GoogleTextToSpeech, GoogleVoiceOptions
from tests.support.fake_google import FakeGoogle, fake_google, service_account
from tests.support.fake_google_faults import GoogleFault
from tests.support.tone_code import decode, encode

OPTIONS = GoogleVoiceOptions("Kore", "nl-NL", 1.25, first_byte_s=1.0, next_chunk_s=1.0)


@pytest.fixture
async def server() -> AsyncIterator[FakeGoogle]:
    async with fake_google() as server:
        yield server


@pytest.fixture
async def cloud(server: FakeGoogle) -> AsyncIterator[GoogleCloud]:
    cloud = GoogleCloud(server.servers)
    await cloud.module("google.cloud.texttospeech_v1.types.cloud_tts")
    yield cloud
    await cloud.close()


@pytest.fixture
def voice(cloud: GoogleCloud) -> GoogleTextToSpeech:
    return voice_of(cloud)


def voice_of(
    cloud: GoogleCloud, options: GoogleVoiceOptions = OPTIONS, name: str = "good"
) -> GoogleTextToSpeech:
    return GoogleTextToSpeech(cloud, GoogleAccount(service_account(name), own=True), options)


async def spoken(voice: GoogleTextToSpeech, text: str) -> bytes:
    async with aclosing(voice.speak(text)) as chunks:  # type: ignore[type-var]
        return b"".join([chunk async for chunk in chunks])


async def test_speaks_8_khz_in_the_voice_that_was_chosen(
    server: FakeGoogle, voice: GoogleTextToSpeech
) -> None:
    assert voice.audio == PCM_8K
    assert await spoken(voice, "Goedemorgen.") == encode("Goedemorgen.", 8000)
    config = server.voices.spoken[0].config
    assert config.voice.name == "nl-NL-Chirp3-HD-Kore"
    assert config.voice.language_code == "nl-NL"
    assert config.streaming_audio_config.audio_encoding.name == "PCM"
    assert config.streaming_audio_config.sample_rate_hertz == 8000
    assert config.streaming_audio_config.speaking_rate == 1.25
    assert voice.label == "google/chirp-3-hd"


@pytest.mark.parametrize(
    ("wire", "audio", "encoding"),
    [
        (ULAW_8K, ULAW_8K, "MULAW"),
        (ALAW_8K, ALAW_8K, "ALAW"),
        (G722_16K, PCM_16K, "PCM"),
        (PCM_16K, PCM_16K, "PCM"),
    ],
    ids=["ulaw", "alaw", "g722", "pcm"],
)
async def test_a_call_gets_what_its_wire_carries(
    server: FakeGoogle,
    voice: GoogleTextToSpeech,
    wire: AudioFormat,
    audio: AudioFormat,
    encoding: str,
) -> None:
    fitting = voice.for_wire(wire)
    assert fitting.audio == audio
    sound = await spoken(fitting, "Hello.")
    if audio == ULAW_8K:
        sound = audioop.ulaw2lin(sound, 2)
    if audio == ALAW_8K:
        sound = audioop.alaw2lin(sound, 2)
    assert decode(sound, audio.rate_hz) == ["Hello."]
    assert server.voices.spoken[0].config.streaming_audio_config.audio_encoding.name == encoding


async def test_chunks_are_whole_samples(server: FakeGoogle, voice: GoogleTextToSpeech) -> None:
    async with aclosing(voice.speak("Odd chunks.")) as chunks:  # type: ignore[type-var]
        sizes = [len(chunk) async for chunk in chunks]
    assert len(sizes) > 3
    assert all(size % 2 == 0 for size in sizes)
    assert sum(sizes) == len(encode("Odd chunks.", 8000))


async def test_mandarin_is_named_as_the_voices_name_it(
    server: FakeGoogle, cloud: GoogleCloud
) -> None:
    await spoken(voice_of(cloud, replace(OPTIONS, language="cmn-Hans-CN")), "Hi.")
    assert server.voices.spoken[0].config.voice.name == "cmn-CN-Chirp3-HD-Kore"


@pytest.mark.parametrize("text", ["word " * 3000, "é" * 9000, "x" * 9001], ids=["words", "é", "x"])
async def test_a_long_text_is_sent_in_pieces_and_nothing_of_it_is_lost(
    server: FakeGoogle, voice: GoogleTextToSpeech, text: str
) -> None:
    server.voices.render = lambda _text, _rate_hz: bytes(160)
    await spoken(voice, text)
    assert len(server.voices.spoken[0].texts) > 1
    assert "".join(server.voices.spoken[0].texts) == text


async def test_audio_comes_before_the_sentence_is_complete(
    server: FakeGoogle, voice: GoogleTextToSpeech
) -> None:
    server.voices.chunk_s = 0.3
    began_s = time.monotonic()
    async with aclosing(voice.speak("One, two, three, four.")) as chunks:  # type: ignore[type-var]
        assert await anext(chunks)
    assert time.monotonic() - began_s < 0.9


async def test_stopping_in_the_middle_ends_the_remote_call(
    server: FakeGoogle, voice: GoogleTextToSpeech
) -> None:
    server.voices.chunk_s = 0.05
    async with aclosing(voice.speak("One, two. " * 50)) as chunks:  # type: ignore[type-var]
        assert await anext(chunks)
        assert server.open == 1
    await server.until(lambda: server.open == 0)
    assert server.voices.spoken[0].sent < 10


async def test_a_task_that_is_cancelled_ends_the_remote_call(
    server: FakeGoogle, voice: GoogleTextToSpeech
) -> None:
    server.voices.first_byte_s = 60
    speaking = asyncio.create_task(spoken(voice, "Never."))
    await server.until(lambda: server.open == 1)
    speaking.cancel()
    await asyncio.wait([speaking])
    assert speaking.cancelled()
    await server.until(lambda: server.open == 0)


@pytest.mark.parametrize(
    ("fault", "error", "message"),
    [
        (GoogleFault(status=400), ProviderRefused, "INVALID_ARGUMENT"),
        (GoogleFault(status=403), ProviderRefused, "may not do this"),
        (GoogleFault(status=429, retry_after_s=7), ProviderUnavailable, "RESOURCE_EXHAUSTED"),
        (GoogleFault(status=503), ProviderUnavailable, "UNAVAILABLE"),
        (GoogleFault(status=503, after=2), ProviderUnavailable, "UNAVAILABLE"),
        (GoogleFault("hang"), ProviderUnavailable, "in time"),
        (GoogleFault("hang", after=2), ProviderUnavailable, "in time"),
        (GoogleFault("silent"), ProviderUnavailable, "no audio|early"),
    ],
    ids=["400", "403", "429", "503", "breaks off", "hang", "hangs midway", "silent"],
)
async def test_a_server_that_does_not_speak(
    server: FakeGoogle,
    voice: GoogleTextToSpeech,
    fault: GoogleFault,
    error: type[ProviderError],
    message: str,
) -> None:
    server.voices.faults.append(fault)
    with pytest.raises(error, match=message) as raised:
        await spoken(voice, "Hello there.")
    assert raised.value.retry_after_s == fault.retry_after_s
    assert server.voices.served == 1, "it was tried again"
    await server.until(lambda: server.open == 0)


async def test_a_bad_key_is_refused(server: FakeGoogle, cloud: GoogleCloud) -> None:
    with pytest.raises(ProviderRefused, match="the key is wrong"):
        await spoken(voice_of(cloud, name="bad"), "Hello.")


async def test_a_server_that_dies_is_unavailable_and_serves_when_it_is_back(
    server: FakeGoogle, voice: GoogleTextToSpeech
) -> None:
    server.voices.chunk_s = 0.05
    async with aclosing(voice.speak("One, two. " * 50)) as chunks:  # type: ignore[type-var]
        assert await anext(chunks)
        await server.die()
        with pytest.raises(ProviderUnavailable):
            [chunk async for chunk in chunks]
    with pytest.raises(ProviderUnavailable):
        await spoken(voice, "Nobody there.")
    await server.live()
    server.voices.chunk_s = 0
    async with asyncio.timeout(10):
        while not await _heard(voice):  # noqa: ASYNC110 - gRPC pauses before it connects again
            await asyncio.sleep(0.05)


async def _heard(voice: GoogleTextToSpeech) -> bool:
    try:
        return decode(await spoken(voice, "Back."), 8000) == ["Back."]
    except ProviderUnavailable:
        return False
