"""`google.cloud.texttospeech.v1.TextToSpeech/StreamingSynthesize`."""

from __future__ import annotations

import asyncio
import audioop
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import grpc
from google.cloud.texttospeech_v1.types import cloud_tts

from tests.support.fake_google_faults import Gate, GoogleService, fail, suffer
from tests.support.tone_code import encode

LONGEST_BYTES = 5000
CHUNK_S = 0.1


@dataclass
class Spoken:
    """One sentence.

    Attributes:
        config: The first request.
        texts: The inputs.
        sent: Chunks that were sent.
    """

    config: cloud_tts.StreamingSynthesizeConfig
    texts: list[str]
    sent: int = 0


class VoiceService(GoogleService):
    """Speaks what it is told.

    Attributes:
        render: Text and rate to PCM16; speaks the tone code unless a test wants otherwise.
        first_byte_s: Delay before the first chunk.
        chunk_s: Delay between chunks.
        spoken: All sentences so far.
    """

    def __init__(self, gate: Gate) -> None:
        super().__init__(gate)
        self.render: Callable[[str, int], bytes] = encode
        self.first_byte_s = 0.0
        self.chunk_s = 0.0
        self.spoken: list[Spoken] = []

    async def handle(
        self,
        requests: AsyncIterator[cloud_tts.StreamingSynthesizeRequest],
        context: grpc.aio.ServicerContext,
    ) -> None:
        """Speak one text."""
        self.open += 1
        try:
            await self.gate.check(context)
            fault = self.next_fault()
            if fault is not None and fault.at_once:
                await suffer(fault, context)
                return
            spoken = await self._listen(requests, context)
            await asyncio.sleep(self.first_byte_s)
            for chunk in _chunks(self._audio(spoken), spoken.config):
                if fault is not None and spoken.sent >= fault.after:
                    await suffer(fault, context)
                    return
                await context.write(cloud_tts.StreamingSynthesizeResponse(audio_content=chunk))
                spoken.sent += 1
                await asyncio.sleep(self.chunk_s)
        finally:
            self.open -= 1

    async def _listen(
        self,
        requests: AsyncIterator[cloud_tts.StreamingSynthesizeRequest],
        context: grpc.aio.ServicerContext,
    ) -> Spoken:
        spoken: Spoken | None = None
        async for request in requests:
            if spoken is None:
                spoken = Spoken(request.streaming_config, [])
                continue
            text = request.input.text
            if not 0 < len(text.encode()) <= LONGEST_BYTES:
                await fail(context, grpc.StatusCode.INVALID_ARGUMENT, "input too long")
            spoken.texts.append(text)
        assert spoken is not None, "no configuration came"
        self.spoken.append(spoken)
        return spoken

    def _audio(self, spoken: Spoken) -> bytes:
        wanted = spoken.config.streaming_audio_config
        pcm = self.render("".join(spoken.texts), wanted.sample_rate_hertz)
        match wanted.audio_encoding.name:
            case "MULAW":
                return audioop.lin2ulaw(pcm, 2)
            case "ALAW":
                return audioop.lin2alaw(pcm, 2)
            case "PCM":
                return pcm
            case other:
                raise AssertionError(f"no such encoding: {other}")


def _chunks(audio: bytes, config: cloud_tts.StreamingSynthesizeConfig) -> list[bytes]:
    rate_hz = config.streaming_audio_config.sample_rate_hertz
    size = int(rate_hz * CHUNK_S) + 1  # chunks may end within a sample
    return [audio[at : at + size] for at in range(0, len(audio), size)]
