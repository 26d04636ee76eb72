"""Commands on their way from the API to a controller and back, over a real PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from db import commands as table
from db.commands import Withdrawn, open_box, send, take_place, withdraw
from db.organisations import ensure_operator_organisation
from db.pool import create_pool
from db.tenancy import acting_for
from sovereign_ari.control import commands as serving
from sovereign_ari.domain.control import (
    CommandOutcome,
    ControlCommand,
    EndCall,
    InjectContext,
    Say,
    TakenCommand,
    read_command,
    write_command,
)
from tests.support.commanded import commanded, live_call
from tests.support.fake_ari import until
from tests.support.rows import a_call_id

HELLO = Say("Hello", end_after=False)
OTHER = a_call_id(2)


@pytest.fixture
async def owner(pool: asyncpg.Pool) -> str:
    async with pool.acquire() as connection:
        return await ensure_operator_organisation(connection)


@pytest.fixture
async def call(pool: asyncpg.Pool, owner: str) -> str:
    return await live_call(pool, owner)


async def told(
    pool: asyncpg.Pool, owner: str, command: ControlCommand, controller: str = "sovereign-1"
) -> int:
    async with acting_for(pool, owner) as connection:
        return await send(connection, owner, a_call_id(), controller, command)


async def taken(box: table.CommandBox) -> list[TakenCommand]:
    async with asyncio.timeout(5):
        return await box.take()


async def fate(pool: asyncpg.Pool, owner: str, command_id: int) -> Withdrawn:
    async with acting_for(pool, owner) as connection:
        return await withdraw(connection, owner, command_id)


@pytest.mark.parametrize(
    "command",
    [HELLO, InjectContext("c", trigger_response=True), EndCall(), EndCall("Bye")],
    ids=lambda command: command.type,
)
def test_a_command_is_read_as_it_was_written(command: ControlCommand) -> None:
    assert read_command(write_command(command)) == command


@pytest.mark.parametrize(
    "written", [{}, {"type": "dance"}, {"type": []}, {"type": "say", "content": "x", "loud": True}]
)
def test_a_command_of_another_release_is_not_understood(written: dict[str, object]) -> None:
    assert read_command(written) is None


async def test_a_command_that_was_sent_before_anybody_listened_is_taken(
    pool: asyncpg.Pool, owner: str
) -> None:
    sent = [await told(pool, owner, HELLO), await told(pool, owner, EndCall())]
    async with open_box(pool, "sovereign-1") as box:
        assert await taken(box) == [
            TakenCommand(sent[0], a_call_id(), HELLO),
            TakenCommand(sent[1], a_call_id(), EndCall()),
        ]


async def test_a_command_wakes_the_controller_of_its_call_and_no_other(
    pool: asyncpg.Pool, owner: str
) -> None:
    async with open_box(pool, "sovereign-1") as mine, open_box(pool, "sovereign-2") as theirs:
        waiting = [asyncio.create_task(box.take()) for box in (mine, theirs)]
        await asyncio.sleep(0.05)
        sent = await told(pool, owner, HELLO, "sovereign-2")
        done, left = await asyncio.wait(waiting, timeout=5, return_when=asyncio.FIRST_COMPLETED)
        assert [one.id for task in done for one in task.result()] == [sent]
        assert left == {waiting[0]}
        waiting[0].cancel()
        await asyncio.wait(waiting)


async def test_a_command_is_taken_once(pool: asyncpg.Pool, owner: str) -> None:
    """Also when two processes believe that they are the same controller."""
    async with open_box(pool, "sovereign-1") as one, open_box(pool, "sovereign-1") as two:
        waiting = {asyncio.create_task(box.take()) for box in (one, two)}
        await asyncio.sleep(0.05)
        await told(pool, owner, HELLO)
        done, left = await asyncio.wait(waiting, timeout=0.5)
        assert (len(done), len(left)) == (1, 1)
        for task in left:
            task.cancel()
        await asyncio.wait(waiting)


async def test_what_is_withdrawn_before_it_was_taken_is_never_done(
    pool: asyncpg.Pool, owner: str
) -> None:
    withdrawn = await told(pool, owner, HELLO)
    assert await fate(pool, owner, withdrawn) == Withdrawn(taken=False, outcome=None)
    sent = await told(pool, owner, EndCall())
    async with open_box(pool, "sovereign-1") as box:
        assert [one.id for one in await taken(box)] == [sent]
        assert await fate(pool, owner, sent) == Withdrawn(taken=True, outcome=None)


async def test_an_answer_stands_in_the_row_for_who_did_not_hear_it(
    pool: asyncpg.Pool, owner: str
) -> None:
    sent = await told(pool, owner, HELLO)
    async with open_box(pool, "sovereign-1") as box:
        await taken(box)
        await box.answer({sent: CommandOutcome.NOT_ACTIVE})
    assert await fate(pool, owner, sent) == Withdrawn(
        taken=True, outcome=CommandOutcome.NOT_ACTIVE
    )
    assert await pool.fetchval("SELECT count(*) FROM call_commands") == 0


async def test_a_command_that_is_too_old_is_not_done_any_more_and_goes(
    pool: asyncpg.Pool, owner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "LOOK_AGAIN_S", 0.05)
    old, older = [await told(pool, owner, HELLO) for _ in range(2)]
    await pool.execute(
        "UPDATE call_commands SET created_at = created_at - interval '6 s' WHERE id = $1", old
    )
    await pool.execute(
        "UPDATE call_commands SET created_at = created_at - interval '2 min' WHERE id = $1", older
    )
    async with open_box(pool, "sovereign-1") as box:
        waiting = asyncio.create_task(box.take())
        left: list[int] = []
        while left != [old]:
            left = [row["id"] for row in await pool.fetch("SELECT id FROM call_commands")]
            await asyncio.sleep(0.02)
        assert not waiting.done()
        waiting.cancel()
        await asyncio.wait((waiting,))


async def test_commands_to_one_call_are_done_in_the_order_in_which_they_were_admitted(
    pool: asyncpg.Pool, owner: str, call: str
) -> None:
    order: list[str] = []

    async def client(number: int) -> None:
        async with acting_for(pool, owner) as connection:
            await take_place(
                connection, owner, call, fitting=["in-progress"], allowed=99, period=table.KEPT_FOR
            )
            order.append(f"{number}")
            await asyncio.sleep(0.01)
            await send(connection, owner, call, "sovereign-1", Say(f"{number}", end_after=False))

    async with commanded(pool) as it:
        await asyncio.gather(*(client(number) for number in range(8)))
        await until(lambda: len(it.told) == 8)
    said = [command.content for _, command in it.told if isinstance(command, Say)]
    assert said == order


@asynccontextmanager
async def own_pool(database_url: str, name: str) -> AsyncIterator[asyncpg.Pool]:
    pool = await create_pool(database_url, application_name=name)
    try:
        yield pool
    finally:
        await pool.close()


async def test_a_controller_that_lost_the_database_goes_on_with_what_it_missed(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "FIRST_DELAY_S", 0.3)
    async with own_pool(database_url, "api") as api, own_pool(database_url, "mine") as mine:
        async with api.acquire() as connection:
            owner = await ensure_operator_organisation(connection)
        async with commanded(mine) as it:
            await told(api, owner, HELLO)
            await until(lambda: it.told)
            await api.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'mine'"
            )
            await told(api, owner, EndCall())
            await until(lambda: len(it.told) == 2)
            await told(api, owner, HELLO)
            await until(lambda: len(it.told) == 3)
    assert [command for _, command in it.told] == [HELLO, EndCall(), HELLO]


async def test_a_database_that_refuses_costs_no_controller_its_life(
    pool: asyncpg.Pool, owner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As while it is migrated, or takes no writes after a fail-over."""
    monkeypatch.setattr(serving, "LONGEST_DELAY_S", 0.1)
    async with commanded(pool) as it:
        await told(pool, owner, HELLO)
        await until(lambda: it.told)
        await pool.execute("ALTER TABLE call_commands RENAME TO away")
        await pool.execute(f'NOTIFY "{table.channel_of("sovereign-1")}"')
        await asyncio.sleep(0.3)
        await pool.execute("ALTER TABLE away RENAME TO call_commands")
        await told(pool, owner, EndCall())
        await until(lambda: len(it.told) == 2)


