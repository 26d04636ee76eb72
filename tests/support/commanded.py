"""A controller that takes commands to calls and writes down what it was told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import asyncpg

from db.commands import open_box
from db.journal import write_entries
from sovereign_ari.control.commands import serve_commands
from sovereign_ari.domain.control import CommandOutcome, ControlCommand
from sovereign_ari.domain.ids import CallId
from tests.support.rows import a_call_id, answered, opened


class Commanded:
    """What was told, in order, and what is answered."""

    def __init__(self) -> None:
        self.told: list[tuple[CallId, ControlCommand]] = []
        self.at: list[datetime] = []
        self.outcome = CommandOutcome.DONE

    def control(self, call_id: CallId, command: ControlCommand) -> CommandOutcome:
        self.told.append((call_id, command))
        self.at.append(datetime.now(UTC))
        return self.outcome


async def live_call(
    pool: asyncpg.Pool,
    organisation_id: str,
    call: CallId | None = None,
    controller: str = "sovereign-1",
) -> CallId:
    """Write a call in progress."""
    call = call or a_call_id()
    async with pool.acquire() as connection:
        await write_entries(
            connection,
            [opened(organisation_id, call, controller=controller), answered(call)],
        )
    return call


async def listens(pool: asyncpg.Pool, channel: str) -> bool:
    """Whether any session waits for notifications on a channel."""
    found = await pool.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE query ILIKE 'LISTEN%' || $1 || '%'", channel
    )
    return bool(found)


@asynccontextmanager
async def commanded(
    pool: asyncpg.Pool, controller: str = "sovereign-1"
) -> AsyncIterator[Commanded]:
    """Serve the commands to one controller until the block ends."""
    it = Commanded()
    serving = asyncio.create_task(
        serve_commands(lambda: open_box(pool, controller), it.control), name="commands"
    )
    try:
        yield it
    finally:
        serving.cancel()
        await asyncio.wait((serving,))
