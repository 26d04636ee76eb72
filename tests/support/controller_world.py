"""A whole controller in one test: real ARI client, pacer and sockets; a fake PBX and providers."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from sovereign_ari.control.controller import Controller
from sovereign_ari.control.ports import CallServices, Note, NoTransferPlaces, TransferPlaces
from sovereign_ari.conversation.terms import Providers
from sovereign_ari.domain.adoption import FoundCall, NotAdopted
from sovereign_ari.domain.agent import Assistant, Route
from sovereign_ari.domain.ids import CallId
from sovereign_ari.domain.records import (
    CallAnswered,
    CallClosed,
    CallOpened,
    CallStatus,
    EndReason,
    JournalEntry,
    TurnRecord,
)
from sovereign_ari.media.pcm import PCM_8K, AudioFormat
from sovereign_ari.speech.base import Message, SpeechStream, Transcript
from sovereign_ari.wire.ari_events import AriEvents
from sovereign_ari.wire.ari_http import AriHttp
from sovereign_ari.wire.pacer import Pacer
from sovereign_ari.wire.rtp_socket import RtpSocket
from tests.support.fake_ari import until
from tests.support.fake_pbx import Pbx
from tests.support.scripted_speech import ScriptedLlm, ScriptedTts, resilient

ASSISTANT = Assistant("a", "o", "Ann", "Hi.", {"tools": [{"type": "end_call"}]}, {}, {})


class ToldStt:
    """Recognises what a test says, when it says it."""

    label = "told/stt"

    def __init__(self) -> None:
        self.streams: list[asyncio.Queue[Transcript | Exception]] = []
        self.close_gate: asyncio.Event | None = None

    def format_for(self, wire: AudioFormat) -> AudioFormat:
        return wire

    def say(self, words: str) -> None:
        self.streams[-1].put_nowait(Transcript(words, final=True))

    @asynccontextmanager
    async def open(self, audio: AudioFormat) -> AsyncIterator[SpeechStream]:
        answers: asyncio.Queue[Transcript | Exception] = asyncio.Queue(100)
        self.streams.append(answers)
        try:
            yield _ToldStream(answers)
        finally:
            self.streams.remove(answers)


class _ToldStream:
    def __init__(self, answers: asyncio.Queue[Transcript | Exception]) -> None:
        self._answers = answers

    async def send(self, audio: bytes) -> None:
        """Hear nothing."""

    async def flush(self) -> None:
        self._answers.put_nowait(Transcript("", final=True, flushed=True))

    async def __aiter__(self) -> AsyncIterator[Transcript]:
        while True:
            answer = await self._answers.get()
            if isinstance(answer, Exception):
                raise answer
            yield answer


class World:
    """A controller, its PBX, and what it wrote down."""

    def __init__(self, pbx: Pbx) -> None:
        self.pbx = pbx
        self.journal: list[JournalEntry] = []
        self.assistant = ASSISTANT
        self.route_gate: asyncio.Event | None = None
        self.route_fault: Exception | None = None
        self.routing = 0
        self.adoptions: list[FoundCall | NotAdopted | Exception] = []
        self.refused = 0
        self.put_through: list[CallId] = []
        self.places: TransferPlaces = NoTransferPlaces()
        self.stt = ToldStt()
        self.answers: Callable[[Sequence[Message]], Any] = lambda _: "Yes."
        self.llm = ScriptedLlm(lambda messages: self.answers(messages))
        self.tts = ScriptedTts(first_byte_s=0.0)
        self.rtp = RtpSocket("127.0.0.1")
        self.pacer = Pacer(self.rtp.fileno())
        self.controller: Controller
        self.events: AriEvents
        self.running: list[asyncio.Task[None]] = []

    def post(self, entry: JournalEntry) -> None:
        self.journal.append(entry)

    async def find_route(self, dialled: str, trunk: str = "") -> Route:
        self.routing += 1
        if self.route_gate:
            await self.route_gate.wait()
        if self.route_fault:
            raise self.route_fault
        return Route("o", None, self.assistant)

    async def adopt(self, call: CallId) -> FoundCall | NotAdopted:
        outcome = self.adoptions.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def transferred(self, call: CallId) -> None:
        self.put_through.append(call)

    async def take(self, organisation_id: str, call: CallId) -> None:
        await self.places.take(organisation_id, call)

    async def give_back(self, call: CallId) -> None:
        await self.places.give_back(call)

    async def keep(self, calls: Collection[CallId]) -> None:
        await self.places.keep(calls)

    def for_assistant(self, assistant: Assistant, wire: AudioFormat, note: Note) -> Providers:
        return Providers(self.stt, resilient(self.llm, note), self.tts, b"", PCM_8K)

    def of(self, kind: type[Any]) -> list[Any]:
        return [entry for entry in self.journal if isinstance(entry, kind)]

    async def talking(self) -> None:
        await until(lambda: any(call.is_talking for call in self.controller.calls))
        await until(lambda: self.of(CallAnswered))

    async def greeted(self) -> None:
        await self.talking()
        await until(lambda: any(t.heard_text == "Hi." for t in self.of(TurnRecord)))

    async def all_ended(self) -> None:
        """Wait until every call is over, and find nothing left of any."""
        pbx = self.pbx
        await until(lambda: len(self.of(CallClosed)) == pbx.called - self.refused, 15)
        await until(lambda: not self.controller.calls)
        await until(lambda: not (pbx.channels or pbx.bridges or pbx.far_ends))
        assert self.pacer.lines == 0
        assert self.rtp.far_ends == 0
        assert not self.stt.streams
        assert not self.llm.open_replies
        assert not self.tts.open_requests
        assert len(self.of(CallClosed)) == len(self.of(CallOpened))
        assert isinstance(self.journal[0], CallOpened)
        for task in self.running:
            assert not task.done(), "the controller itself must live on"

    @property
    def end(self) -> tuple[CallStatus, EndReason]:
        closed = self.of(CallClosed)[-1]
        return closed.status, closed.end_reason


@asynccontextmanager
async def world() -> AsyncIterator[World]:
    """Run a controller on a PBX of its own until the block ends."""
    pbx = Pbx()
    application = web.Application()
    application.router.add_route("*", "/ari/{path:.*}", pbx.handle)
    async with TestServer(application, shutdown_timeout=0.1) as server:
        pbx.url = str(server.make_url("/ari"))
        it = World(pbx)
        it.rtp.open()
        it.pacer.start()
        try:
            async with AriHttp(pbx.address, timeout_s=1.0) as ari:
                await _run(it, ari)
                try:
                    yield it
                finally:
                    for gate in pbx.held.values():
                        gate.set()
                    for task in it.running:
                        task.cancel()
                    await asyncio.wait(it.running)
        finally:
            it.pacer.stop()
            it.rtp.close()
            await pbx.drop_sockets()
            await pbx.settled()
            for far_end in pbx.far_ends.values():
                far_end.close()


async def _run(it: World, ari: AriHttp) -> None:
    services = CallServices(
        app=it.pbx.app,
        ari=ari,
        rtp=it.rtp,
        pacer=it.pacer,
        journal=it,
        directory=it,
        providers=it,
        clock=time.monotonic,
        wall_clock=lambda: datetime.now(UTC),
        entropy=lambda: secrets.randbits(80),
        adoptions=it,
        transfer_places=it,
    )
    it.controller = Controller(services)
    it.events = AriEvents(it.pbx.address, post=it.controller.post, connected=it.controller.recover)
    it.running = [
        asyncio.create_task(it.controller.run(), name="controller"),
        asyncio.create_task(it.events.run(), name="events"),
    ]
    await until(lambda: it.events.is_open)
