"""`make soak MINUTES=20`: short calls with random faults; exit code 1 when anything is wrong.

Runs the product, a vendor, the callers and the called on this machine. Ten times over there are
calls, then calls with faults, then a rest in which nothing may be left; a row tells what the
processes hold then. At the end: calls by kind and outcome, what excused those that failed, and
leaks. A call that fails without a fault that it may have felt is wrong. PostgreSQL is killed in
every other storm, with `--kills` the controller in the others.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import sys
from contextlib import AsyncExitStack

from tests.bench.machine import describe
from tests.soak.disturbances import Disturbances
from tests.soak.soaking import Soak
from tests.soak.verdict import FEWEST_ROWS, leaks
from tests.support.fake_openai import fake_openai
from tests.support.hall import model, open_hall
from tests.support.platform import running_platform
from tests.support.webhook_receiver import webhook_receiver

NUMBER = "+31203000002"
PER_SECOND = 1.5
RATE_LIMIT = {"SOVEREIGN_RATE_LIMIT_PER_MINUTE": "60000"}


def _conclude(soak: Soak, *, forgiven: bool) -> int:
    """Print what became of the calls and what leaked; returns the exit code."""
    tally, found = soak.tally, leaks(soak.rows)
    print(f"\n{tally.begun} calls, {soak.disturbances.count} faults\n")
    for line in tally.table():
        print(line)
    for one in tally.forgiven if forgiven else ():
        print(f"excused: {one}")
    print()
    for one in soak.left:
        print(f"LEFT BEHIND: {one}")
    for one in found:
        print(f"LEAK: {one}")
    if len(soak.rows) < FEWEST_ROWS:
        print("too short to tell what grows")
    bad = bool(soak.left or found or tally.wrong)
    print("something is wrong" if bad else "no call went wrong, nothing leaked or was left behind")
    return 1 if bad else 0


async def soak(options: argparse.Namespace) -> int:
    """Run everything and have the calls."""
    chance = random.Random(options.seed)
    print(
        f"{describe()}\nseed {options.seed}, {options.rate:g} calls/s, {options.minutes:g} minutes"
    )
    for noisy in ("asyncpg", "aiohttp.server"):  # they complain of what is done on purpose
        logging.getLogger(noisy).setLevel(logging.CRITICAL)
    async with AsyncExitStack() as stack:
        vendor = await stack.enter_async_context(fake_openai())
        vendor.reply = model
        vendor.chat.apart = frozenset({"gpt-5.4-mini"})
        receiver = await stack.enter_async_context(webhook_receiver())
        env = {"OPENAI_API_KEY": "a-key-of-the-tests", "OPENAI_BASE_URL": vendor.base_url}
        env |= {"SOVEREIGN_OUTGOING_ALLOW": "127.0.0.0/8"}
        platform = await stack.enter_async_context(running_platform(env | RATE_LIMIT))
        api = await stack.enter_async_context(platform.api())
        hooks = {"webhook_url": receiver.url, "webhook_secret": "whsec"}
        hall = await stack.enter_async_context(open_hall(platform, api, NUMBER, chance, **hooks))
        await hall.rows.execute(
            "UPDATE organisations SET outbound_concurrency = 100, outbound_calls_per_second = 50"
        )
        disturbances = Disturbances(hall, vendor, chance, kills=options.kills)
        receiver.always = disturbances.webhook
        run = Soak(hall, vendor, receiver, disturbances)
        await run.run(options.minutes, options.rate)
        return _conclude(run, forgiven=options.excused)


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--rate", type=float, default=PER_SECOND, help="calls begun a second")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--kills", action="store_true", help="kill the controller now and then")
    parser.add_argument("--excused", action="store_true", help="tell of excused calls, too")
    return asyncio.run(soak(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
