"""A vendor for benches, in a process of its own: answers at once and costs next to nothing.

Its voice is an unbroken tone, so that every hole in what a caller hears is somebody's fault. It
does not look at the audio it gets: whatever was committed was "where is my order".
"""

from __future__ import annotations

import asyncio
import functools
import json
import logging
import sys

import uvloop
from aiohttp import WSMsgType, web

from tests.support.fake_openai import FakeOpenAI
from tests.support.speech_samples import tone

GREETING = "Greeting"
REPLY = "Reply"
GREETING_S = 1.0
REPLY_S = 4.0
TONE_HZ = 500
TONE_DBFS = -16.0
WORDS = "where is my order"
_APPEND = '"input_audio_buffer.append"'


@functools.cache
def render(text: str, rate_hz: int) -> bytes:
    """Speak: the greeting for one second, anything else for four."""
    return tone(TONE_HZ, GREETING_S if text == GREETING else REPLY_S, rate_hz, TONE_DBFS)


async def transcribe(request: web.Request) -> web.WebSocketResponse:
    """Serve one realtime transcription."""
    socket = web.WebSocketResponse(compress=False)
    await socket.prepare(request)
    await socket.send_json({"type": "session.created", "session": {"type": "transcription"}})
    items = 0
    async for message in socket:
        if message.type is not WSMsgType.TEXT or _APPEND in message.data[:200]:
            continue
        event = json.loads(message.data)
        if event["type"] == "session.update":
            await socket.send_json({"type": "session.updated", "session": event["session"]})
        elif event["type"] == "input_audio_buffer.commit":
            item = {"item_id": f"item_{items}", "content_index": 0}
            items += 1
            name = "conversation.item.input_audio_transcription.completed"
            await socket.send_json({"type": "input_audio_buffer.committed", **item})
            await socket.send_json({"type": name, **item, "transcript": WORDS})
    return socket


async def serve() -> None:
    """Serve until standard input closes; the address is printed first."""
    # A reply that the caller cut is a request that went away: nothing to report.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
    vendor = FakeOpenAI()
    vendor.reply = lambda _messages, _tools: REPLY
    vendor.speech.render = render
    app = web.Application()
    app.router.add_post("/v1/chat/completions", vendor.chat.handle)
    app.router.add_post("/v1/audio/speech", vendor.speech.handle)
    app.router.add_get("/v1/realtime", transcribe)
    runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=0.2)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        print(f"http://127.0.0.1:{runner.addresses[0][1]}/v1", flush=True)
        await asyncio.to_thread(sys.stdin.read)
    finally:
        await runner.cleanup()


if __name__ == "__main__":
    uvloop.run(serve())
