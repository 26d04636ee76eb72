"""What goes wrong during a soak, beside the calls: providers, webhooks, processes that die."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import signal
import time

from aiohttp import web

from tests.soak.excuses import Happening, Part
from tests.support.fake_openai import FakeOpenAI, Fault
from tests.support.fake_openai_faults import Kind, Service
from tests.support.hall import Hall

PAUSE_S = (2.0, 8.0)
BACK_WITHIN_S = 60.0
KEEPS = 1000


class Disturbances:
    """Lets things go wrong, and remembers what did.

    Attributes:
        happened: The latest faults.
        count: How many there were in all.
        kills: Whether the controller is killed in every other storm.
    """

    def __init__(
        self, hall: Hall, vendor: FakeOpenAI, chance: random.Random, *, kills: bool = False
    ) -> None:
        self.happened: list[Happening] = []
        self.count = 0
        self.kills = kills
        self._hall = hall
        self._vendor = vendor
        self._chance = chance
        self._now: list[Happening] = []
        self._storms = itertools.count()

    async def storm(self) -> None:
        """Disturb, until cancelled: providers all the time, one process in the middle of it."""
        die = ("controller", "postgres") if self.kills else ("postgres", None)
        process = die[next(self._storms) % 2]
        async with asyncio.TaskGroup() as group:
            group.create_task(self._providers(), name="soak providers")
            if process is not None:
                group.create_task(self._kill(process), name="soak kill")

    async def webhook(self, request: web.Request) -> web.StreamResponse:
        """Answer a webhook: mostly well, sometimes late, wrong or not at all."""
        match self._chance.randrange(10):
            case 0:
                return web.Response(status=500)
            case 1:
                await asyncio.sleep(self._chance.uniform(1, 4))
            case 2:
                assert request.transport is not None
                request.transport.close()
            case _:
                pass
        return web.Response(text="ok")

    def stop(self) -> None:
        """Let every provider be well again."""
        for service in self._vendor.services:
            service.faults.clear()
        self._vendor.chat.first_token_s = self._vendor.speech.first_byte_s = 0.0
        for one in self._now:
            one.over_s = time.monotonic()
        self._now.clear()

    def _begin(self, happening: Happening) -> Happening:
        self.count += 1
        self.happened.append(happening)
        del self.happened[:-KEEPS]
        return happening

    async def _providers(self) -> None:
        try:
            while True:
                self.stop()
                if self._chance.random() < 0.5:
                    self._now.append(self._begin(self._fault()))
                await asyncio.sleep(self._chance.uniform(*PAUSE_S))
        finally:
            self.stop()

    def _fault(self) -> Happening:
        """Let one provider be slow, or fail."""
        chance, vendor, now_s = self._chance, self._vendor, time.monotonic()
        match chance.randrange(3):
            case 0:
                vendor.chat.first_token_s = chance.uniform(0.5, 4)
                return Happening("a slow model", Part.MODEL, now_s)
            case 1:
                vendor.speech.first_byte_s = chance.uniform(0.5, 4)
                return Happening("a slow voice", Part.VOICE, now_s)
            case _:
                pass
        services: dict[Part, Service] = {
            Part.MODEL: vendor.chat,
            Part.VOICE: vendor.speech,
            Part.EARS: vendor.realtime,
        }
        part = chance.choice(list(services))
        kinds: tuple[Kind, ...] = ("status", "hang", "drop", "malformed", "silent")
        times = chance.randint(1, 6)
        fault = Fault(
            chance.choice(kinds),
            chance.choice((401, 429, 500, 503)),
            after=chance.randrange(3),
            times=times,
        )
        services[part].faults.append(fault)
        name = f"{part.value}: {fault.kind}" + (f" {fault.status}" * (fault.kind == "status"))
        return Happening(name, part, now_s, hit=lambda: fault.times != times)

    async def _kill(self, process: str) -> None:
        """Kill a process at any moment, and wait until it is there again."""
        await asyncio.sleep(self._chance.uniform(*PAUSE_S))
        if (killed := self._hall.platform.pids.get(process)) is None:
            return  # it is just being started
        happening = self._begin(Happening(f"{process} killed", Part.PLATFORM, time.monotonic()))
        os.kill(killed, signal.SIGKILL)
        try:
            async with asyncio.timeout(BACK_WITHIN_S):
                while self._hall.platform.pids.get(process) in (None, killed):  # noqa: ASYNC110
                    await asyncio.sleep(0.2)
        finally:
            happening.over_s = time.monotonic()
