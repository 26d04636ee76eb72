"""OpenAI speech synthesis: `POST /audio/speech`, streamed as 24 kHz PCM16."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp

from sovereign_ari.errors import ProviderRefused, ProviderUnavailable
from sovereign_ari.media.pcm import PCM_24K, AudioFormat
from sovereign_ari.speech.endpoint import Endpoint
from sovereign_ari.speech.vendor_http import StreamedPost

FIRST_BYTE_S = 10.0
NEXT_CHUNK_S = 10.0
_WHAT = "openai speech"
_RATE = re.compile(r"rate=(\d+)")
_PCM = ("", "audio/pcm", "audio/raw", "audio/x-raw", "application/octet-stream")
_CONTAINERS = (b"RIFF", b"OggS", b"fLaC", b"ID3")


@dataclass(frozen=True, slots=True)
class VoiceOptions:
    """What an assistant chooses of a voice.

    Attributes:
        model: Model name.
        voice: Voice name.
        instructions: How to speak, in words; not every model takes them.
        speed: 0.25 to 4, None for the voice's own.
    """

    model: str
    voice: str
    instructions: str | None = None
    speed: float | None = None


class OpenAITextToSpeech:
    """One voice; the session and its connections are shared with others.

    Args:
        session: Shared HTTP session.
        endpoint: Server and key.
        options: The assistant's choice.
        first_byte_s: Longest wait for the first audio.
        next_chunk_s: Longest pause within a sentence.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        endpoint: Endpoint,
        options: VoiceOptions,
        *,
        first_byte_s: float = FIRST_BYTE_S,
        next_chunk_s: float = NEXT_CHUNK_S,
    ) -> None:
        self._session = session
        self._endpoint = endpoint
        self._options = options
        self._first_byte_s = first_byte_s
        self._next_chunk_s = next_chunk_s

    @property
    def label(self) -> str:
        """`openai/<model>`."""
        return f"openai/{self._options.model}"

    @property
    def audio(self) -> AudioFormat:
        """24 kHz PCM16."""
        return PCM_24K

    async def speak(self, text: str) -> AsyncIterator[bytes]:
        """Stream one sentence; audio is yielded as soon as it is there."""
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + self._first_byte_s
        torn = b""  # half a sample, when a chunk ends within one
        spoken = False
        post = StreamedPost(_WHAT, self._endpoint, "/audio/speech", self._request(text))
        async with post.send(self._session, deadline_s) as answer:
            while chunk := await answer.read(deadline_s):
                if not (torn or spoken):
                    _refuse_other_formats(answer.kind, chunk)
                data = torn + chunk
                even = len(data) & ~1
                torn = data[even:]
                if even:
                    spoken = True
                    yield data[:even]
                deadline_s = loop.time() + self._next_chunk_s
        if not spoken:
            raise ProviderUnavailable(f"{_WHAT} sent no audio")

    def _request(self, text: str) -> dict[str, Any]:
        options = self._options
        request: dict[str, Any] = {
            "model": options.model,
            "voice": options.voice,
            "input": text,
            "response_format": "pcm",
        }
        if options.instructions is not None:
            request["instructions"] = options.instructions
        if options.speed is not None:
            request["speed"] = options.speed
        return request


def _refuse_other_formats(kind: str, beginning: bytes) -> None:
    """Refuse what would be noise on the line: servers may ignore the format they are asked for."""
    rate = _RATE.search(kind)
    name = kind.partition(";")[0].strip()
    if name not in _PCM or (rate and int(rate[1]) != PCM_24K.rate_hz):
        raise ProviderRefused(f"{_WHAT} sends {kind[:60]!r}, not PCM at {PCM_24K.rate_hz} Hz")
    if beginning.startswith(_CONTAINERS):
        raise ProviderRefused(f"{_WHAT} sends a file, not PCM at {PCM_24K.rate_hz} Hz")
