"""Streamed recognition against a server that speaks the vendor's protocol."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from google.cloud.speech_v2.types import cloud_speech

from sovereign_ari.errors import ProviderError, ProviderRefused, ProviderUnavailable
from sovereign_ari.media.pcm import ALAW_8K, G722_16K, PCM_16K, ULAW_8K, AudioFormat
from sovereign_ari.speech.base import Transcript
from sovereign_ari.speech.google_rpc import GoogleCloud
from sovereign_ari.speech.google_stt import GoogleSpeechToText
from tests.support.fake_google import PROJECT, FakeGoogle, fake_google
from tests.support.fake_google_faults import GoogleFault
from tests.support.google_hearing import (
    EMPTY,
    HASTY,
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


@pytest.mark.parametrize(
    ("audio", "encoding"),
    [(ULAW_8K, "MULAW"), (ALAW_8K, "ALAW"), (PCM_16K, "LINEAR16")],
    ids=["ulaw", "alaw", "pcm"],
)
async def test_transcribes_every_format(
    server: FakeGoogle, stt: GoogleSpeechToText, audio: AudioFormat, encoding: str
) -> None:
    async with stt.open(audio) as stream:
        await send(stream, audio_of("goedemorgen", audio), audio.frame_bytes)
        await stream.flush()
        assert await finals(stream) == [Transcript("goedemorgen", final=True, flushed=True)]
    opening = server.speech.sessions[0].opening
    assert opening.recognizer == f"projects/{PROJECT}/locations/eu/recognizers/_"
    config = opening.streaming_config.config
    assert config.model == "chirp_3"
    assert list(config.language_codes) == ["nl-NL", "en-US"]
    assert config.explicit_decoding_config.encoding.name == encoding
    assert config.explicit_decoding_config.sample_rate_hertz == audio.rate_hz
    assert config.explicit_decoding_config.audio_channel_count == 1
    assert opening.streaming_config.streaming_features.interim_results
    routing = server.gate.metadata[0]["x-goog-request-params"]
    assert routing == f"recognizer=projects%2F{PROJECT}%2Flocations%2Feu%2Frecognizers%2F_"


def test_g711_passes_through_and_wideband_becomes_pcm(stt: GoogleSpeechToText) -> None:
    assert stt.format_for(ULAW_8K) == ULAW_8K
    assert stt.format_for(ALAW_8K) == ALAW_8K
    assert stt.format_for(G722_16K) == PCM_16K
    assert stt.label == "google/chirp_3"


async def test_words_are_shown_before_they_are_final(
    server: FakeGoogle, stt: GoogleSpeechToText
) -> None:
    server.speech.live = True
    async with stt.open(ULAW_8K) as stream:
        await send(stream, audio_of("early words"))
        async for transcript in stream:
            assert transcript == Transcript("early words", final=False)
            break
        await stream.flush()
        assert await finals(stream) == [Transcript("early words", final=True, flushed=True)]


async def test_the_end_of_the_voice_is_told_with_the_words(
    server: FakeGoogle, stt: GoogleSpeechToText
) -> None:
    server.speech.live = server.speech.events = True
    shown: list[tuple[str, bool]] = []
    async with stt.open(ULAW_8K) as stream:
        await send(stream, audio_of("a table") + PAUSE)
        async with asyncio.timeout(10):
            async for transcript in stream:
                shown.append((transcript.text, transcript.ends_turn))
                if transcript.ends_turn:
                    break
        assert shown[-1] == ("a table", True)
        await send(stream, audio_of("for two"))  # the caller goes on
        await stream.flush()
        (answer,) = await finals(stream)
        assert (answer.text, answer.ends_turn) == ("a table for two", False)


async def test_each_flush_is_answered_once_and_in_order(
    server: FakeGoogle, stt: GoogleSpeechToText
) -> None:
    server.speech.transcript_s = 0.05
    async with stt.open(ULAW_8K) as stream:
        await stream.flush()  # nothing at all
        await send(stream, audio_of("first"))
        await stream.flush()
        await stream.flush()  # nothing new
        await send(stream, audio_of("second"))
        await stream.flush()
        answers = await finals(stream, 4)
    assert answers == [
        EMPTY,
        Transcript("first", final=True, flushed=True),
        EMPTY,
        Transcript("second", final=True, flushed=True),
    ]
    assert [session.finals for session in server.speech.sessions] == [["first"], ["second"]]


async def test_a_server_that_ends_turns_by_itself_still_answers_the_flush(
    server: FakeGoogle, stt: GoogleSpeechToText
) -> None:
    server.speech.vad = True
    async with stt.open(ULAW_8K) as stream:
        await send(stream, audio_of("hello") + PAUSE)
        assert await finals(stream) == [Transcript("hello", final=True)]
        await send(stream, audio_of("again"))
        await stream.flush()
        assert await finals(stream) == [Transcript("again", final=True, flushed=True)]
        await send(stream, PAUSE)
        await stream.flush()
        assert await finals(stream) == [EMPTY]


async def test_what_is_said_after_a_flush_waits_for_the_answer_to_it(
    server: FakeGoogle, stt: GoogleSpeechToText
) -> None:
    server.speech.vad = True
    server.speech.transcript_s = 0.3
    async with stt.open(ULAW_8K) as stream:
        await send(stream, audio_of("first"))
        await stream.flush()
        await send(stream, audio_of("second") + PAUSE)
        await server.until(lambda: len(server.speech.sessions) == 2)
        answers = await finals(stream, 2)
    assert answers == [
        Transcript("first", final=True, flushed=True),
        Transcript("second", final=True),
    ]


async def test_a_server_that_never_answers_is_unavailable(
    server: FakeGoogle, cloud: GoogleCloud
) -> None:
    server.speech.transcript_s = 60
    async with recogniser(cloud, HASTY).open(ULAW_8K) as stream:
        await send(stream, audio_of("hello"))
        await stream.flush()
        with pytest.raises(ProviderUnavailable, match="in time"):
            await finals(stream)


async def test_words_that_never_become_final_stand_when_time_is_up(
    server: FakeGoogle, cloud: GoogleCloud
) -> None:
    server.speech.transcript_s = 60
    server.speech.live = True
    async with recogniser(cloud, HASTY).open(ULAW_8K) as stream:
        await send(stream, audio_of("never final"))
        await stream.flush()
        assert await finals(stream) == [Transcript("never final", final=True, flushed=True)]


async def test_a_server_that_ends_without_a_result_answers_with_nothing(
    server: FakeGoogle, stt: GoogleSpeechToText
) -> None:
    server.speech.recognise = lambda _pcm: ""
    async with stt.open(ULAW_8K) as stream:
        await send(stream, audio_of("mumble"))
        await stream.flush()
        assert await finals(stream) == [EMPTY]


async def test_results_that_come_twice_or_too_late_count_once(
    server: FakeGoogle, stt: GoogleSpeechToText
) -> None:
    def response(text: str, end_s: float) -> cloud_speech.StreamingRecognizeResponse:
        return cloud_speech.StreamingRecognizeResponse(
            results=[
                {
                    "alternatives": [{"transcript": text}],
                    "is_final": True,
                    "result_end_offset": timedelta(seconds=end_s),
                },
                {"is_final": True},  # without a word
            ]
        )

    server.speech.extra = [
        response("one", 0.1), response("one", 0.1), response("late", 0.05), response("two", 0.2)
    ]  # fmt: skip
    async with stt.open(ULAW_8K) as stream:
        await send(stream, audio_of("three"))
        await stream.flush()
        assert await flushed(stream) == ["one", "two", "three"]


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (GoogleFault(status=400), ProviderRefused),
        (GoogleFault(status=403), ProviderRefused),
        (GoogleFault(status=404), ProviderRefused),
        (GoogleFault(status=429, retry_after_s=4), ProviderUnavailable),
        (GoogleFault(status=500), ProviderUnavailable),
        (GoogleFault("deaf"), ProviderUnavailable),
    ],
    ids=["400", "403", "404", "429", "500", "deaf"],
)
async def test_a_server_that_does_not_serve_us(
    server: FakeGoogle, cloud: GoogleCloud, fault: GoogleFault, error: type[ProviderError]
) -> None:
    server.speech.faults.append(fault)

    async def use() -> None:
        async with recogniser(cloud, HASTY).open(ULAW_8K) as stream:
            await send(stream, audio_of("hello"))
            await stream.flush()
            await finals(stream)

    with pytest.raises(error) as raised:
        await use()
    assert raised.value.retry_after_s == fault.retry_after_s
    assert raised.value.retryable == (error is ProviderUnavailable)
    if fault.status != 500:
        assert server.speech.served == 1, "it was tried again"
    await server.until(lambda: server.open == 0)


async def test_leaving_hangs_up_at_once_even_on_a_server_that_does_not_read(
    server: FakeGoogle, stt: GoogleSpeechToText
) -> None:
    server.speech.faults.append(GoogleFault("deaf"))

    async def give_up_in_the_middle() -> None:
        async with stt.open(ULAW_8K) as stream:
            await send(stream, bytes(400_000))
            await stream.flush()
            await server.until(lambda: server.open == 1)
            raise ZeroDivisionError

    began_s = time.monotonic()
    with pytest.raises(ZeroDivisionError):
        await give_up_in_the_middle()
    assert time.monotonic() - began_s < HASTY.answer_s
    await server.until(lambda: server.open == 0, timeout_s=1)


async def test_no_request_holds_more_audio_than_the_vendor_takes(
    server: FakeGoogle, stt: GoogleSpeechToText
) -> None:
    async with stt.open(ULAW_8K) as stream:
        await stream.send(audio_of("one two three four five") * 3)
        await stream.flush()
        assert "one two three four five" in (await finals(stream))[0].text
    assert max(server.speech.sessions[0].messages) == 15_000
