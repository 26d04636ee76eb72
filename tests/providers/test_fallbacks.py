"""Calls between two vendors: whatever happens to the first, the second finishes the work."""

from __future__ import annotations

import asyncio
import audioop
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest

from sovereign_ari.errors import ProviderRefused
from sovereign_ari.media.pcm import G722_16K, PCM_16K, ULAW_8K, AudioFormat
from sovereign_ari.media.transcode import encoder_for
from sovereign_ari.speech.base import SpeechStream, SpeechToText, TextToSpeech
from sovereign_ari.speech.google_rpc import GoogleCloud
from sovereign_ari.speech.google_stt_recognition import GoogleLimits
from sovereign_ari.speech.resilience.candidate import Candidate
from sovereign_ari.speech.resilience.notes import ProviderNotes, unnoted
from sovereign_ari.speech.resilience.speech_to_text import ResilientSpeechToText
from sovereign_ari.speech.resilience.text_to_speech import ResilientTextToSpeech
from tests.support import google_hearing
from tests.support.fake_google import FakeGoogle, fake_google
from tests.support.fake_google_faults import GoogleFault
from tests.support.fake_openai import Fault
from tests.support.google_hearing import PAUSE, audio_of, flushed
from tests.support.tone_code import decode, encode
from tests.support.vendors import BAD, GOOD, Trouble, Vendors, Wrapping, all_vendors

PAIRS = pytest.mark.parametrize(
    ("first", "second"), [("openai", "google"), ("google", "openai")], ids=["openai", "google"]
)
TROUBLES = pytest.mark.parametrize(
    "trouble",
    [
        Trouble(status=401),
        Trouble(status=429),
        Trouble(status=500),
        Trouble(status=503),
        Trouble(after_s=0.05),
    ],
    ids=["refused", "throttled", "500", "503", "breaks off"],
)
KEY_OF = {"openai": "openai", "google": "google_vertex"}


@pytest.fixture
async def vendors() -> AsyncIterator[Vendors]:
    async with all_vendors(wrapped=True) as vendors:
        yield vendors


def block(first: str, second: str) -> dict[str, Any]:
    return {"provider": first, "fallback": [{"provider": second}]}


def kinds(vendors: Vendors) -> list[str]:
    assert isinstance(vendors.make, Wrapping)
    return [kind for kind, _ in vendors.make.notes]


def facts(vendors: Vendors, kind: str) -> dict[str, Any]:
    assert isinstance(vendors.make, Wrapping)
    return dict(next(facts for what, facts in vendors.make.notes if what == kind))


def hang(vendors: Vendors, kind: str, provider: str, *, after: int = 0) -> None:
    """Let a vendor accept requests, and say nothing (more)."""
    if provider == "google":
        service = vendors.google.speech if kind == "stt" else vendors.google.voices
        service.faults.append(GoogleFault("hang", after=after))
    else:
        other = vendors.openai.realtime if kind == "stt" else vendors.openai.speech
        other.faults.append(Fault("hang", after=after))


async def send(stream: SpeechStream, text: str) -> None:
    """Say a text five times as fast as a caller would."""
    audio = audio_of(text)
    for start in range(0, len(audio), 800):
        await stream.send(audio[start : start + 800])
        await asyncio.sleep(0.02)


async def hears_two_sentences(stt: SpeechToText) -> None:
    async with asyncio.timeout(20), stt.open(ULAW_8K) as stream:
        for text in ("the first of two", "the second"):
            await send(stream, text)
            await stream.flush()
            assert await flushed(stream) == text.split()


async def speaks(voice: TextToSpeech, text: str) -> bytes:
    async with aclosing(voice.speak(text)) as chunks:  # type: ignore[type-var]
        return b"".join([chunk async for chunk in chunks])


@PAIRS
@TROUBLES
async def test_another_recogniser_hears_what_the_first_does_not(
    vendors: Vendors, first: str, second: str, trouble: Trouble
) -> None:
    vendors.trouble("stt", first, trouble)
    stt = vendors.make.speech_to_text(block(first, second), GOOD)
    await hears_two_sentences(stt)
    if not trouble.after_s:  # a vendor that lets us in again at once may hear all of it itself
        assert stt.label.startswith(second)
        assert kinds(vendors).count("provider_fallback") == 1
    await vendors.openai.until(lambda: vendors.open == 0)


