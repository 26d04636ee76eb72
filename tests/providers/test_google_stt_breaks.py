"""Streams that break or grow too old: no word is lost, and none is heard twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from sovereign_ari.errors import ProviderUnavailable
from sovereign_ari.media.pcm import ULAW_8K
from sovereign_ari.speech.base import Transcript
from sovereign_ari.speech.google_rpc import GoogleCloud
from sovereign_ari.speech.google_stt import GoogleSpeechToText
from tests.support.fake_google import FakeGoogle, fake_google
from tests.support.fake_google_faults import GoogleFault
from tests.support.google_hearing import (
    LIMITS,
    PAUSE,
    audio_of,
    finals,
    flushed,
    recogniser,
    send,
)


@pytest.fixture
async def server() -> AsyncIterator[FakeGoogle]:
    async with fake_google() as server:
        yield server


@pytest.fixture
async def cloud(server: FakeGoogle) -> AsyncIterator[GoogleCloud]:
    cloud = GoogleCloud(server.servers)
    yield cloud
    await cloud.close()


@pytest.fixture
def stt(cloud: GoogleCloud) -> GoogleSpeechToText:
    return recogniser(cloud)


async def test_a_broken_stream_loses_no_word(server: FakeGoogle, stt: GoogleSpeechToText) -> None:
    server.speech.faults.append(GoogleFault("status", status=503, after=1, times=1))
    server.speech.vad = True
    async with stt.open(ULAW_8K) as stream:
        await send(stream, audio_of("heard") + PAUSE)
        assert await finals(stream) == [Transcript("heard", final=True)]
        await send(stream, audio_of("do not lose me"))
        await stream.flush()  # the server breaks off instead of answering
        assert await finals(stream) == [Transcript("do not lose me", final=True, flushed=True)]
        await send(stream, audio_of("after"))
        await stream.flush()
        assert await finals(stream) == [Transcript("after", final=True, flushed=True)]


async def test_a_stream_that_breaks_while_the_caller_speaks_loses_no_word(
    server: FakeGoogle, stt: GoogleSpeechToText
) -> None:
    server.speech.faults.append(GoogleFault("status", after_s=0.1, times=1))
    speech = audio_of("spoken across a break")
    async with stt.open(ULAW_8K) as stream:
        await send(stream, speech[:8000])
        await server.until(lambda: len(server.speech.sessions) == 2)
        await send(stream, speech[8000:])
        await stream.flush()
        assert (await finals(stream))[0].text == "spoken across a break"


async def test_a_server_that_dies_and_comes_back_loses_no_word(
    server: FakeGoogle, stt: GoogleSpeechToText
) -> None:
    speech = audio_of("spoken across a death")
    async with stt.open(ULAW_8K) as stream:
        await send(stream, speech[:8000])
        await server.until(lambda: len(server.speech.sessions) == 1)
        await server.die()
        await server.live()
        await send(stream, speech[8000:])
        await stream.flush()
        assert (await finals(stream))[0].text == "spoken across a death"


async def test_a_server_that_stays_dead_is_unavailable(
    server: FakeGoogle, stt: GoogleSpeechToText
) -> None:
    async with stt.open(ULAW_8K) as stream:
        await send(stream, audio_of("hello"))
        await server.die()
        await stream.flush()
        with pytest.raises(ProviderUnavailable, match="again and again"):
            await finals(stream)
        with pytest.raises(ProviderUnavailable):
            await stream.send(bytes(160))


async def test_a_server_that_is_not_there_is_not_entered(
    server: FakeGoogle, stt: GoogleSpeechToText
) -> None:
    await server.die()
    with pytest.raises(ProviderUnavailable):
        async with stt.open(ULAW_8K):
            raise AssertionError("entered")


@pytest.mark.parametrize("pauses", [True, False], ids=["with pauses", "without a pause"])
async def test_the_limit_of_a_stream_is_crossed_without_losing_or_doubling_a_word(
    server: FakeGoogle, cloud: GoogleCloud, pauses: bool
) -> None:
    server.speech.limit_s = 1.2
    server.speech.live = server.speech.vad = True
    stt = recogniser(cloud, replace(LIMITS, stream_s=0.3, longest_s=0.6))
    words = [f"word{number}" for number in range(12)]
    async with stt.open(ULAW_8K) as stream:
        reading = asyncio.create_task(flushed(stream))
        for word in words:
            speech = audio_of(word) + (PAUSE if pauses else b"")
            for start in range(0, len(speech), 800):
                await stream.send(speech[start : start + 800])
                await asyncio.sleep(0.02)  # five times as fast as a caller
        await stream.flush()
        assert await reading == words
    assert len(server.speech.sessions) >= 3
    assert server.speech.overrun == 0


async def test_a_stream_that_the_server_ends_at_its_limit_loses_no_word(
    server: FakeGoogle, cloud: GoogleCloud
) -> None:
    server.speech.limit_s = 0.6
    server.speech.live = True
    speech = audio_of("said at the very limit")
    async with recogniser(cloud).open(ULAW_8K) as stream:
        await send(stream, speech[:8000])
        await server.until(lambda: len(server.speech.sessions) == 2)
        await send(stream, speech[8000:])
        await stream.flush()
        assert await flushed(stream) == "said at the very limit".split()
    assert server.speech.overrun >= 1


async def test_an_endless_silence_is_crossed_with_little_to_send_again(
    server: FakeGoogle, cloud: GoogleCloud
) -> None:
    stt = recogniser(cloud, replace(LIMITS, stream_s=0.1, quiet_kept_s=0.2))
    async with stt.open(ULAW_8K) as stream:
        for _ in range(40):
            await stream.send(b"\xff" * 800)
            await asyncio.sleep(0.01)
        await send(stream, audio_of("at last"))
        await stream.flush()
        assert await flushed(stream) == ["at", "last"]
    resent = [session.messages[0] for session in server.speech.sessions[1:]]
    assert len(resent) > 1
    assert sorted(resent)[len(resent) // 2] <= 2400
    assert max(resent) < 16_000, "half of the silence was sent again at once"
