"""What a controller keeps in PostgreSQL while PostgreSQL has troubles of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from db.journal import write_entries
from db.pool import create_pool
from sovereign_ari import app
from sovereign_ari.domain.dialplan import GLOBAL_ENDED
from sovereign_ari.domain.ids import CallId, call_id
from sovereign_ari.domain.records import CallOpened
from sovereign_ari.errors import DatabaseUnavailable
from sovereign_ari.heartbeat import beat, close_left_over
from sovereign_ari.wire.ari_http import AriAddress, AriHttp
from tests.support.fake_ari import fake_ari

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


async def leave(connection: asyncpg.Connection, *calls: CallId) -> None:
    """Leave calls open, as a controller that died."""
    await connection.execute("INSERT INTO organisations (name, is_operator) VALUES ('op', true)")
    await write_entries(connection, [opened(call) for call in calls])


async def beat_once(pool: asyncpg.Pool, address: AriAddress) -> None:
    async with AriHttp(address) as ari:
        beating = asyncio.create_task(beat(pool, ari, "mine", "node-7", lambda: [LIVE]))
        try:
            async with asyncio.timeout(5):
                while not await pool.fetchval("SELECT count(*) FROM controllers"):  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
        finally:
            beating.cancel()
            await asyncio.wait({beating})


async def test_a_database_that_takes_no_writes_now_is_waited_for(read_only: asyncpg.Pool) -> None:
    with pytest.raises(DatabaseUnavailable):
        await app._write(read_only, [opened(LIVE)])


async def test_a_heartbeat_that_is_refused_ends_no_call(read_only: asyncpg.Pool) -> None:
    async with fake_ari() as pbx, AriHttp(pbx.address) as ari:
        beating = asyncio.create_task(beat(read_only, ari, "mine", "node-7", list))
        done, _ = await asyncio.wait({beating}, timeout=0.5)
        assert not done
        beating.cancel()
        await asyncio.wait({beating})


async def test_the_first_heartbeat_closes_what_a_former_life_left_and_no_live_call(
    pool: asyncpg.Pool,
) -> None:
    """It may come late: the database was away when the controller started."""
    async with pool.acquire() as connection:
        await leave(connection, LIVE, LEFT)
    async with fake_ari() as pbx:
        await beat_once(pool, pbx.address)
    rows = await pool.fetch("SELECT id FROM calls WHERE ended_at IS NULL")
    assert [row["id"] for row in rows] == [LIVE]
    assert await pool.fetchval("SELECT node FROM controllers WHERE name = 'mine'") == "node-7"


async def test_a_call_that_the_pbx_ended_meanwhile_is_closed_as_it_ended_it(
    pool: asyncpg.Pool,
) -> None:
    alone, hung_up, broken = (call_id("inbound", 1_700_000_000_000, n) for n in (3, 4, 5))
    async with pool.acquire() as connection:
        await leave(connection, LEFT, alone, hung_up, broken)
    at = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=5)
    async with fake_ari() as pbx:
        pbx.globals = {
            f"{GLOBAL_ENDED}{alone}": f"silence_timeout:{at.timestamp():.0f}",
            f"{GLOBAL_ENDED}{hung_up}": f"user_hangup:{at.timestamp():.0f}",
            f"{GLOBAL_ENDED}{broken}": "nonsense:x",
        }
        await beat_once(pool, pbx.address)
        assert pbx.globals == {}
    rows = await pool.fetch("SELECT id, end_reason, ended_at FROM calls ORDER BY id")
    found = {row["id"]: (row["end_reason"], row["ended_at"] == at) for row in rows}
    assert found == {
        LEFT: ("error", False),
        alone: ("silence_timeout", True),
        hung_up: ("user_hangup", True),
        broken: ("error", False),
    }


async def test_a_call_whose_caller_is_still_there_is_closed_when_he_is_gone(
    pool: asyncpg.Pool,
) -> None:
    waits, noted = (call_id("inbound", 1_700_000_000_000, n) for n in (6, 7))
    async with pool.acquire() as connection:
        await leave(connection, waits, noted)
    at = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=9)
    async with fake_ari() as pbx, AriHttp(pbx.address) as ari, pool.acquire() as connection:
        pbx.calls = {"a": waits, "b": noted}
        pbx.channels = {"a": "Up", "b": "Up"}
        left = await close_left_over(connection, ari, "mine", {waits, noted})
        assert left == {waits, noted}
        assert await pool.fetchval("SELECT count(*) FROM calls WHERE ended_at IS NULL") == 2
        pbx.globals[f"{GLOBAL_ENDED}{noted}"] = f"silence_timeout:{at.timestamp():.0f}"
        pbx.channels.clear()
        assert await close_left_over(connection, ari, "mine", left) == set()
        assert pbx.globals == {}
    rows = await pool.fetch("SELECT id, end_reason, ended_at FROM calls")
    found = {row["id"]: (row["end_reason"], row["ended_at"] == at) for row in rows}
    assert found == {waits: ("error", False), noted: ("silence_timeout", True)}


async def test_a_pbx_that_does_not_answer_keeps_no_row_open(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as connection:
        await leave(connection, LEFT)
    await beat_once(pool, AriAddress("http://127.0.0.1:9/ari", "user", "secret", "mine"))
    assert not await pool.fetchval("SELECT count(*) FROM calls WHERE ended_at IS NULL")