@PAIRS
async def test_a_recogniser_with_a_bad_key_is_asked_once(
    vendors: Vendors, first: str, second: str
) -> None:
    keys = {**GOOD, KEY_OF[first]: BAD[KEY_OF[first]]}
    await hears_two_sentences(vendors.make.speech_to_text(block(first, second), keys))
    assert kinds(vendors) == ["provider_fallback"]
    told = facts(vendors, "provider_fallback")
    assert (told["kind"], told["code"]) == ("stt", "provider_refused")
    assert "the key is wrong" in told["message"]
    assert vendors.served("stt", first) == 0


@PAIRS
async def test_a_flush_that_is_not_answered_is_answered_by_another(
    vendors: Vendors, first: str, second: str
) -> None:
    if first == "openai":
        hang(vendors, "stt", first, after=1)
    stt = vendors.make.speech_to_text(block(first, second), GOOD)
    async with asyncio.timeout(20), stt.open(ULAW_8K) as stream:
        for text in ("the first of two", "the second"):
            await send(stream, text)
            await stream.flush()
            assert await flushed(stream) == text.split()
            if first == "google":  # where every flush ends a request
                hang(vendors, "stt", first)
    assert kinds(vendors) == ["provider_fallback"]


async def test_a_server_that_is_killed_in_the_middle_of_a_sentence_costs_no_word(
    vendors: Vendors,
) -> None:
    stt = vendors.make.speech_to_text(block("google", "openai"), GOOD)
    async with asyncio.timeout(20), stt.open(ULAW_8K) as stream:
        await send(stream, "the beginning")
        await vendors.google.until(lambda: vendors.google.speech.sessions)
        await vendors.google.die()
        await send(stream, "and the end")
        await stream.flush()
        assert await flushed(stream) == "the beginning and the end".split()


@PAIRS
async def test_wideband_reaches_either_recogniser(
    vendors: Vendors, first: str, second: str
) -> None:
    vendors.trouble("stt", first, Trouble(status=500))
    stt = vendors.make.speech_to_text(block(first, second), GOOD)
    assert stt.format_for(G722_16K) == G722_16K
    async with asyncio.timeout(20), stt.open(G722_16K) as stream:
        for chunk in _wideband("wide band", G722_16K):
            await stream.send(chunk)
        await stream.flush()
        assert await flushed(stream) == ["wide", "band"]


def _wideband(text: str, audio: AudioFormat) -> Iterable[bytes]:
    encoder = encoder_for(audio)
    sound = encoder.encode(encode(text, audio.rate_hz)) + encoder.flush()
    return [sound[at : at + 800] for at in range(0, len(sound), 800)]


@PAIRS
@TROUBLES
async def test_another_voice_says_what_the_first_does_not(
    vendors: Vendors, first: str, second: str, trouble: Trouble
) -> None:
    vendors.trouble("tts", first, replace(trouble, after_s=0.0))
    voice = vendors.make.text_to_speech(block(first, second), GOOD)
    bare = vendors.registry.text_to_speech(vendors.block(first), GOOD)
    assert voice.audio == bare.audio
    for text in ("one", "two"):
        assert decode(await speaks(voice, text), voice.audio.rate_hz) == [text]
    assert voice.label.startswith(second)
    assert kinds(vendors).count("provider_fallback") == 1


@PAIRS
async def test_a_voice_with_a_bad_key_is_asked_once(
    vendors: Vendors, first: str, second: str
) -> None:
    keys = {**GOOD, KEY_OF[first]: BAD[KEY_OF[first]]}
    voice = vendors.make.text_to_speech(block(first, second), keys)
    for text in ("one", "two"):
        assert decode(await speaks(voice, text), voice.audio.rate_hz) == [text]
    assert kinds(vendors) == ["provider_fallback"]
    assert "the key is wrong" in facts(vendors, "provider_fallback")["message"]
    assert vendors.served("tts", first) == 0


@PAIRS
async def test_a_voice_that_says_nothing_is_followed_by_the_next(
    vendors: Vendors, first: str, second: str
) -> None:
    vendors.trouble("tts", first, Trouble(silent=True))
    voice = vendors.make.text_to_speech(block(first, second), GOOD)
    assert decode(await speaks(voice, "at last"), voice.audio.rate_hz) == ["at last"]


