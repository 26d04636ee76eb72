"""A provider that cannot work as configured: it fails when it is used, with the reason.

A call to an assistant whose key is missing is answered and told so, rather than not answered.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from sovereign_ari.errors import ProviderError
from sovereign_ari.media.pcm import PCM_16K, AudioFormat
from sovereign_ari.speech.base import Message, ReplyPart, SpeechStream, ToolSpec


class Unusable:
    """Stands in for any kind of provider.

    Args:
        label: Name of the provider that was asked for.
        error: Raised by every use.
    """

    def __init__(self, label: str, error: ProviderError) -> None:
        self.label = label
        self.audio = PCM_16K
        self._error = error

    def format_for(self, wire: AudioFormat) -> AudioFormat:
        """See `SpeechToText`."""
        return wire

    @asynccontextmanager
    async def open(self, audio: AudioFormat) -> AsyncIterator[SpeechStream]:
        """See `SpeechToText`."""
        raise self._error
        yield

    async def reply(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec]
    ) -> AsyncIterator[ReplyPart]:
        """See `LanguageModel`."""
        raise self._error
        yield

    async def speak(self, text: str) -> AsyncIterator[bytes]:
        """See `TextToSpeech`."""
        raise self._error
        yield
