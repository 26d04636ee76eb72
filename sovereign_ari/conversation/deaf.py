"""A recogniser that hears nothing: for callers who are only told something."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sovereign_ari.media.pcm import AudioFormat
from sovereign_ari.speech.base import SpeechStream, Transcript


class Deaf:
    """A `SpeechToText` that no word of the caller reaches."""

    label = "none"

    def format_for(self, wire: AudioFormat) -> AudioFormat:
        """Take what the wire carries."""
        return wire

    @asynccontextmanager
    async def open(self, audio: AudioFormat) -> AsyncIterator[SpeechStream]:
        """Begin to hear nothing."""
        yield _Silence()


class _Silence:
    def __init__(self) -> None:
        self._flushes: asyncio.Queue[Transcript] = asyncio.Queue(100)

    async def send(self, audio: bytes) -> None:
        """Throw it away."""

    async def flush(self) -> None:
        await self._flushes.put(Transcript("", final=True, flushed=True))

    async def __aiter__(self) -> AsyncIterator[Transcript]:
        while True:
            yield await self._flushes.get()
