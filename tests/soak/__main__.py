"""`make soak MINUTES=20`: short calls with random faults; exit code 1 when anything is left.

Runs the product, a vendor, the callers and the called on this machine. Prints a line each minute,
and at the end what was left behind and what grew. `--kills` kills the controller now and then.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from tests.bench.machine import describe
from tests.soak.calls import Tally, have_one
from tests.soak.disturbances import Disturbances
from tests.soak.gauges import Reading, growth, read
from tests.support.fake_openai import FakeOpenAI, fake_openai
from tests.support.hall import Hall, model, open_hall
from tests.support.platform import Platform, running_platform
from tests.support.residue import residue
from tests.support.webhook_receiver import WebhookReceiver, webhook_receiver

NUMBER = "+31203000002"
PER_SECOND = 1.5
MOST_AT_ONCE = 40
MINUTE_S = 60.0
SETTLES_WITHIN_S = 60.0
IDLE_S = 25.0
"""The controller looks for cycles only when no call is live, every 10 s."""

SHOWN_FAILURES = 20
WARM_UP_S = 30.0
HEADINGS = (
    "minute  calls failed suffered  live chan brid stale rows"
    "   controller MiB/fds/threads/tasks  asterisk MiB/fds  api MiB  worker MiB  db MiB"
)
RATE_LIMIT = {"SOVEREIGN_RATE_LIMIT_PER_MINUTE": "60000"}


@dataclass
class Soak:
    """One run."""

    hall: Hall
    vendor: FakeOpenAI
    receiver: WebhookReceiver
    disturbances: Disturbances
    tally: Tally = field(default_factory=Tally)
    at_rest: list[tuple[int, Reading]] = field(default_factory=list)
    stale: int = 0

    async def run(self, minutes: float, per_second: float) -> list[str]:
        """Have calls for so long; returns what was left behind."""
        await self._call(time.monotonic() + WARM_UP_S, per_second)
        if left := await self._settle("warm"):
            return left
        until_s = time.monotonic() + minutes * MINUTE_S
        disturbing = asyncio.create_task(self.disturbances.run(), name="soak disturbances")
        looking = asyncio.create_task(self._look(), name="soak readings")
        try:
            await self._call(until_s, per_second)
        finally:
            for task in (disturbing, looking):
                task.cancel()
                await asyncio.wait((task,))
        self.disturbances.stop()
        return await self._settle("end")

    async def _call(self, until_s: float, per_second: float) -> None:
        chance, room = self.hall.chance, asyncio.Semaphore(MOST_AT_ONCE)

        async def one() -> None:
            try:
                await have_one(self.hall, self.disturbances, self.tally)
            finally:
                room.release()

        async with asyncio.TaskGroup() as group:
            while time.monotonic() < until_s:
                await room.acquire()
                group.create_task(one(), name="soak call")
                await asyncio.sleep(chance.expovariate(per_second))

    async def _look(self) -> None:
        began_s = time.monotonic()
        while True:
            await asyncio.sleep(MINUTE_S)
            self._forget()
            try:
                now = await read(self.hall)
            except (OSError, KeyError, AssertionError) as error:
                print(f"no reading: {error}")  # the controller is just being started again
                continue
            self.stale += now.stale
            minute = (time.monotonic() - began_s) / MINUTE_S
            print(_line(f"{minute:.0f}", self.tally, now), flush=True)

    def _forget(self) -> None:
        """Keep no more of what the vendor and the integrator heard: it would be our own leak."""
        self.vendor.journal.requests.clear()
        self.vendor.journal.keys.clear()
        self.vendor.speech.texts.clear()
        self.vendor.chat.bodies_apart.clear()
        self.vendor.sessions.clear()
        self.receiver.received.clear()

    async def _settle(self, name: str) -> list[str]:
        """Wait until nothing is left, and say what is."""
        deadline_s = time.monotonic() + SETTLES_WITHIN_S
        while left := await self._left():
            if time.monotonic() > deadline_s:
                break
            await asyncio.sleep(1)
        self._forget()
        await asyncio.sleep(IDLE_S)
        now = await read(self.hall)
        self.at_rest.append((self.tally.begun, now))
        print(_line(name, self.tally, now), flush=True)
        return left

    async def _left(self) -> list[str]:
        left = await residue(self.hall.platform)
        rows = await self.hall.rows.fetch(
            "SELECT id, status FROM calls WHERE ended_at IS NULL LIMIT 5"
        )
        left += [f"open row: {row['id']} {row['status']}" for row in rows]
        if self.vendor.open:
            left.append(f"requests to the vendor: {self.vendor.open}")
        return left


def _line(name: str, tally: Tally, now: Reading) -> str:
    controller, asterisk = now.controller, now.asterisk
    return (
        f"{name:>6} {tally.begun:6} {len(tally.failed):6}"
        f" {tally.suffered:8} {now.live:5} {now.channels:4} {now.bridges:4} {now.stale:5}"
        f" {now.open_rows:4}   {controller.rss_mib:9.1f} {controller.fds:5} {controller.threads:4}"
        f" {now.tasks:5} {'':8} {asterisk.rss_mib:6.1f} {asterisk.fds:4}"
        f" {now.api.rss_mib:11.1f} {now.worker.rss_mib:9.1f} {now.database_mib:9.1f}"
    )


def _conclude(soak: Soak, left: Sequence[str]) -> int:
    """Print what was left and what grew; returns the exit code."""
    tally = soak.tally
    print(f"\n{tally.begun} calls, {len(tally.failed)} failed, {tally.suffered} suffered from")
    print(f"{soak.disturbances.faults} faults of providers, {soak.disturbances.killed} kills")
    for kind, count in sorted(tally.ended.items()):
        print(f"{count:6}  {kind}")
    for failure in tally.failed[:SHOWN_FAILURES]:
        print(f"failed: {failure}")
    if len(soak.at_rest) > 1:
        (at_first, first), (at_last, last) = soak.at_rest
        print(f"\ngrowth per 1000 calls, at rest, from call {at_first} to call {at_last}:")
        for name, more in growth(first, last, at_last - at_first).items():
            print(f"{more:10.2f}  {name}")
    for one in left:
        print(f"LEFT BEHIND: {one}")
    print("nothing left behind" if not (left or soak.stale) else "something was left behind")
    return 1 if left or soak.stale or tally.failed else 0


async def soak(options: argparse.Namespace) -> int:
    """Run everything and have the calls."""
    chance = random.Random(options.seed)
    print(
        f"{describe()}\nseed {options.seed}, {options.rate:g} calls/s, {options.minutes:g} minutes"
    )
    async with AsyncExitStack() as stack:
        vendor = await stack.enter_async_context(fake_openai())
        vendor.reply = model
        vendor.chat.apart = frozenset({"gpt-5.4-mini"})
        receiver = await stack.enter_async_context(webhook_receiver())
        env = {"OPENAI_API_KEY": "a-key-of-the-tests", "OPENAI_BASE_URL": vendor.base_url}
        env |= {"SOVEREIGN_OUTGOING_ALLOW": "127.0.0.0/8"}
        platform: Platform = await stack.enter_async_context(running_platform(env | RATE_LIMIT))
        api = await stack.enter_async_context(platform.api())
        hooks = {"webhook_url": receiver.url, "webhook_secret": "whsec"}
        hall = await stack.enter_async_context(open_hall(platform, api, NUMBER, chance, **hooks))
        await hall.rows.execute(
            "UPDATE organisations SET outbound_concurrency = 100, outbound_calls_per_second = 50"
        )
        disturbances = Disturbances(hall, vendor, chance, kills=options.kills)
        receiver.always = disturbances.webhook
        run = Soak(hall, vendor, receiver, disturbances)
        return _conclude(run, await run.run(options.minutes, options.rate))


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--rate", type=float, default=PER_SECOND, help="calls begun a second")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--kills", action="store_true", help="kill the controller now and then")
    return asyncio.run(soak(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
