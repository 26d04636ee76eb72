"""One soak: calls, then a storm of faults on them, then rest and a look; ten times over."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass, field

import aiohttp
import asyncpg

from tests.soak.calls import any_kind
from tests.soak.disturbances import Disturbances
from tests.soak.excuses import excuse
from tests.soak.gauges import left_behind, read
from tests.soak.tally import Tally
from tests.soak.verdict import HEADINGS, Row, line
from tests.support.fake_openai import FakeOpenAI
from tests.support.hall import Hall
from tests.support.webhook_receiver import WebhookReceiver

MOST_LEGS = 10
SHORTEST_LEG_S = 35.0
MOST_AT_ONCE = 40
SETTLES_WITHIN_S = 60.0
TELLS_AFTER_S = 15.0
IDLE_S = 12.0
"""The controller looks for cycles every 10 s when no call is live."""

REST_S = IDLE_S + 10.0
CALM_SHARE = 0.4
_UNREADABLE = (
    OSError,
    KeyError,
    AssertionError,
    aiohttp.ClientError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)


def legs_of(minutes: float) -> tuple[int, float]:
    """Divide a time into as many legs as it has room for; returns their number and seconds."""
    all_s = minutes * 60
    count = max(1, min(MOST_LEGS, int(all_s // SHORTEST_LEG_S)))
    return count, all_s / count


@dataclass
class Soak:
    """One run.

    Attributes:
        tally: What became of the calls.
        rows: What was held at each rest.
        left: What was left behind at one.
    """

    hall: Hall
    vendor: FakeOpenAI
    receiver: WebhookReceiver
    disturbances: Disturbances
    tally: Tally = field(default_factory=Tally)
    rows: list[Row] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    async def run(self, minutes: float, per_second: float) -> None:
        """Have calls for so long, or until something is left behind."""
        count, leg_s = legs_of(minutes)
        calls_s = max(leg_s - REST_S, leg_s / 3)
        print(HEADINGS)
        for _ in range(count):
            calm_s = time.monotonic() + CALM_SHARE * calls_s
            await self._leg(calm_s, calm_s + (1 - CALM_SHARE) * calls_s, per_second)
            self.left = await self._settle()
            if self.left:
                return

    async def _leg(self, calm_s: float, until_s: float, per_second: float) -> None:
        """Begin calls until then, with faults from `calm_s` on, and let them end."""
        room = asyncio.Semaphore(MOST_AT_ONCE)
        storm: asyncio.Task[None] | None = None

        async def one() -> None:
            try:
                await self._call()
            finally:
                room.release()

        async with asyncio.TaskGroup() as group:
            while (now_s := time.monotonic()) < until_s:
                if storm is None and now_s > calm_s:
                    storm = group.create_task(self.disturbances.storm(), name="soak storm")
                await room.acquire()
                group.create_task(one(), name="soak call")
                await asyncio.sleep(self.hall.chance.expovariate(per_second))
            if storm is not None:
                storm.cancel()

    async def _call(self) -> None:
        """Have one call, and write down what became of it and why."""
        self.tally.begun += 1
        kind, began_s = any_kind(self.hall.chance), time.monotonic()
        try:
            await kind.have(self.hall)
        except Exception as fault:  # noqa: BLE001  # one call must not end the soak
            happened = self.disturbances.happened
            by = excuse(happened, kind.needs, began_s, time.monotonic())
            what = f"{type(fault).__name__}: {fault}"
            self.tally.went_wrong(kind.name, what, by)
        else:
            self.tally.went_well(kind.name)

    async def _settle(self) -> list[str]:
        """Wait until nothing is left, rest and look; returns what is left."""
        began_s = time.monotonic()
        told = False
        while left := await self._left():
            waited_s = time.monotonic() - began_s
            if waited_s > SETTLES_WITHIN_S:
                break
            if waited_s > TELLS_AFTER_S and not told:
                told = True
                print(f"not yet at rest after {waited_s:.0f} s: {left}", flush=True)
            await asyncio.sleep(1)
        self._forget()
        await asyncio.sleep(IDLE_S)
        with suppress(*_UNREADABLE):
            row = await read(self.hall, self.tally.begun)
            print(line(row, self.rows[-1] if self.rows else None), flush=True)
            self.rows.append(row)
        return left

    async def _left(self) -> list[str]:
        try:
            left = await left_behind(self.hall)
        except _UNREADABLE as fault:
            return [f"the product cannot be read: {type(fault).__name__}: {fault}"]
        if self.vendor.open:
            left.append(f"requests to the vendor: {self.vendor.open}")
        return left

    def _forget(self) -> None:
        """Keep no more of what the vendor and the integrator heard: it would be our own leak."""
        self.vendor.journal.requests.clear()
        self.vendor.journal.keys.clear()
        self.vendor.speech.texts.clear()
        self.vendor.chat.bodies_apart.clear()
        self.vendor.sessions.clear()
        self.receiver.received.clear()
