"""`POST /v1/audio/speech` with `response_format: pcm`: 24 kHz PCM16, chunked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from aiohttp import web

from tests.support.fake_openai_faults import (
    Fault,
    Journal,
    Service,
    answer_of,
    hang,
    sever,
    vendor_error,
)

RATE_HZ = 24000
CHUNK_BYTES = 4801  # odd on purpose: samples are torn between chunks, as on the real wire


class SpeechService(Service):
    """Speaks what it is asked to.

    Attributes:
        render: `(text, rate_hz)` to PCM16; the tone code unless a test wants another voice.
        first_byte_s: Delay before the first audio.
        chunk_s: Delay before each further 100 ms of it.
        kind: What it says that it sends.
        header: What it sends before the sound.
        texts: What it was asked to say, in order.
    """

    def __init__(self, journal: Journal, render: Callable[[str, int], bytes]) -> None:
        super().__init__(journal)
        self.render = render
        self.first_byte_s = 0.0
        self.chunk_s = 0.0
        self.kind = "audio/pcm"
        self.header = b""
        self.texts: list[str] = []

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one sentence."""
        if (refusal := self.journal.unauthorised(request)) is not None:
            return refusal
        body: dict[str, Any] = await request.json()
        self.journal.requests.append(("speech", body))
        if body.get("response_format") != "pcm":
            return vendor_error(400, "unsupported", "this server only speaks pcm")
        self.texts.append(body["input"])
        fault = self.next_fault()
        if fault is not None and fault.kind == "status":
            return answer_of(fault)
        self.open += 1
        try:
            return await self._stream(request, body["input"], fault)
        finally:
            self.open -= 1

    async def _stream(
        self, request: web.Request, text: str, fault: Fault | None
    ) -> web.StreamResponse:
        if fault is not None and fault.kind == "hang" and not fault.after:
            await hang()
        response = web.StreamResponse(headers={"Content-Type": self.kind})
        await asyncio.sleep(self.first_byte_s)
        await response.prepare(request)
        if fault is not None and fault.kind == "silent":
            return response
        audio = self.header + self.render(text, RATE_HZ)
        for index, start in enumerate(range(0, len(audio), CHUNK_BYTES)):
            if index:
                await asyncio.sleep(self.chunk_s)
            if fault is not None and index >= fault.after:
                if fault.kind == "drop":
                    sever(request)
                await hang()
            await response.write(audio[start : start + CHUNK_BYTES])
        return response
