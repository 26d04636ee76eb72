"""The worker: jobs that no call waits for, done once whatever number of workers runs.

A pass closes the calls of controllers that died and those that no controller would place, settles
the counts of calls, forgets what is out of use (rate windows, answers kept for repeated requests,
tickets of browsers) and erases what organisations no longer keep. The worker that holds the
advisory lock does them; the others stand by and take over when it ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from datetime import timedelta

import asyncpg

from db.adoption import forget_kept
from db.call_counts import SETTLED_AT_ONCE, settle
from db.controllers import close_orphans
from db.idempotency import purge
from db.keys import purge_windows
from db.outbound_requests import close_untaken
from db.pool import UNAVAILABLE
from db.retention import purge_tickets
from sovereign_ari.work.retention import erase_expired

PASS_EVERY_S = 5.0
CONTROLLER_GONE_AFTER_S = 15.0  # three heartbeats
SETTLINGS = 20  # of counts of calls, each a batch; more wait for the next pass
RATE_PERIOD = timedelta(seconds=60)
LOCK_KEY = 0x536F7665726E576B  # "SovernWk": any constant that nobody else uses

logger = logging.getLogger("work")


async def work(
    pool: asyncpg.Pool,
    stop: asyncio.Event,
    *,
    pass_every_s: float = PASS_EVERY_S,
    gone_after_s: float = CONTROLLER_GONE_AFTER_S,
) -> None:
    """Do passes until `stop` is set. A database that is away is waited for."""
    while not stop.is_set():
        try:
            async with pool.acquire() as connection:
                await _serve(connection, stop, pass_every_s, gone_after_s)
        except UNAVAILABLE as error:
            logger.warning("the worker waits for the database: %s", type(error).__name__)
            await _pause(stop, pass_every_s)


async def _serve(
    connection: asyncpg.Connection, stop: asyncio.Event, pass_every_s: float, gone_after_s: float
) -> None:
    """Do passes over one connection, while it lasts.

    Controllers may have been unable to beat for as long as we were unable to connect. So each
    connection first watches for as long as a controller may stay silent, and only then judges.
    """
    loop = asyncio.get_running_loop()
    held, judge_at_s = False, loop.time() + gone_after_s
    try:
        while not stop.is_set():
            held = held or await connection.fetchval("SELECT pg_try_advisory_lock($1)", LOCK_KEY)
            if held:
                judges = loop.time() >= judge_at_s
                await _do_pass(connection, stop, gone_after_s if judges else None)
            await _pause(stop, pass_every_s)
    finally:
        if held and not connection.is_closed():
            await connection.execute("SELECT pg_advisory_unlock($1)", LOCK_KEY)


async def _do_pass(
    connection: asyncpg.Connection, stop: asyncio.Event, gone_after_s: float | None
) -> None:
    """Do each job once; None judges no controller yet."""
    if gone_after_s is not None:
        for call_id in await close_orphans(connection, older_than_s=gone_after_s):
            logger.warning("closed a call whose controller is gone", extra={"call_id": call_id})
    for _ in range(SETTLINGS):
        if stop.is_set() or await settle(connection) < SETTLED_AT_ONCE:
            break
    for call_id in await close_untaken(connection):
        logger.warning("no controller took a call to be placed", extra={"call_id": call_id})
    await forget_kept(connection)
    await purge_windows(connection, RATE_PERIOD)
    await purge(connection)
    await purge_tickets(connection)
    await erase_expired(connection, stop)


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    """Wait, unless the end comes first."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()
