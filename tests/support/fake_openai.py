"""An OpenAI server on a real port: chat completions, speech and realtime transcription.

It speaks the three wire protocols as the vendor does (SSE, chunked PCM, WebSocket JSON), with
settable delays and faults, and keeps a journal for assertions. What a test sets on
`FakeOpenAI` counts from the next request on.

    async with fake_openai() as server:
        server.reply = lambda messages, tools: "Hello!"
        server.chat.faults.append(Fault(status=429, retry_after_s=2.0))
        ... OPENAI_BASE_URL = server.base_url

As its own process, for benchmarks: `python -m tests.support.fake_openai --port 9000`.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from tests.support.fake_openai_chat import Call, ChatService, Reply, repeat_back
from tests.support.fake_openai_faults import Fault, Journal, Service
from tests.support.fake_openai_realtime import RealtimeService, RealtimeSession, decode_tones
from tests.support.fake_openai_speech import SpeechService
from tests.support.tone_code import encode

__all__ = ["Call", "FakeOpenAI", "Fault", "RealtimeSession", "Reply", "fake_openai"]


class FakeOpenAI:
    """The server's knobs and journal.

    Attributes:
        base_url: What to set `OPENAI_BASE_URL` to, once started.
        journal: Every request, in order.
        chat: `/chat/completions`: delays and faults.
        speech: `/audio/speech`, likewise.
        realtime: `/realtime`, likewise.
    """

    def __init__(self, *, api_key: str | None = None) -> None:
        self.base_url = ""
        self.journal = Journal(api_key)
        self.chat = ChatService(self.journal, repeat_back)
        self.speech = SpeechService(self.journal, encode)
        self.realtime = RealtimeService(self.journal, decode_tones)

    @property
    def reply(self) -> Callable[[list[dict[str, object]], list[dict[str, object]]], Reply]:
        """What the model answers to `(messages, tools)`."""
        return self.chat.reply

    @reply.setter
    def reply(
        self, reply: Callable[[list[dict[str, object]], list[dict[str, object]]], Reply]
    ) -> None:
        self.chat.reply = reply

    @property
    def services(self) -> tuple[Service, ...]:
        """The three protocols."""
        return (self.chat, self.speech, self.realtime)

    @property
    def open(self) -> int:
        """Requests and sessions being served now."""
        return sum(service.open for service in self.services)

    @property
    def spoken(self) -> list[str]:
        """Texts that were asked to be spoken, in order."""
        return self.speech.texts

    @property
    def sessions(self) -> list[RealtimeSession]:
        """Transcription sessions, in the order they were opened."""
        return self.realtime.sessions

    async def until(self, condition: Callable[[], object], timeout_s: float = 5.0) -> None:
        """Wait for something in the journal.

        Raises:
            TimeoutError: When it has not happened in time.
        """
        async with asyncio.timeout(timeout_s):
            while not condition():  # noqa: ASYNC110 - any state may be waited for
                await asyncio.sleep(0.005)

    def app(self) -> web.Application:
        """Build the application; the caller runs it."""
        app = web.Application(client_max_size=32 * 2**20)
        app.router.add_post("/v1/chat/completions", self.chat.handle)
        app.router.add_post("/v1/audio/speech", self.speech.handle)
        app.router.add_get("/v1/realtime", self.realtime.handle)
        app.router.add_get("/v1/models", self._models)
        return app

    async def _models(self, request: web.Request) -> web.Response:
        if (refusal := self.journal.unauthorised(request)) is not None:
            return refusal
        models = ("gpt-5.4", "gpt-5.4-mini", "gpt-4o-mini-tts", "gpt-4o-transcribe")
        data = [{"id": name, "object": "model", "owned_by": "openai"} for name in models]
        return web.json_response({"object": "list", "data": data})


@asynccontextmanager
async def fake_openai(
    *, port: int = 0, host: str = "127.0.0.1", api_key: str | None = None
) -> AsyncIterator[FakeOpenAI]:
    """Run the server in this event loop.

    Args:
        port: 0 takes a free one.
        host: Address to listen on.
        api_key: The only key accepted; None accepts any.
    """
    server = FakeOpenAI(api_key=api_key)
    runner = web.AppRunner(
        server.app(), handler_cancellation=True, access_log=None, shutdown_timeout=0.2
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        address = runner.addresses[0]
        server.base_url = f"http://{host}:{address[1]}/v1"
        yield server
    finally:
        await server.realtime.close_all()
        await runner.cleanup()


async def _run(options: argparse.Namespace) -> None:
    async with fake_openai(port=options.port) as server:
        server.chat.first_token_s = options.first_token_ms / 1000
        server.chat.token_s = options.token_ms / 1000
        server.speech.first_byte_s = options.first_byte_ms / 1000
        server.realtime.transcript_s = options.transcript_ms / 1000
        if options.reply:
            server.reply = lambda _messages, _tools: str(options.reply)
        logging.getLogger(__name__).warning("listening on %s", server.base_url)
        await asyncio.Event().wait()


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description=__doc__, add_help=True)
    parser.add_argument("--port", type=int, default=9000)
    for name in ("first-token-ms", "token-ms", "first-byte-ms", "transcript-ms"):
        parser.add_argument(f"--{name}", type=float, default=0.0)
    parser.add_argument("--reply", help="the one thing the model says; else it repeats")
    logging.basicConfig(format="%(message)s")
    try:
        asyncio.run(_run(parser.parse_args()))
    except KeyboardInterrupt:
        return


if __name__ == "__main__":
    main()
