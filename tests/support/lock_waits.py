"""Waiting until a request stands at a lock that a test holds."""

from __future__ import annotations

import asyncio

import asyncpg

DEADLINE_S = 10
_WAITING = """
SELECT EXISTS (SELECT FROM pg_stat_activity
                WHERE datname = current_database() AND wait_event_type = 'Lock')
"""


async def until_somebody_waits(pool: asyncpg.Pool) -> None:
    """Return once a connection to this database waits for a lock."""
    async with asyncio.timeout(DEADLINE_S):
        while not await pool.fetchval(_WAITING):  # noqa: ASYNC110 - it is in a database
            await asyncio.sleep(0.01)