async def test_a_tenant_sees_no_command_of_another(pool: asyncpg.Pool, owner: str) -> None:
    sent = await told(pool, owner, HELLO)
    stranger = "00000000-0000-4000-8000-000000000000"
    async with acting_for(pool, stranger) as connection:
        assert await connection.fetchval("SELECT count(*) FROM call_commands") == 0
        assert await withdraw(connection, owner, sent) == Withdrawn(taken=True, outcome=None)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with connection.transaction():
                await send(connection, owner, OTHER, "sovereign-1", HELLO)
    assert (await fate(pool, owner, sent)).taken is False


async def test_no_step_waits_for_the_disk(pool: asyncpg.Pool, owner: str, call: str) -> None:
    """Who writes only what is not logged has no record to be flushed at the end."""

    async def logged_bytes(connection: asyncpg.Connection) -> int:
        async with connection.transaction():
            await take_place(
                connection, owner, call, fitting=["in-progress"], allowed=9, period=table.KEPT_FOR
            )
            begun = await connection.fetchval("SELECT pg_current_wal_insert_lsn()")
            await send(connection, owner, call, "sovereign-1", HELLO)
            written: int = await connection.fetchval(
                "SELECT pg_current_wal_insert_lsn() - $1::pg_lsn", begun
            )
        return written

    async with pool.acquire() as connection:
        # The server itself writes a record now and then.
        assert min([await logged_bytes(connection) for _ in range(3)]) == 0
