"""A provider that cannot work as configured: it fails when it is used, with the reason.

A call to an assistant whose key is missing is answered and told so, rather than not answered.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from sovereign_ari.errors import ProviderError
from sovereign_ari.media.pcm import PCM_16K, AudioFormat
from sovereign_ari.speech.base import Message, ToolSpec


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

    def open(self, audio: AudioFormat) -> _Raising:
        """See `SpeechToText`."""
        return _Raising(self._error)

    def reply(self, messages: Sequence[Message], tools: Sequence[ToolSpec]) -> _Raising:
        """See `LanguageModel`."""
        return _Raising(self._error)

    def speak(self, text: str) -> _Raising:
        """See `TextToSpeech`."""
        return _Raising(self._error)


class _Raising:
    """A stream of any kind that fails as soon as it is entered or read."""

    def __init__(self, error: ProviderError) -> None:
        self._error = error

    async def __aenter__(self) -> NoReturn:
        raise self._error

    async def __aexit__(self, *_: object) -> None:
        """Never reached: it cannot be entered."""

    def __aiter__(self) -> _Raising:
        return self

    async def __anext__(self) -> NoReturn:
        raise self._error

    async def aclose(self) -> None:
        """Nothing is open."""
