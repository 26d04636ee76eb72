"""Callers for the fake Google: what they say, and what is heard of it."""

from __future__ import annotations

import asyncio
import audioop

from sovereign_ari.media.pcm import ALAW_8K, ULAW_8K, AudioFormat
from sovereign_ari.speech.base import SpeechStream, Transcript
from sovereign_ari.speech.google_credentials import GoogleAccount
from sovereign_ari.speech.google_rpc import GoogleCloud
from sovereign_ari.speech.google_stt import GoogleSpeechOptions, GoogleSpeechToText
from sovereign_ari.speech.google_stt_recognition import GoogleLimits
from tests.support.fake_google import service_account
from tests.support.tone_code import encode

LIMITS = GoogleLimits()
HASTY = GoogleLimits(connect_s=2.0, send_s=1.0, answer_s=0.7)
OPTIONS = GoogleSpeechOptions("chirp_3", ("nl-NL", "en-US"))
EMPTY = Transcript("", final=True, flushed=True)
PAUSE = b"\xff" * 4000


def recogniser(
    cloud: GoogleCloud, limits: GoogleLimits = LIMITS, name: str = "good"
) -> GoogleSpeechToText:
    account = GoogleAccount(service_account(name), own=True)
    return GoogleSpeechToText(cloud, account, OPTIONS, limits)


def audio_of(text: str, audio: AudioFormat = ULAW_8K) -> bytes:
    pcm = encode(text, audio.rate_hz)
    if audio == ULAW_8K:
        return audioop.lin2ulaw(pcm, 2)
    return audioop.lin2alaw(pcm, 2) if audio == ALAW_8K else pcm


async def send(stream: SpeechStream, audio: bytes, chunk_bytes: int = 800) -> None:
    for start in range(0, len(audio), chunk_bytes):
        await stream.send(audio[start : start + chunk_bytes])


async def finals(stream: SpeechStream, count: int = 1) -> list[Transcript]:
    found: list[Transcript] = []
    async with asyncio.timeout(10):
        async for transcript in stream:
            if transcript.final:
                found.append(transcript)
                if len(found) == count:
                    return found
    raise AssertionError("the stream ended")


async def flushed(stream: SpeechStream) -> list[str]:
    """All words up to the answer to the oldest flush."""
    words: list[str] = []
    async with asyncio.timeout(20):
        async for transcript in stream:
            if transcript.final:
                words += transcript.text.split()
            if transcript.flushed:
                return words
    raise AssertionError("the stream ended")
