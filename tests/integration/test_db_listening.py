"""A connection that listens: what becomes of who holds it when it goes away."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from db.listening import listening


async def test_a_cancellation_that_comes_with_the_loss_is_not_lost(
    pool: asyncpg.Pool, connection: asyncpg.Connection
) -> None:
    holding: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def heard(payload: str | None) -> None:
        if payload is None:
            holder.cancel()

    async def hold() -> None:
        async with listening(pool, "a_channel", heard) as mine:
            holding.set_result(await mine.fetchval("SELECT pg_backend_pid()"))
            await asyncio.Event().wait()

    holder = asyncio.create_task(hold())
    await connection.execute("SELECT pg_terminate_backend($1)", await holding)
    with pytest.raises(asyncio.CancelledError):
        await holder


async def test_who_is_done_listening_leaves_nothing_behind(
    pool: asyncpg.Pool, connection: asyncpg.Connection
) -> None:
    heard: asyncio.Queue[str | None] = asyncio.Queue()
    async with listening(pool, "a_channel", heard.put_nowait):
        await connection.execute("NOTIFY a_channel, 'first'")
        assert await heard.get() == "first"
    await connection.execute("NOTIFY a_channel, 'second'")
    async with listening(pool, "a_channel", heard.put_nowait):
        await connection.execute("NOTIFY a_channel, 'third'")
        assert await heard.get() == "third"
    assert heard.empty()