@PAIRS
async def test_a_voice_that_does_not_begin_is_followed_by_the_next(
    vendors: Vendors, first: str, second: str
) -> None:
    hang(vendors, "tts", first)
    voice = vendors.make.text_to_speech(block(first, second), GOOD)
    began_s = time.monotonic()
    assert decode(await speaks(voice, "at last"), voice.audio.rate_hz) == ["at last"]
    assert 1.9 < time.monotonic() - began_s < 4
    await vendors.openai.until(lambda: vendors.open == 0)


@PAIRS
async def test_cutting_the_voice_that_took_over_ends_its_request(
    vendors: Vendors, first: str, second: str
) -> None:
    vendors.trouble("tts", first, Trouble(status=500))
    vendors.openai.speech.chunk_s = vendors.google.voices.chunk_s = 0.2
    voice = vendors.make.text_to_speech(block(first, second), GOOD)
    async with aclosing(voice.speak("and so on " * 40)) as chunks:  # type: ignore[type-var]
        assert await anext(chunks)
        assert vendors.served("tts", second) == 1
    await vendors.openai.until(lambda: vendors.open == 0, timeout_s=1)


@pytest.mark.parametrize(
    ("wire", "spoken_in"), [(ULAW_8K, ULAW_8K), (G722_16K, PCM_16K)], ids=["narrow", "wide"]
)
async def test_a_voice_that_can_choose_speaks_as_the_wire_carries_it_and_so_does_its_fallback(
    vendors: Vendors, wire: AudioFormat, spoken_in: AudioFormat
) -> None:
    vendors.google.voices.faults.append(GoogleFault(status=500, after=0, times=2))
    notes = ProviderNotes(unnoted, "tts")
    voices = [
        Candidate(made, made.label)
        for made in (
            vendors.registry.text_to_speech({"provider": name}, GOOD, wire)
            for name in ("google", "openai")
        )
    ]
    voice = ResilientTextToSpeech(voices, notes)
    assert voice.audio == spoken_in
    sound = await speaks(voice, "in place of it")
    assert voice.label.startswith("openai")
    pcm = audioop.ulaw2lin(sound, 2) if spoken_in == ULAW_8K else sound
    assert decode(pcm, spoken_in.rate_hz) == ["in place of it"]


async def test_a_fallback_without_a_key_is_told_and_left_out(vendors: Vendors) -> None:
    keys = {**GOOD, "google_vertex": None}
    vendors.trouble("tts", "openai", Trouble(status=401))
    voice = vendors.make.text_to_speech(block("openai", "google"), keys)
    assert kinds(vendors) == ["fallback_unusable"]
    with pytest.raises(ProviderRefused):
        await speaks(voice, "nobody")


@pytest.fixture
async def google() -> AsyncIterator[FakeGoogle]:
    async with fake_google() as server:
        yield server


@pytest.mark.parametrize("pauses", [True, False], ids=["with pauses", "without a pause"])
async def test_the_limit_of_a_google_stream_is_crossed_in_a_call(
    google: FakeGoogle, pauses: bool
) -> None:
    """Words are spoken across each cut, and none is lost or heard twice."""
    google.speech.limit_s = 1.2
    google.speech.live = google.speech.vad = True
    words = [f"word{number}" for number in range(12)]
    cloud = GoogleCloud(google.servers)
    bare = google_hearing.recogniser(cloud, replace(GoogleLimits(), stream_s=0.3, longest_s=0.6))
    stt = ResilientSpeechToText([Candidate(bare, bare.label)], ProviderNotes(unnoted, "stt"))
    async with stt.open(ULAW_8K) as stream:
        reading = asyncio.create_task(flushed(stream))
        for word in words:
            speech = audio_of(word) + (PAUSE if pauses else b"")
            for start in range(0, len(speech), 800):
                await stream.send(speech[start : start + 800])
                await asyncio.sleep(0.02)
        await stream.flush()
        assert await reading == words
    await cloud.close()
    assert len(google.speech.sessions) >= 3
    assert google.speech.overrun == 0
    if not pauses:
        cut_in_a_word = [s for s in google.speech.sessions[:-1] if _ends_loud(bytes(s.heard))]
        assert cut_in_a_word, "no cut fell into a word: this proves nothing"


def _ends_loud(pcm_8k: bytes) -> bool:
    return audioop.rms(pcm_8k[-320:], 2) > 300
