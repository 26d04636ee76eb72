"""The pool: what closing it waits for."""

from __future__ import annotations

import asyncio

from api.command_answers import CommandAnswers
from db.pool import close_pool, create_pool
from tests.support.fake_ari import until


async def test_a_pool_that_is_closed_gets_the_connection_that_hears_answers_back(
    database_url: str,
) -> None:
    pool = await create_pool(database_url, application_name="test", max_size=1)
    async with CommandAnswers().listening_on(pool):
        await until(lambda: pool.get_size() and not pool.get_idle_size())
        async with asyncio.timeout(5):
            await pool.close()
    assert pool.is_closing()


async def test_a_pool_is_closed_in_time_though_a_connection_is_not_given_back(
    database_url: str,
) -> None:
    pool = await create_pool(database_url, application_name="test", max_size=1)
    await pool.acquire()
    await close_pool(pool, within_s=0.1)
    assert pool.is_closing()
