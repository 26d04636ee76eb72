"""Heartbeats, and the calls that a dead controller left."""

from __future__ import annotations

import asyncio
import os
import signal
from datetime import UTC, datetime

import asyncpg
import pytest

from db.calls import get_call
from db.controllers import (
    beat,
    close_ended_alone,
    close_lost,
    close_orphans,
    find_left_over,
    forget,
)
from db.journal import write_entries
from db.organisations import ensure_operator_organisation
from tests.support.rows import a_call_id, answered, closed, later, opened

LONG_AGO = "UPDATE calls SET updated_at = now() - interval '1 hour'"


@pytest.fixture
async def organisation(connection: asyncpg.Connection) -> str:
    return await ensure_operator_organisation(connection)


async def test_calls_of_a_controller_that_is_seen_no_more_are_closed(
    connection: asyncpg.Connection, organisation: str
) -> None:
    for number, controller in enumerate(["dead", "stale", "alive"]):
        call = a_call_id(number)
        await write_entries(
            connection, [opened(organisation, call, controller=controller), answered(call)]
        )
        if controller != "dead":
            await beat(connection, controller, node="n", capacity=100)
    ended = a_call_id(9)
    await write_entries(
        connection, [opened(organisation, ended, controller="dead"), closed(ended)]
    )
    await connection.execute(
        "UPDATE controllers SET seen_at = now() - interval '1 hour' WHERE name = 'stale'"
    )
    await connection.execute(LONG_AGO)

    assert sorted(await close_orphans(connection, older_than_s=15)) == [a_call_id(0), a_call_id(1)]
    assert await close_orphans(connection, older_than_s=15) == []
    orphan = await get_call(connection, organisation, a_call_id(0))
    assert (orphan.status, orphan.end_reason) == ("ended-with-error", "error")
    assert (await get_call(connection, organisation, a_call_id(2))).status == "in-progress"
    assert (await get_call(connection, organisation, ended)).end_reason == "user_hangup"


async def test_a_call_that_just_began_is_no_orphan(
    connection: asyncpg.Connection, organisation: str
) -> None:
    await write_entries(connection, [opened(organisation)])
    assert await close_orphans(connection, older_than_s=15) == []


async def test_a_server_that_stood_still_makes_no_orphans(
    pool: asyncpg.Pool, connection: asyncpg.Connection, organisation: str
) -> None:
    await write_entries(connection, [opened(organisation, controller="c")])
    await connection.execute(LONG_AGO)
    async with pool.acquire() as judge:
        backend = await judge.fetchval("SELECT pg_backend_pid()")
        await beat(connection, "c", node="n", capacity=1)
        os.kill(backend, signal.SIGSTOP)
        try:
            judging = asyncio.create_task(close_orphans(judge, older_than_s=0.5))
            async with asyncio.timeout(20):
                while not await connection.fetchval(  # noqa: ASYNC110 - it is in a database
                    "SELECT seen_at < clock_timestamp() - interval '0.6 s' FROM controllers"
                ):
                    await asyncio.sleep(0.01)
        finally:
            os.kill(backend, signal.SIGCONT)
        assert await judging == []


async def test_a_controller_that_starts_closes_what_it_no_longer_holds(
    connection: asyncpg.Connection, organisation: str
) -> None:
    for number in range(3):
        await write_entries(connection, [opened(organisation, a_call_id(number))])
    other = a_call_id(7)
    await write_entries(connection, [opened(organisation, other, controller="sovereign-2")])
    await write_entries(connection, [closed(a_call_id(2))])
    lost = {a_call_id(0), a_call_id(2), other}
    assert await close_lost(connection, "sovereign-1", lost) == [a_call_id(0)]
    assert (await get_call(connection, organisation, a_call_id(0))).status == "failed"
    found = await get_call(connection, organisation, a_call_id(2))
    assert found.end_reason == "user_hangup"
    assert (await get_call(connection, organisation, a_call_id(1))).status == "ringing"
    assert (await get_call(connection, organisation, other)).status == "ringing"


async def test_how_the_pbx_ended_a_call_replaces_what_was_only_a_guess(
    connection: asyncpg.Connection, organisation: str
) -> None:
    unseen, left, known, lost = (a_call_id(number) for number in range(4))
    for call in (unseen, left, known, lost):
        await write_entries(connection, [opened(organisation, call), answered(call)])
    await write_entries(connection, [closed(known)])
    await connection.execute(
        "UPDATE calls SET updated_at = now() - interval '1 hour' WHERE id = $1", unseen
    )
    assert await close_orphans(connection, older_than_s=15) == [unseen]
    await close_lost(connection, "sovereign-1", [lost])
    assert set(await find_left_over(connection, "sovereign-1")) == {unseen, left, lost}
    at = await connection.fetchval(
        "SELECT answered_at + interval '7 s' FROM calls WHERE id = $1", left
    )
    for call in (unseen, left, known, lost):
        await close_ended_alone(connection, call, at=at, end_reason="silence_timeout")
    for call in (unseen, left, lost):
        found = await get_call(connection, organisation, call)
        assert (found.status, found.end_reason) == ("ended-with-error", "silence_timeout")
        assert found.ended_at == at
    assert (await get_call(connection, organisation, known)).end_reason == "user_hangup"
    assert await find_left_over(connection, "sovereign-1") == []


async def test_a_caller_who_hung_up_while_nobody_minded_him_met_no_error(
    connection: asyncpg.Connection, organisation: str
) -> None:
    await write_entries(connection, [opened(organisation), answered()])
    await close_lost(connection, "sovereign-1", [a_call_id()])
    at = datetime.now(UTC)
    await close_ended_alone(connection, a_call_id(), at=at, end_reason="user_hangup")
    found = await get_call(connection, organisation, a_call_id())
    assert (found.status, found.end_reason, found.error) == ("ended", "user_hangup", None)


async def test_how_a_controller_that_was_only_slow_ended_a_call_replaces_the_guess(
    connection: asyncpg.Connection, organisation: str
) -> None:
    await write_entries(connection, [opened(organisation), answered()])
    await connection.execute(LONG_AGO)
    assert await close_orphans(connection, older_than_s=15) == [a_call_id()]
    for end in (closed(after_s=8), closed(after_s=99)):  # told twice: the first counts
        await write_entries(connection, [end])
    found = await get_call(connection, organisation, a_call_id())
    assert (found.status, found.end_reason, found.error) == ("ended", "user_hangup", None)
    assert found.ended_at == later(8)


async def test_a_heartbeat_is_one_row_until_the_controller_ends(
    connection: asyncpg.Connection,
) -> None:
    for capacity in (10, 20):
        await beat(connection, "c", node="n", capacity=capacity)
    rows = await connection.fetch("SELECT name, capacity FROM controllers")
    assert [tuple(row) for row in rows] == [("c", 20)]
    await forget(connection, "c")
    assert await connection.fetchval("SELECT count(*) FROM controllers") == 0
