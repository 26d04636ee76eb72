"""The last words when a provider is gone for good."""

from __future__ import annotations

from collections.abc import Callable

from sovereign_ari.conversation.mouth import Mouth
from sovereign_ari.conversation.terms import APOLOGY, Providers
from sovereign_ari.conversation.voice import Speech

TIMEOUT_S = 3.0


async def apologise(
    providers: Providers, mouth: Mouth, clock: Callable[[], float], *, voice_works: bool
) -> None:
    """Say that we are sorry, in the assistant's voice if it still has one; returns when heard."""
    speech = Speech(providers.tts, mouth, clock)
    mouth.resume()
    if not (voice_works and await speech.said_within(APOLOGY, TIMEOUT_S)):
        speech.cut()
        speech = Speech(providers.tts, mouth, clock)
        speech.play(APOLOGY, providers.apology, providers.apology_format)
    await speech.finish()
