"""Nobody hears a file, an error or compressed data; a voice goes on as if nobody had looked."""

from __future__ import annotations

import asyncio
import json
import random
import struct
import zlib
from collections.abc import AsyncIterator, Mapping

import pytest

from sovereign_ari.errors import ProviderRefused, ProviderUnavailable
from sovereign_ari.media.g711 import pcm_to_alaw, pcm_to_ulaw
from sovereign_ari.media.pcm import ALAW_8K, PCM_8K, PCM_24K, ULAW_8K, AudioFormat
from sovereign_ari.speech.checked_voice import checked_audio
from sovereign_ari.speech.resilience.candidate import Candidate
from sovereign_ari.speech.resilience.notes import ProviderNotes
from sovereign_ari.speech.resilience.text_to_speech import ResilientTextToSpeech
from tests.support.speech_samples import noise, silence, speech, tone
from tests.support.vowel import vowel

SENTENCE = "Good morning."


class Voice:
    """Sends these bytes, in chunks of this size."""

    label = "a/voice"

    def __init__(self, data: bytes, audio: AudioFormat = PCM_24K, chunk_bytes: int = 4096) -> None:
        self.audio = audio
        self._data = data
        self._chunk_bytes = chunk_bytes
        self.asked_on = 0

    async def speak(self, text: str) -> AsyncIterator[bytes]:
        for at in range(0, len(self._data), self._chunk_bytes):
            self.asked_on += 1
            yield self._data[at : at + self._chunk_bytes]


def heard(voice: Voice, text: str = SENTENCE) -> bytes:
    async def listen() -> bytes:
        return b"".join([chunk async for chunk in checked_audio(voice, text)])

    return asyncio.run(listen())


def wav(pcm: bytes, rate_hz: int) -> bytes:
    form = struct.pack("<HHIIHH", 1, 1, rate_hz, 2 * rate_hz, 2, 16)
    return b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0" + form + b"data\xff\xff\xff\xff" + pcm


def mp3() -> bytes:
    chance = random.Random(1)
    size = 144 * 128000 // 44100
    return b"".join(b"\xff\xfb\x90\xc4" + chance.randbytes(size - 4) for _ in range(20))


JUNK = random.Random(2).randbytes(20_000)


@pytest.mark.parametrize("chunk_bytes", [2, 100, 4096, 100_000])
@pytest.mark.parametrize(
    ("data", "named"),
    [
        (wav(vowel(1.0), 8000), "a WAV file"),
        (wav(vowel(1.0, 24000), 24000), "a WAV file"),
        (mp3(), "an MP3 file"),
        (b"ID3\x04" + bytes(6) + mp3(), "an MP3 file"),
        (b"OggS\0\x02" + JUNK, "an Ogg file"),
        (b"fLaC\0\0\0\x22" + JUNK, "a FLAC file"),
        (zlib.compress(JUNK), "compressed data or noise"),
        (JUNK, "compressed data or noise"),
    ],
    ids=["wav", "wav at our rate", "mp3", "tagged mp3", "ogg", "flac", "zlib", "junk"],
)
def test_what_is_no_sound_is_refused(data: bytes, named: str, chunk_bytes: int) -> None:
    with pytest.raises(ProviderRefused, match=f"a/voice sent {named} instead of raw samples"):
        heard(Voice(data, chunk_bytes=chunk_bytes))


@pytest.mark.parametrize("audio", [ULAW_8K, ALAW_8K], ids=["ulaw", "alaw"])
def test_compressed_data_is_no_telephone_sound_either(audio: AudioFormat) -> None:
    with pytest.raises(ProviderRefused):
        heard(Voice(JUNK, audio))


@pytest.mark.parametrize(
    "data",
    [
        b'{"error": {"message": "overloaded"}}',
        json.dumps({"error": {"message": "no voice " * 1000}}).encode(),
        b"<html><body>502 Bad Gateway</body></html>" * 50,
    ],
)
def test_the_text_of_an_error_is_a_fault_that_may_pass(data: bytes) -> None:
    with pytest.raises(ProviderUnavailable, match="sent a text instead of audio"):
        heard(Voice(data))


@pytest.mark.parametrize("data", [b"", b"\0", bytes(200)])
def test_less_than_a_sound_is_none(data: bytes) -> None:
    with pytest.raises(ProviderUnavailable, match="sent no audio"):
        heard(Voice(data))
    assert heard(Voice(data), "...") == data


def test_another_voice_speaks_for_one_that_sends_a_file() -> None:
    async def listen() -> bytes:
        voices = [Candidate(Voice(mp3()), "a/voice"), Candidate(Voice(vowel(1.0, 24000)), "b")]
        speaking = ResilientTextToSpeech(voices, ProviderNotes(note, "tts")).speak(SENTENCE)
        return b"".join([chunk async for chunk in speaking])

    noted: list[tuple[str, object]] = []

    def note(kind: str, facts: Mapping[str, object]) -> None:
        noted.append((kind, facts["from"]))

    assert asyncio.run(listen()) == vowel(1.0, 24000)
    assert noted == [("provider_fallback", "a/voice")]


SOUNDS = [
    (speech("Good morning, this is the reception.", 24000), PCM_24K),
    (vowel(1.0, 8000), PCM_8K),
    (pcm_to_ulaw(vowel(1.0)), ULAW_8K),
    (pcm_to_alaw(speech("Good morning.")), ALAW_8K),
    (tone(3000, 0.5, 24000, -6.0), PCM_24K),
    (noise(0.5, 24000, -12.0), PCM_24K),
    (silence(0.5, 24000), PCM_24K),
    (vowel(0.025, 24000), PCM_24K),
    (b"\xff\xfb" + vowel(0.5, 24000), PCM_24K),
    (vowel(0.5, 24000) + b"\x01", PCM_24K),
]


@pytest.mark.parametrize("chunk_bytes", [2, 500, 100_000])
@pytest.mark.parametrize(("data", "audio"), SOUNDS)
def test_a_sound_passes_unchanged(data: bytes, audio: AudioFormat, chunk_bytes: int) -> None:
    assert heard(Voice(data, audio, chunk_bytes)) == data


def test_the_first_sound_waits_for_no_more_than_two_frames() -> None:
    async def first() -> bytes:
        stream = checked_audio(Voice(vowel(2.0, 24000), chunk_bytes=480), SENTENCE)
        chunk = await anext(stream)
        await stream.aclose()
        return chunk

    assert PCM_24K.seconds(len(asyncio.run(first()))) == pytest.approx(0.04, abs=0.011)


def test_silence_in_g711_is_not_waited_for_as_if_it_were_mp3() -> None:
    async def first() -> bytes:
        stream = checked_audio(Voice(b"\xff" * 8000, ULAW_8K, 160), SENTENCE)
        chunk = await anext(stream)
        await stream.aclose()
        return chunk

    assert ULAW_8K.seconds(len(asyncio.run(first()))) == pytest.approx(0.04)


def test_a_voice_that_never_ends_is_ended() -> None:
    voice = Voice(vowel(2.0, 24000) * 50)
    assert PCM_24K.seconds(len(heard(voice))) == pytest.approx(10 + len(SENTENCE), abs=0.2)
