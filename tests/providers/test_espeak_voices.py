"""Every local voice on offer can really be spoken here."""

from __future__ import annotations

import asyncio

from sovereign_ari.speech.espeak_tts import EspeakTextToSpeech
from sovereign_ari.speech.registry import load_catalogue

AT_ONCE = 8
ONE_SECOND = 22050 * 2  # bytes of PCM16


async def test_every_local_voice_counts_to_ten() -> None:
    places = asyncio.Semaphore(AT_ONCE)

    async def spoken_bytes(voice: str) -> int:
        async with places:
            speech = EspeakTextToSpeech(voice).speak("1, 2, 3, 4, 5, 6, 7, 8, 9, 10.")
            return sum([len(chunk) async for chunk in speech])

    voices = [voice["id"] for voice in load_catalogue().voices("espeak") or ()]
    lengths = await asyncio.gather(*(spoken_bytes(voice) for voice in voices))
    mute = [v for v, length in zip(voices, lengths, strict=True) if length < ONE_SECOND]
    assert voices
    assert mute == []
