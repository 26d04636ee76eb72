"""What goes wrong during a soak, beside the calls: providers, webhooks, a killed controller."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from dataclasses import dataclass

from aiohttp import web

from tests.support.fake_openai import FakeOpenAI, Fault
from tests.support.fake_openai_faults import Kind
from tests.support.hall import Hall

PAUSE_S = (2.0, 8.0)
KILL_EVERY_S = 90.0
LASTS_S = 30.0
"""So long after a fault a call may still suffer from it."""

BACK_WITHIN_S = 30.0


@dataclass
class Disturbances:
    """Lets things go wrong, one after the other.

    Attributes:
        kills: Whether the controller is killed now and then.
        killed: How often it was.
        faults: How many faults the providers were given.
    """

    hall: Hall
    vendor: FakeOpenAI
    chance: random.Random
    kills: bool = False
    killed: int = 0
    faults: int = 0
    _last_s: float = -1e9
    _last_kill_s: float = -1e9

    @property
    def lately(self) -> bool:
        """Whether calls suffer from providers, or did so just now."""
        return time.monotonic() - self._last_s < LASTS_S or self.killed_lately

    @property
    def killed_lately(self) -> bool:
        """Whether calls suffer from a kill."""
        return time.monotonic() - self._last_kill_s < LASTS_S

    async def run(self) -> None:
        """Disturb, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._providers(), name="soak providers")
            if self.kills:
                group.create_task(self._kill(), name="soak kills")

    async def webhook(self, _request: web.Request) -> web.StreamResponse:
        """Answer a webhook: mostly well, sometimes late, wrong or not at all."""
        match self.chance.randrange(10):
            case 0:
                return web.Response(status=500)
            case 1:
                await asyncio.sleep(self.chance.uniform(1, 4))
            case 2:
                assert _request.transport is not None
                _request.transport.close()
            case _:
                pass
        return web.Response(text="ok")

    def stop(self) -> None:
        """Let everything be well again."""
        for service in self.vendor.services:
            service.faults.clear()
        self.vendor.chat.first_token_s = self.vendor.speech.first_byte_s = 0.0

    async def _providers(self) -> None:
        while True:
            await asyncio.sleep(self.chance.uniform(*PAUSE_S))
            self.stop()
            if self.chance.random() < 0.5:
                continue
            self.faults += 1
            self._last_s = time.monotonic()
            match self.chance.randrange(3):
                case 0:
                    self.vendor.chat.first_token_s = self.chance.uniform(0.5, 4)
                case 1:
                    self.vendor.speech.first_byte_s = self.chance.uniform(0.5, 4)
                case _:
                    self.chance.choice(self.vendor.services).faults.append(self._fault())

    def _fault(self) -> Fault:
        chance = self.chance
        kinds: tuple[Kind, ...] = ("status", "hang", "drop", "malformed", "silent")
        kind = chance.choice(kinds)
        status = chance.choice((401, 429, 500, 503))
        return Fault(kind, status, after=chance.randrange(3), times=chance.randint(1, 6))

    async def _kill(self) -> None:
        while True:
            await asyncio.sleep(KILL_EVERY_S * self.chance.uniform(0.5, 1.5))
            before = self.hall.platform.pids["controller"]
            self._last_kill_s = time.monotonic()
            os.kill(before, signal.SIGKILL)
            self.killed += 1
            async with asyncio.timeout(BACK_WITHIN_S):
                while self.hall.platform.pids.get("controller") in (None, before):  # noqa: ASYNC110
                    await asyncio.sleep(0.2)
            self._last_kill_s = time.monotonic()
