"""OpenAI realtime transcription over a WebSocket; G.711 passes through as it came."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from sovereign_ari.errors import ProviderRefused, ProviderUnavailable
from sovereign_ari.media.pcm import PCM_24K, AudioFormat, Encoding
from sovereign_ari.speech.base import SpeechStream
from sovereign_ari.speech.endpoint import Endpoint
from sovereign_ari.speech.openai_stt_stream import OpenAIStream, Socket, StreamLimits, event_of
from sovereign_ari.speech.vendor_errors import error_of_status

_PING_S = 15.0
_FORMATS = {Encoding.ULAW: {"type": "audio/pcmu"}, Encoding.ALAW: {"type": "audio/pcma"}}
_SEVERAL_LANGUAGES = frozenset({"gpt-transcribe", "gpt-live-transcribe"})
"""Models that take a list of languages instead of one."""

_READY = frozenset({"session.updated", "transcription_session.updated"})
_WHAT = "openai transcription"


@dataclass(frozen=True, slots=True)
class TranscriptionOptions:
    """What an assistant chooses of a recogniser.

    Attributes:
        model: Model name.
        language: ISO 639-1, or `multi` to let the model find out.
    """

    model: str
    language: str = "multi"


class OpenAISpeechToText:
    """One model at one server; the HTTP session is shared with others.

    Args:
        session: Shared HTTP session.
        endpoint: Server and key.
        options: The assistant's choice.
        limits: Deadlines.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        endpoint: Endpoint,
        options: TranscriptionOptions,
        limits: StreamLimits | None = None,
    ) -> None:
        self._session = session
        self._endpoint = endpoint
        self._options = options
        self._limits = limits or StreamLimits()

    @property
    def label(self) -> str:
        """`openai/<model>`."""
        return f"openai/{self._options.model}"

    def format_for(self, wire: AudioFormat) -> AudioFormat:
        """G.711 as it is; everything else as 24 kHz PCM."""
        return wire if wire.encoding in _FORMATS else PCM_24K

    @asynccontextmanager
    async def open(self, audio: AudioFormat) -> AsyncIterator[SpeechStream]:
        """Connect and set the session up; leaving hangs up without waiting for the server."""
        stream = OpenAIStream(lambda: self._connect(audio), audio, self._limits)
        await stream.connect()
        # Not a task group: it would wrap what the body of the `async with` raises.
        reader = asyncio.create_task(stream.run(), name="openai-stt-reader")
        try:
            yield stream
        finally:
            reader.cancel()
            await asyncio.wait([reader])
            await stream.close()
            if not reader.cancelled():
                reader.result()

    async def _connect(self, audio: AudioFormat) -> Socket:
        try:
            async with asyncio.timeout(self._limits.connect_s):
                socket = await self._session.ws_connect(
                    f"{self._endpoint.websocket_url}/realtime?intent=transcription",
                    headers=self._endpoint.headers,
                    compress=0,
                    heartbeat=_PING_S,
                    timeout=aiohttp.ClientWSTimeout(ws_close=0.0),
                )
                try:
                    await self._set_up(socket, audio)
                except BaseException:
                    await socket.close()
                    raise
                return socket
        except aiohttp.WSServerHandshakeError as error:
            raise error_of_status(_WHAT, error.status, None, error.headers) from error
        except TimeoutError as error:
            raise ProviderUnavailable(f"{_WHAT} did not answer in time") from error
        except (aiohttp.ClientError, OSError) as error:
            raise ProviderUnavailable(f"{_WHAT} cannot be reached") from error

    async def _set_up(self, socket: Socket, audio: AudioFormat) -> None:
        await socket.send_str(json.dumps(self._session_update(audio)))
        async for message in socket:
            event = event_of(message)
            if event.get("type") in _READY:
                return
            if event.get("type") == "error":
                error = event.get("error")
                code = error.get("code") if isinstance(error, dict) else None
                raise ProviderRefused(f"{_WHAT} refused the session ({code})")
        raise ProviderUnavailable(f"{_WHAT} went away while setting up")

    def _session_update(self, audio: AudioFormat) -> dict[str, Any]:
        options = self._options
        transcription: dict[str, Any] = {"model": options.model}
        if options.language != "multi":
            if options.model in _SEVERAL_LANGUAGES:
                transcription["languages"] = [options.language]
            else:
                transcription["language"] = options.language
        wire = _FORMATS.get(audio.encoding, {"type": "audio/pcm", "rate": audio.rate_hz})
        given = {"format": wire, "transcription": transcription, "turn_detection": None}
        return {
            "type": "session.update",
            "session": {"type": "transcription", "audio": {"input": given}},
        }
