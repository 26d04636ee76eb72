"""Realtime transcription against a server that speaks the vendor's protocol."""

from __future__ import annotations

import asyncio
import audioop
from collections.abc import AsyncIterator

import aiohttp
import pytest

from sovereign_ari.errors import ProviderError, ProviderRefused, ProviderUnavailable
from sovereign_ari.media.pcm import ALAW_8K, G722_16K, PCM_24K, ULAW_8K, AudioFormat
from sovereign_ari.speech.base import SpeechStream, Transcript
from sovereign_ari.speech.endpoint import Endpoint
from sovereign_ari.speech.openai_stt import OpenAISpeechToText, TranscriptionOptions
from sovereign_ari.speech.openai_stt_stream import StreamLimits
from tests.support.fake_openai import FakeOpenAI, Fault, fake_openai
from tests.support.tone_code import encode

LIMITS = StreamLimits(connect_s=1.0, send_s=1.0, answer_s=1.0, kept_s=10.0)
FLUSHED_EMPTY = Transcript("", final=True, flushed=True)


@pytest.fixture
async def server() -> AsyncIterator[FakeOpenAI]:
    async with fake_openai(api_key="good") as server:
        yield server


@pytest.fixture
async def stt(server: FakeOpenAI) -> AsyncIterator[OpenAISpeechToText]:
    async with aiohttp.ClientSession() as session:
        yield OpenAISpeechToText(
            session,
            Endpoint(server.base_url, "good"),
            TranscriptionOptions("gpt-4o-transcribe", "nl"),
            LIMITS,
        )


def audio_of(text: str, audio: AudioFormat = ULAW_8K) -> bytes:
    pcm = encode(text, audio.rate_hz)
    if audio == ULAW_8K:
        return audioop.lin2ulaw(pcm, 2)
    return audioop.lin2alaw(pcm, 2) if audio == ALAW_8K else pcm


async def send(stream: SpeechStream, audio: bytes, frame_bytes: int = 160) -> None:
    for start in range(0, len(audio), frame_bytes):
        await stream.send(audio[start : start + frame_bytes])


async def finals(stream: SpeechStream, count: int = 1) -> list[Transcript]:
    found: list[Transcript] = []
    async with asyncio.timeout(10):
        async for transcript in stream:
            if transcript.final:
                found.append(transcript)
                if len(found) == count:
                    return found
    raise AssertionError("the stream ended")


@pytest.mark.parametrize(
    ("audio", "named"),
    [
        (ULAW_8K, {"type": "audio/pcmu"}),
        (ALAW_8K, {"type": "audio/pcma"}),
        (PCM_24K, {"type": "audio/pcm", "rate": 24000}),
    ],
    ids=["ulaw", "alaw", "pcm"],
)
async def test_transcribes_every_format(
    server: FakeOpenAI, stt: OpenAISpeechToText, audio: AudioFormat, named: dict[str, object]
) -> None:
    async with stt.open(audio) as stream:
        await send(stream, audio_of("goedemorgen", audio), audio.frame_bytes)
        await stream.flush()
        assert await finals(stream) == [Transcript("goedemorgen", final=True, flushed=True)]
    config = server.sessions[0].config["audio"]["input"]
    assert config["format"] == named
    assert config["transcription"] == {"model": "gpt-4o-transcribe", "language": "nl"}
    assert config["turn_detection"] is None
    assert dict(server.journal.requests)["realtime"] == {"intent": "transcription"}


def test_g711_passes_through_and_wideband_becomes_pcm(stt: OpenAISpeechToText) -> None:
    assert stt.format_for(ULAW_8K) == ULAW_8K
    assert stt.format_for(ALAW_8K) == ALAW_8K
    assert stt.format_for(G722_16K) == PCM_24K


async def test_partial_transcripts_grow(server: FakeOpenAI, stt: OpenAISpeechToText) -> None:
    server.realtime.recognise = lambda _audio: "one two three"
    async with stt.open(ULAW_8K) as stream:
        await send(stream, bytes(1600))
        await stream.flush()
        seen: list[Transcript] = []
        async for transcript in stream:
            seen.append(transcript)
            if transcript.final:
                break
    assert all("one two three".startswith(t.text) for t in seen)
    assert seen[-1] == Transcript("one two three", final=True, flushed=True)


async def test_each_flush_is_answered_once_and_in_order(
    server: FakeOpenAI, stt: OpenAISpeechToText
) -> None:
    server.realtime.transcript_s = 0.05
    async with stt.open(ULAW_8K) as stream:
        await send(stream, audio_of("first"))
        await stream.flush()
        await stream.flush()  # nothing new
        await send(stream, audio_of("second"))
        await stream.flush()
        answers = await finals(stream, 3)
    assert answers == [
        Transcript("first", final=True, flushed=True),
        FLUSHED_EMPTY,
        Transcript("second", final=True, flushed=True),
    ]
    assert server.sessions[0].commits == 2


async def test_a_flush_of_too_little_audio_is_answered_with_nothing(
    server: FakeOpenAI, stt: OpenAISpeechToText
) -> None:
    async with stt.open(ULAW_8K) as stream:
        await send(stream, bytes(320))
        await stream.flush()
        assert await finals(stream) == [FLUSHED_EMPTY]
    assert server.sessions[0].commits == 0


async def test_a_server_that_commits_by_itself_still_answers_our_flush(
    server: FakeOpenAI, stt: OpenAISpeechToText
) -> None:
    server.realtime.vad = True
    async with stt.open(ULAW_8K) as stream:
        await send(stream, audio_of("hello") + b"\xff" * 4800)
        assert await finals(stream) == [Transcript("hello", final=True)]
        await send(stream, audio_of("again"))
        await stream.flush()
        assert await finals(stream) == [Transcript("again", final=True, flushed=True)]
        await stream.flush()
        assert await finals(stream) == [FLUSHED_EMPTY]


