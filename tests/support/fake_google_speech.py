"""`google.cloud.speech.v2.Speech/StreamingRecognize`."""

from __future__ import annotations

import asyncio
import audioop
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import grpc
from google.cloud.speech_v2.types import cloud_speech

from tests.support.fake_google_faults import Gate, GoogleFault, GoogleService, fail, suffer
from tests.support.tone_code import decode

RATE_HZ = 8000
BYTES_PER_S = 2 * RATE_HZ
PIECE_BYTES = BYTES_PER_S // 10
LARGEST_BYTES = 15 * 1024
LOUD_RMS = 300
VAD_SILENCE_S = 0.3
EVENT_SILENCE_S = 0.15
LIMIT_S = 300.0


def decode_tones(pcm_8k: bytes) -> str:
    """Recognise the tone code."""
    return " ".join(decode(pcm_8k, RATE_HZ))


class SpeechService(GoogleService):
    """Recognises what it hears.

    Attributes:
        recognise: PCM16 at 8 kHz to text; reads the tone code unless a test wants otherwise.
        transcript_s: Delay between the end of a stream and its last result.
        vad: Makes a result final after silence.
        live: Sends interim results.
        events: Tells of voice that begins and ends, to clients that ask for it.
        limit_s: After which a stream is aborted.
        overrun: Streams that were.
        extra: Sent before each final result.
        sessions: All streams so far.
    """

    def __init__(self, gate: Gate) -> None:
        super().__init__(gate)
        self.recognise: Callable[[bytes], str] = decode_tones
        self.transcript_s = 0.0
        self.vad = False
        self.live = False
        self.events = False
        self.limit_s = LIMIT_S
        self.overrun = 0
        self.extra: list[Any] = []
        self.sessions: list[SpeechSession] = []

    async def handle(
        self,
        requests: AsyncIterator[cloud_speech.StreamingRecognizeRequest],
        context: grpc.aio.ServicerContext,
    ) -> None:
        """Serve one stream."""
        self.open += 1
        try:
            await self.gate.check(context)
            fault = self.next_fault()
            if fault is not None and fault.at_once:
                await suffer(fault, context)
                return
            session = SpeechSession(self, context, fault)
            self.sessions.append(session)
            await self._serve(session, requests)
        finally:
            self.open -= 1

    async def _serve(
        self,
        session: SpeechSession,
        requests: AsyncIterator[cloud_speech.StreamingRecognizeRequest],
    ) -> None:
        fault, context = session.fault, session.context
        breaks_s = fault.after_s if fault is not None and fault.after_s else self.limit_s
        try:
            async with asyncio.timeout(breaks_s):
                await session.run(requests)
        except TimeoutError:
            if fault is not None and fault.after_s:
                await suffer(fault, context)
                return
            self.overrun += 1
            message = "Max duration of 5 minutes reached for stream."
            await fail(context, grpc.StatusCode.ABORTED, message)


class SpeechSession:
    """One stream.

    Attributes:
        opening: The first request.
        heard: All audio, as PCM16 at 8 kHz.
        finals: Final results.
        messages: How much audio came in each request.
    """

    def __init__(
        self, service: SpeechService, context: grpc.aio.ServicerContext, fault: GoogleFault | None
    ) -> None:
        self.service = service
        self.context = context
        self.fault = fault
        self.opening = cloud_speech.StreamingRecognizeRequest()
        self.heard = bytearray()
        self.finals: list[str] = []
        self.messages: list[int] = []
        self._done = 0  # of what was heard
        self._spoke = False
        self._quiet_s = 0.0
        self._interim = ""
        self._rate_state: Any = None
        self._voice = False
        self._voiceless_s = 0.0

    async def run(self, requests: AsyncIterator[cloud_speech.StreamingRecognizeRequest]) -> None:
        """Answer until the client sends no more."""
        async for request in requests:
            if not self.messages and not self.opening.recognizer:
                self.opening = request
                continue
            await self._on_audio(bytes(request.audio))
        await asyncio.sleep(self.service.transcript_s)
        await self._final()

    async def _on_audio(self, audio: bytes) -> None:
        if not 0 < len(audio) <= LARGEST_BYTES:
            await fail(self.context, grpc.StatusCode.INVALID_ARGUMENT, "audio chunk too large")
        self.messages.append(len(audio))
        pcm = self._pcm_8k(audio)
        for at in range(0, len(pcm), PIECE_BYTES):
            await self._hear(pcm[at : at + PIECE_BYTES])
        if self.service.live:
            text = self.service.recognise(bytes(self.heard[self._done :]))
            if text and text != self._interim:
                self._interim = text
                await self._write(text, final=False)

    async def _hear(self, pcm: bytes) -> None:
        self.heard += pcm
        if self.service.events:
            await self._tell_events(pcm)
        if self.service.vad:
            await self._detect(pcm)

    async def _tell_events(self, pcm: bytes) -> None:
        features = self.opening.streaming_config.streaming_features
        if not features.enable_voice_activity_events:
            return
        loud = audioop.rms(pcm, 2) > LOUD_RMS
        self._voiceless_s = 0.0 if loud else self._voiceless_s + len(pcm) / BYTES_PER_S
        if loud == self._voice or 0 < self._voiceless_s < EVENT_SILENCE_S:
            return
        self._voice = loud
        kinds = cloud_speech.StreamingRecognizeResponse.SpeechEventType
        kind = kinds.SPEECH_ACTIVITY_BEGIN if loud else kinds.SPEECH_ACTIVITY_END
        event = cloud_speech.StreamingRecognizeResponse(
            speech_event_type=kind,
            speech_event_offset=timedelta(seconds=len(self.heard) / BYTES_PER_S),
        )
        await self.context.write(event)

    async def _detect(self, pcm: bytes) -> None:
        if audioop.rms(pcm, 2) > LOUD_RMS:
            self._spoke, self._quiet_s = True, 0.0
            return
        self._quiet_s += len(pcm) / BYTES_PER_S
        if self._spoke and self._quiet_s >= VAD_SILENCE_S:
            self._spoke = False
            await self._final()

    async def _final(self) -> None:
        fault = self.fault
        if fault is not None and not fault.after_s and len(self.finals) >= fault.after:
            await suffer(fault, self.context)
        text = self.service.recognise(bytes(self.heard[self._done :]))
        self._done = len(self.heard)
        self._interim = ""
        for extra in self.service.extra:
            await self.context.write(extra)
        if text:
            self.finals.append(text)
            await self._write(text, final=True)

    async def _write(self, text: str, *, final: bool) -> None:
        result = cloud_speech.StreamingRecognitionResult(
            alternatives=[{"transcript": text}],
            is_final=final,
            result_end_offset=timedelta(seconds=len(self.heard) / BYTES_PER_S),
        )
        await self.context.write(cloud_speech.StreamingRecognizeResponse(results=[result]))

    def _pcm_8k(self, audio: bytes) -> bytes:
        config = self.opening.streaming_config.config.explicit_decoding_config
        match config.encoding.name:
            case "MULAW":
                return audioop.ulaw2lin(audio, 2)
            case "ALAW":
                return audioop.alaw2lin(audio, 2)
            case "LINEAR16":
                pcm, self._rate_state = audioop.ratecv(
                    audio, 2, 1, config.sample_rate_hertz, RATE_HZ, self._rate_state
                )
                return pcm
            case other:
                raise AssertionError(f"no such encoding: {other}")
