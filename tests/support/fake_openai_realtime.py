"""`GET /v1/realtime?intent=transcription`: transcription over a WebSocket."""

from __future__ import annotations

import asyncio
import audioop
import base64
import json
from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import WSMsgType, web

from tests.support.fake_openai_faults import Fault, Journal, Service, answer_of, hang, sever
from tests.support.tone_code import decode

RATE_HZ = 8000
BYTES_PER_S = 2 * RATE_HZ
MIN_COMMIT_BYTES = BYTES_PER_S // 10  # the vendor refuses to commit less than 100 ms
LOUD_RMS = 300
VAD_SILENCE_S = 0.5


def decode_tones(pcm_8k: bytes) -> str:
    """Recognise the tone code."""
    return " ".join(decode(pcm_8k, RATE_HZ))


class RealtimeService(Service):
    """Recognises what is committed.

    Attributes:
        recognise: PCM16 at 8 kHz to text; reads the tone code unless a test wants otherwise.
        transcript_s: Delay between commit and completed transcript.
        vad: Commits by itself on silence, as a server with its own turn detection does.
        live: Sends deltas while audio arrives, as the streaming models do.
        sessions: All sessions so far.
    """

    def __init__(self, journal: Journal, recognise: Callable[[bytes], str]) -> None:
        super().__init__(journal)
        self.recognise = recognise
        self.transcript_s = 0.0
        self.vad = False
        self.live = False
        self.sessions: list[RealtimeSession] = []

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one session until either side leaves."""
        if (refusal := self.journal.unauthorised(request)) is not None:
            return refusal
        self.journal.requests.append(("realtime", dict(request.query)))
        fault = self.next_fault()
        if fault is not None and fault.kind == "status":
            return answer_of(fault)
        if fault is not None and fault.kind == "hang" and not fault.after:
            await hang()
        socket = web.WebSocketResponse(compress=False, autoping=True)
        await socket.prepare(request)
        session = RealtimeSession(self, socket, fault)
        session.request = request
        self.sessions.append(session)
        self.open += 1
        try:
            if fault is not None and fault.after_s:
                loop = asyncio.get_running_loop()
                loop.call_later(fault.after_s, sever, request)
            await session.run(request)
        finally:
            self.open -= 1
        return socket

    async def close_all(self) -> None:
        """Leave every session."""
        for session in self.sessions:
            await session.socket.close()


class RealtimeSession:
    """One open session.

    Attributes:
        config: The last `session.update`.
        heard_bytes: All audio so far, as PCM16 at 8 kHz.
        commits: How often the client committed.
        texts: Completed transcripts.
    """

    def __init__(
        self, service: RealtimeService, socket: web.WebSocketResponse, fault: Fault | None
    ) -> None:
        self.service = service
        self.socket = socket
        self.fault = fault
        self.request: web.Request | None = None
        self.config: dict[str, Any] = {}
        self.heard = bytearray()
        self.commits = 0
        self.texts: list[str] = []
        self._buffer = bytearray()
        self._items = 0
        self._rate_state: Any = None
        self._speaking = False
        self._quiet_s = 0.0
        self._delta_sent = ""

    def break_off(self) -> None:
        """Close the connection without a farewell."""
        assert self.request is not None
        sever(self.request)

    async def run(self, request: web.Request) -> None:
        """Answer events until the socket closes."""
        await self._send("session.created", session={"type": "transcription"})
        async with asyncio.TaskGroup() as answers:
            async for message in self.socket:
                if message.type is not WSMsgType.TEXT:
                    break
                await self._on(json.loads(message.data), answers, request)

    async def _on(
        self, event: Mapping[str, Any], answers: asyncio.TaskGroup, request: web.Request
    ) -> None:
        match event["type"]:
            case "session.update":
                self.config = event["session"]
                await self._send("session.updated", session=self.config)
            case "input_audio_buffer.append":
                audio = self._pcm_8k(base64.b64decode(event["audio"], validate=True))
                self._buffer += audio
                self.heard += audio
                if self.service.live:
                    await self._live_delta()
                if self.service.vad:
                    await self._detect(audio, answers, request)
            case "input_audio_buffer.commit":
                self.commits += 1
                await self._commit(answers, request)
            case other:
                await self._error("invalid_request_error", f"unknown event {other}")

    async def _commit(self, answers: asyncio.TaskGroup, request: web.Request) -> None:
        if len(self._buffer) < MIN_COMMIT_BYTES:
            await self._error("input_audio_buffer_commit_empty", "buffer too small")
            return
        await self._cut(answers, request)

    async def _cut(self, answers: asyncio.TaskGroup, request: web.Request) -> None:
        """Make an item of what is buffered."""
        item, audio, sent = f"item_{self._items}", bytes(self._buffer), self._delta_sent
        self._items += 1
        self._delta_sent = ""
        self._buffer.clear()
        await self._send("input_audio_buffer.committed", item_id=item)
        answers.create_task(
            self._transcribe(request, item, audio, sent), name="fake-transcription"
        )

    async def _detect(
        self, audio: bytes, answers: asyncio.TaskGroup, request: web.Request
    ) -> None:
        if audioop.rms(audio, 2) > LOUD_RMS:
            self._speaking, self._quiet_s = True, 0.0
            return
        self._quiet_s += len(audio) / BYTES_PER_S
        if self._speaking and self._quiet_s >= VAD_SILENCE_S:
            self._speaking = False
            await self._cut(answers, request)

    async def _live_delta(self) -> None:
        text = self.service.recognise(bytes(self._buffer))
        if len(text) > len(self._delta_sent):
            delta, self._delta_sent = text[len(self._delta_sent) :], text
            await self._item("delta", f"item_{self._items}", delta=delta)

    async def _transcribe(self, request: web.Request, item: str, audio: bytes, sent: str) -> None:
        await asyncio.sleep(self.service.transcript_s)
        fault = self.fault
        if fault is not None and not fault.after_s and len(self.texts) >= fault.after:
            if fault.kind == "drop":
                sever(request)
            elif fault.kind == "malformed":
                await self.socket.send_str("{not json")
            elif fault.kind == "failed":
                await self._item("failed", item, error={"code": "audio_unintelligible"})
            if fault.kind != "malformed":
                return
        text = self.service.recognise(audio)
        for word in text.removeprefix(sent).split():
            await self._item("delta", item, delta=f"{word} ")
        self.texts.append(text)
        await self._item("completed", item, transcript=text)

    async def _item(self, what: str, item: str, **fields: object) -> None:
        name = f"conversation.item.input_audio_transcription.{what}"
        await self._send(name, item_id=item, content_index=0, **fields)

    async def _error(self, code: str, message: str) -> None:
        error = {"type": "invalid_request_error", "code": code, "message": message}
        await self._send("error", error=error)

    async def _send(self, event: str, **fields: object) -> None:
        if not self.socket.closed:
            await self.socket.send_json({"type": event, "event_id": "event_1", **fields})

    def _pcm_8k(self, audio: bytes) -> bytes:
        match self.config["audio"]["input"]["format"]["type"]:
            case "audio/pcmu":
                return audioop.ulaw2lin(audio, 2)
            case "audio/pcma":
                return audioop.alaw2lin(audio, 2)
            case "audio/pcm":
                pcm, self._rate_state = audioop.ratecv(audio, 2, 1, 24000, 8000, self._rate_state)
                return pcm
            case other:
                raise AssertionError(f"no such format: {other}")
