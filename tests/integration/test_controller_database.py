"""What a controller keeps in PostgreSQL while PostgreSQL has troubles of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import asyncpg
import pytest

from db.journal import write_entries
from db.pool import create_pool
from sovereign_ari import app
from sovereign_ari.domain.ids import CallId, call_id
from sovereign_ari.domain.records import CallOpened
from sovereign_ari.errors import DatabaseUnavailable

LIVE, LEFT = (call_id("inbound", 1_700_000_000_000, number) for number in (1, 2))


def opened(name: CallId) -> CallOpened:
    return CallOpened(name, datetime.now(UTC), "inbound", "mine", None, "1000", "ulaw", "")


@pytest.fixture
async def read_only(database_url: str) -> AsyncIterator[asyncpg.Pool]:
    """As after a fail-over, until the new primary takes writes."""
    connection = await asyncpg.connect(database_url)
    await connection.execute("INSERT INTO organisations (name, is_operator) VALUES ('op', true)")
    name = await connection.fetchval("SELECT current_database()")
    await connection.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    try:
        pool = await create_pool(database_url, application_name="test")
        yield pool
        await pool.close()
    finally:
        await connection.execute(f'ALTER DATABASE "{name}" RESET default_transaction_read_only')
        await connection.close()


async def test_a_database_that_takes_no_writes_now_is_waited_for(read_only: asyncpg.Pool) -> None:
    with pytest.raises(DatabaseUnavailable):
        await app._write(read_only, [opened(LIVE)])


async def test_a_heartbeat_that_is_refused_ends_no_call(read_only: asyncpg.Pool) -> None:
    beating = asyncio.create_task(app._beat(read_only, "mine", list))
    done, _ = await asyncio.wait({beating}, timeout=0.5)
    assert not done
    beating.cancel()
    await asyncio.wait({beating})


async def test_the_first_heartbeat_closes_what_a_former_life_left_and_no_live_call(
    pool: asyncpg.Pool,
) -> None:
    """It may come late: the database was away when the controller started."""
    async with pool.acquire() as connection:
        await connection.execute(
            "INSERT INTO organisations (name, is_operator) VALUES ('op', true)"
        )
        await write_entries(connection, [opened(LIVE), opened(LEFT)])
    beating = asyncio.create_task(app._beat(pool, "mine", lambda: [LIVE]))
    try:
        async with asyncio.timeout(5):
            while not await pool.fetchval("SELECT count(*) FROM controllers"):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        rows = await pool.fetch("SELECT id FROM calls WHERE ended_at IS NULL")
        assert [row["id"] for row in rows] == [LIVE]
    finally:
        beating.cancel()
        await asyncio.wait({beating})
