"""Workers as processes, ended in every way a process ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from db.pool import create_pool
from tests.support.rows import a_call_id, answered, closed, turn
from tests.support.webhook_receiver import SECRET, is_signed, stall, webhook_receiver
from tests.support.webhook_world import (
    an_assistant_that_tells,
    attempts,
    rings,
    until_settled,
    write,
)
from tests.support.worker_process import stopped, worker_process

LLM = {"provider": "parrot", "model": "parrot-1"}


@pytest.fixture
async def own_pool(database_url: str) -> AsyncIterator[asyncpg.Pool]:
    pool = await create_pool(database_url, application_name="tests", max_size=5)
    yield pool
    await pool.close()


async def test_a_worker_that_is_killed_in_an_attempt_is_followed_by_another(
    own_pool: asyncpg.Pool, database_url: str, tmp_path: Path
) -> None:
    release = asyncio.Event()
    async with webhook_receiver() as receiver:
        receiver.behaviours.append(stall(release))
        async with own_pool.acquire() as connection:
            await an_assistant_that_tells(connection, receiver.url, llm_config=LLM)
            entry = await rings(connection)
        said = turn(1, "When are you open?", "From nine.")
        async with worker_process(database_url, tmp_path) as first:
            await write(own_pool, entry, answered(), said, closed())
            await receiver.until(1)
            first.kill()
            await first.wait()
        release.set()
        await own_pool.execute(  # time passes
            "UPDATE webhook_deliveries SET due_at = due_at - interval '19 s'"
            " WHERE attempts > 0 AND state = 'pending'"
        )
        await own_pool.execute(
            "UPDATE call_reports SET due_at = due_at - interval '89 s' WHERE taken > 0"
        )
        async with worker_process(database_url, tmp_path) as second:
            await receiver.wait_for(lambda: len(receiver.of("end-of-call-report")) == 1, 40)
            await until_settled(own_pool)
            assert await stopped(second) == 0
        told = [(one.event, one.status) for one in receiver.received]
    assert told == [
        ("status-update", "in-progress"),
        ("status-update", "in-progress"),
        ("status-update", "ended"),
        ("end-of-call-report", "ended"),
    ]
    assert receiver.received[0].id == receiver.received[1].id
    assert all(is_signed(one, SECRET) for one in receiver.received)
    assert receiver.received[-1].message["summary"] == "The caller said: When are you open?"
    logged = await attempts(own_pool)
    assert [(number, n, code) for number, n, code, _ in logged] == [
        (1, 1, None), (1, 2, 200), (2, 1, 200), (3, 1, 200),
    ]  # fmt: skip


async def test_a_worker_that_is_stopped_ends_what_it_does_and_begins_nothing(
    own_pool: asyncpg.Pool, database_url: str, tmp_path: Path
) -> None:
    release = asyncio.Event()
    async with webhook_receiver() as receiver:
        receiver.behaviours.append(stall(release))
        async with own_pool.acquire() as connection:
            await an_assistant_that_tells(
                connection, receiver.url, webhook_events=["status-update"]
            )
            entry = await rings(connection)
        async with worker_process(database_url, tmp_path) as worker:
            await write(own_pool, entry, answered(), closed())
            await receiver.until(1, 40)
            ending = asyncio.create_task(stopped(worker))
            await asyncio.sleep(0.3)
            assert not ending.done()
            release.set()
            assert await ending == 0
    assert len(receiver.received) == 1
    assert [code for *_, code, _ in await attempts(own_pool, a_call_id())] == [200]
