"""The worker on a real PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import asyncpg
import pytest

from db.controllers import beat
from db.journal import write_entries
from db.organisations import ensure_operator_organisation
from db.pool import create_pool
from sovereign_ari.work.worker import LOCK_KEY, work
from tests.support.rows import a_call_id, opened

LONG_AGO = "UPDATE calls SET updated_at = now() - interval '1 hour'"


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await condition():  # noqa: ASYNC110 - the condition is in a database
            await asyncio.sleep(0.01)


async def leave_an_orphan(connection: asyncpg.Connection, number: int = 1) -> None:
    organisation = await ensure_operator_organisation(connection)
    await write_entries(connection, [opened(organisation, a_call_id(number), controller="dead")])
    await connection.execute(LONG_AGO)


async def open_calls(connection: asyncpg.Connection) -> int:
    count: int = await connection.fetchval("SELECT count(*) FROM calls WHERE ended_at IS NULL")
    return count


async def test_the_worker_closes_orphans_and_purges_windows(
    pool: asyncpg.Pool, connection: asyncpg.Connection
) -> None:
    await leave_an_orphan(connection)
    await connection.execute(
        "INSERT INTO rate_windows VALUES ('key:x', '{}', true, now() - interval '1 hour')"
    )
    stop = asyncio.Event()

    async def done() -> bool:
        windows = await connection.fetchval("SELECT count(*) FROM rate_windows")
        return await open_calls(connection) == 0 and windows == 0

    async with asyncio.TaskGroup() as group:
        group.create_task(work(pool, stop, pass_every_s=0.01, gone_after_s=0.05))
        await until(done)
        stop.set()
    free = await connection.fetchval("SELECT pg_try_advisory_lock($1)", LOCK_KEY)
    assert free, "the worker kept its lock"


async def test_one_worker_works_and_another_takes_over(database_url: str) -> None:
    first, second = [
        await create_pool(database_url, application_name=name, max_size=2) for name in ("a", "b")
    ]
    stops = asyncio.Event(), asyncio.Event()

    async def holder() -> str | None:
        async with first.acquire() as connection:
            name: str | None = await connection.fetchval(
                "SELECT application_name FROM pg_locks JOIN pg_stat_activity USING (pid)"
                " WHERE locktype = 'advisory'"
            )
            return name

    async def is_held_by(name: str) -> bool:
        return await holder() == name

    async with asyncio.TaskGroup() as group:
        group.create_task(work(first, stops[0], pass_every_s=0.01, gone_after_s=0.05))
        await until(lambda: is_held_by("a"))
        group.create_task(work(second, stops[1], pass_every_s=0.01, gone_after_s=0.05))
        stops[0].set()
        await until(lambda: is_held_by("b"))
        stops[1].set()
    await first.close()
    await second.close()


async def test_a_lost_connection_ends_nothing_and_gives_controllers_time_to_beat(
    pool: asyncpg.Pool, connection: asyncpg.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    stop = asyncio.Event()
    backend = "SELECT pid FROM pg_locks WHERE locktype = 'advisory'"

    async def locked() -> bool:
        return await connection.fetchval(backend) is not None

    async with asyncio.TaskGroup() as group:
        group.create_task(work(pool, stop, pass_every_s=0.01, gone_after_s=1.0))
        await until(locked)
        await leave_an_orphan(connection)
        await connection.execute(f"SELECT pg_terminate_backend(({backend}))")
        await until(locked)
        # The controller was silent while nobody could connect; it beats again in time.
        await beat(connection, "dead", node="n", capacity=1)
        await connection.execute(LONG_AGO)
        stop.set()
    assert await open_calls(connection) == 1
    assert "the worker waits for the database" in caplog.text
