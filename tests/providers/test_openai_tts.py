"""Speech synthesis against a server that speaks the vendor's protocol."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import aiohttp
import pytest

from sovereign_ari.errors import ProviderRefused, ProviderUnavailable
from sovereign_ari.speech.endpoint import Endpoint
from sovereign_ari.speech.openai_tts import OpenAITextToSpeech, VoiceOptions
from tests.support.fake_openai import FakeOpenAI, Fault, fake_openai
from tests.support.tone_code import decode


@pytest.fixture
async def server() -> AsyncIterator[FakeOpenAI]:
    async with fake_openai(api_key="good") as server:
        yield server


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


def voice(session: aiohttp.ClientSession, base_url: str, key: str = "good") -> OpenAITextToSpeech:
    options = VoiceOptions("gpt-4o-mini-tts", "alloy", instructions="Calmly.", speed=1.1)
    return OpenAITextToSpeech(
        session, Endpoint(base_url, key), options, first_byte_s=0.5, next_chunk_s=0.5
    )


async def test_streams_whole_samples_of_what_was_asked(
    server: FakeOpenAI, session: aiohttp.ClientSession
) -> None:
    chunks = [chunk async for chunk in voice(session, server.base_url).speak("Good morning.")]
    assert len(chunks) > 1
    assert all(chunk and len(chunk) % 2 == 0 for chunk in chunks)
    assert decode(b"".join(chunks), 24000) == ["Good morning."]
    kind, body = server.journal.requests[0]
    assert (kind, body["voice"], body["speed"]) == ("speech", "alloy", 1.1)
    assert body["instructions"] == "Calmly."


async def test_audio_comes_before_the_sentence_is_complete(
    server: FakeOpenAI, session: aiohttp.ClientSession
) -> None:
    server.speech.chunk_s = 0.1
    async with aclosing(voice(session, server.base_url).speak("word " * 20)) as audio:  # type: ignore[type-var]
        assert await anext(audio)
        assert server.open == 1


async def test_a_listener_that_takes_its_time_is_not_the_servers_fault(
    server: FakeOpenAI, session: aiohttp.ClientSession
) -> None:
    server.speech.chunk_s = 0.6
    server.speech.render = lambda _text, rate_hz: bytes(rate_hz // 5 * 2)
    pieces = 0
    async for _ in voice(session, server.base_url).speak("word"):
        pieces += 1
        await asyncio.sleep(0.4)  # and the server is silent until 0.2 s later
    assert pieces > 1


async def test_closing_ends_the_request_at_once(
    server: FakeOpenAI, session: aiohttp.ClientSession
) -> None:
    server.speech.chunk_s = 0.2
    async with aclosing(voice(session, server.base_url).speak("word " * 50)) as audio:  # type: ignore[type-var]
        await anext(audio)
    await server.until(lambda: server.open == 0, timeout_s=1)


async def test_a_connection_is_used_again(
    server: FakeOpenAI, session: aiohttp.ClientSession
) -> None:
    speaker = voice(session, server.base_url)
    for text in ("one", "two", "three"):
        async for _ in speaker.speak(text):
            pass
    assert server.spoken == ["one", "two", "three"]
    assert session.connector is not None
    assert sum(len(held) for held in session.connector._conns.values()) == 1


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_passing_fault_may_be_tried_again(
    server: FakeOpenAI, session: aiohttp.ClientSession, status: int
) -> None:
    server.speech.faults.append(Fault(status=status, retry_after_s=3))
    with pytest.raises(ProviderUnavailable) as raised:
        await anext(voice(session, server.base_url).speak("Hello."))
    assert raised.value.retry_after_s == 3
    assert len(server.spoken) == 1


async def test_a_bad_key_is_refused_and_not_shown(
    server: FakeOpenAI, session: aiohttp.ClientSession
) -> None:
    with pytest.raises(ProviderRefused, match="the key is wrong") as raised:
        await anext(voice(session, server.base_url, "sk-wrong").speak("Hello."))
    assert "sk-wrong" not in str(raised.value)
    assert "sk-wrong" not in repr(Endpoint(server.base_url, "sk-wrong"))


@pytest.mark.parametrize(
    "fault",
    [
        Fault("hang"),
        Fault("hang", after=1),
        Fault("drop"),
        Fault("drop", after=1),
        Fault("silent"),
    ],
    ids=lambda fault: f"{fault.kind} after {fault.after}",
)
async def test_audio_that_does_not_end_properly_is_unavailable(
    server: FakeOpenAI, session: aiohttp.ClientSession, fault: Fault
) -> None:
    server.speech.faults.append(fault)
    heard = bytearray()

    async def listen() -> None:
        async for chunk in voice(session, server.base_url).speak("Hello there, caller."):
            heard.extend(chunk)

    with pytest.raises(ProviderUnavailable):
        await listen()
    assert bool(heard) == bool(fault.after)
    await server.until(lambda: server.open == 0)


@pytest.mark.parametrize(
    ("kind", "header"),
    [
        ("audio/mpeg", b""),
        ("audio/wav", b"RIFF"),
        ("audio/pcm;rate=16000", b""),
        ("application/json", b"{}"),
        ("audio/pcm", b"RIFF....WAVEfmt "),
        ("application/octet-stream", b"ID3"),
    ],
)
async def test_a_sound_that_was_not_asked_for_is_refused_and_not_played(
    server: FakeOpenAI, session: aiohttp.ClientSession, kind: str, header: bytes
) -> None:
    server.speech.kind, server.speech.header = kind, header
    with pytest.raises(ProviderRefused, match="not PCM at 24000 Hz"):
        await anext(voice(session, server.base_url).speak("Hello."))
    await server.until(lambda: server.open == 0)


@pytest.mark.parametrize(
    "kind", ["audio/pcm; rate=24000", "application/octet-stream", "AUDIO/PCM"]
)
async def test_a_sound_under_another_name_is_played(
    server: FakeOpenAI, session: aiohttp.ClientSession, kind: str
) -> None:
    server.speech.kind = kind
    chunks = [chunk async for chunk in voice(session, server.base_url).speak("Hello.")]
    assert decode(b"".join(chunks), 24000) == ["Hello."]


async def test_nobody_listening_is_unavailable(session: aiohttp.ClientSession) -> None:
    with pytest.raises(ProviderUnavailable, match="cannot be reached"):
        await anext(voice(session, "http://127.0.0.1:9/v1").speak("Hello."))