async def test_a_server_that_finds_nothing_to_commit_answers_the_flush(
    server: FakeOpenAI, stt: OpenAISpeechToText
) -> None:
    server.realtime.vad = True
    async with stt.open(ULAW_8K) as stream:
        await send(stream, audio_of("hello") + b"\xff" * 4000)
        await stream.flush()  # crosses the server's own commit on the wire
        assert (await finals(stream))[0].text == "hello"
        await send(stream, audio_of("next"))
        await stream.flush()
        answers = await finals(stream)
        while answers[-1].text != "next":
            answers += await finals(stream)
    assert answers[-1].flushed


async def test_a_failed_transcription_answers_with_nothing(
    server: FakeOpenAI, stt: OpenAISpeechToText
) -> None:
    server.realtime.faults.append(Fault("failed"))
    async with stt.open(ULAW_8K) as stream:
        await send(stream, audio_of("mumble"))
        await stream.flush()
        assert await finals(stream) == [FLUSHED_EMPTY]


async def test_streaming_models_report_words_before_the_flush(
    server: FakeOpenAI, stt: OpenAISpeechToText
) -> None:
    server.realtime.live = True
    async with stt.open(ULAW_8K) as stream:
        await send(stream, audio_of("early words"))
        async for transcript in stream:
            assert transcript == Transcript("early words", final=False)
            break
        await stream.flush()
        assert await finals(stream) == [Transcript("early words", final=True, flushed=True)]


async def test_a_dropped_connection_loses_no_word(
    server: FakeOpenAI, stt: OpenAISpeechToText
) -> None:
    server.realtime.faults.append(Fault("drop", times=1))
    async with stt.open(ULAW_8K) as stream:
        await send(stream, audio_of("do not lose me"))
        await stream.flush()  # the server drops the connection instead of answering
        assert await finals(stream) == [Transcript("do not lose me", final=True, flushed=True)]
        await send(stream, audio_of("after"))
        await stream.flush()
        assert await finals(stream) == [Transcript("after", final=True, flushed=True)]
    assert len(server.sessions) == 2


async def test_a_connection_dropped_while_the_caller_speaks_loses_no_word(
    server: FakeOpenAI, stt: OpenAISpeechToText
) -> None:
    server.realtime.faults.append(Fault("drop", after_s=0.05, times=1))
    speech = audio_of("spoken across a break")
    async with stt.open(ULAW_8K) as stream:
        await send(stream, speech[:8000])
        await server.until(lambda: len(server.sessions) == 2)
        await send(stream, speech[8000:])
        await stream.flush()
        assert (await finals(stream))[0].text == "spoken across a break"


async def test_a_server_that_drops_twice_is_unavailable(
    server: FakeOpenAI, stt: OpenAISpeechToText
) -> None:
    server.realtime.faults.append(Fault("drop"))
    async with stt.open(ULAW_8K) as stream:
        await send(stream, audio_of("hello"))
        await stream.flush()
        with pytest.raises(ProviderUnavailable, match="broke off twice"):
            await finals(stream)
        with pytest.raises(ProviderUnavailable):
            await stream.send(bytes(160))


async def test_a_server_that_never_answers_is_unavailable(
    server: FakeOpenAI, stt: OpenAISpeechToText
) -> None:
    server.realtime.transcript_s = 60
    async with stt.open(ULAW_8K) as stream:
        await send(stream, audio_of("hello"))
        await stream.flush()
        with pytest.raises(ProviderUnavailable, match="in time"):
            await finals(stream)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault(status=401), ProviderRefused),
        (Fault(status=404), ProviderRefused),
        (Fault(status=429, retry_after_s=4), ProviderUnavailable),
        (Fault(status=500), ProviderUnavailable),
        (Fault("hang"), ProviderUnavailable),
    ],
    ids=["401", "404", "429", "500", "hang"],
)
async def test_a_server_that_does_not_let_us_in(
    server: FakeOpenAI, stt: OpenAISpeechToText, fault: Fault, error: type[ProviderError]
) -> None:
    server.realtime.faults.append(fault)
    with pytest.raises(error) as raised:
        async with stt.open(ULAW_8K):
            raise AssertionError("entered")
    assert raised.value.retry_after_s == fault.retry_after_s
    await server.until(lambda: server.open == 0)


async def test_a_bad_key_is_refused_and_not_tried_again(server: FakeOpenAI) -> None:
    async with aiohttp.ClientSession() as session:
        stt = OpenAISpeechToText(
            session,
            Endpoint(server.base_url, "sk-wrong"),
            TranscriptionOptions("gpt-4o-transcribe"),
            LIMITS,
        )
        with pytest.raises(ProviderRefused, match="the key is wrong") as raised:
            async with stt.open(ULAW_8K):
                raise AssertionError("entered")
    assert "sk-wrong" not in str(raised.value)
    assert server.realtime.served == 0


async def test_leaving_hangs_up_at_once_even_on_a_server_that_does_not_read(
    server: FakeOpenAI, stt: OpenAISpeechToText
) -> None:
    async def give_up_in_the_middle() -> None:
        async with stt.open(ULAW_8K) as stream:
            await send(stream, audio_of("unfinished"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await give_up_in_the_middle()
    await server.until(lambda: server.open == 0, timeout_s=1)


async def test_what_is_not_json_is_passed_over(
    server: FakeOpenAI, stt: OpenAISpeechToText
) -> None:
    server.realtime.faults.append(Fault("malformed"))
    async with stt.open(ULAW_8K) as stream:
        await send(stream, audio_of("still here"))
        await stream.flush()
        assert (await finals(stream))[0].text == "still here"
