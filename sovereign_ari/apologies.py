"""The apology, spoken once in every language: for calls whose own voice fails."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass

from sovereign_ari.conversation.own_words import OWN_WORDS
from sovereign_ari.conversation.terms import in_language_of
from sovereign_ari.domain.agent import Assistant
from sovereign_ari.errors import ProviderError
from sovereign_ari.media.pcm import AudioFormat
from sovereign_ari.speech.registry import ProviderRegistry

_VOICES = {language: {"en": "en-gb"}.get(language, language) for language in OWN_WORDS}

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Apologies:
    """Ready to be played.

    Attributes:
        audio: Format of them all: PCM16.
        spoken: By language; empty, or missing, where there is no offline voice.
    """

    audio: AudioFormat
    spoken: Mapping[str, bytes]

    def of(self, assistant: Assistant) -> bytes:
        """The one in the language in which an assistant says its own, else the English one."""
        there = {language: sound for language, sound in self.spoken.items() if sound}
        return in_language_of(assistant, {"en": b"", **there})


async def speak_apologies(registry: ProviderRegistry) -> Apologies:
    """Have the offline voices speak them all at once; a hundredth of a second each."""
    voices = {
        language: registry.text_to_speech({"provider": "espeak", "voice_id": voice})
        for language, voice in _VOICES.items()
    }

    async def speak(language: str) -> bytes:
        words = OWN_WORDS[language].apology
        try:
            return b"".join([chunk async for chunk in voices[language].speak(words)])
        except ProviderError as error:
            _log.warning("no apology in %r when a synthesiser fails: %s", language, error)
            return b""

    spoken = await asyncio.gather(*map(speak, voices))
    return Apologies(voices["en"].audio, dict(zip(voices, spoken, strict=True)))
