"""Totals and places of calls, compared with counting: whatever is written, by whomever at once."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import astuple
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.call_counts import (
    PERIOD,
    PERIOD_OF_NUMBER,
    CallFilter,
    locate,
    period_of,
    settle,
    take_apart,
)
from db.calls import list_calls, see_one_moment
from db.controllers import close_orphans
from db.journal import write_entries
from db.migrate import load_migrations, migrate
from db.organisations import create_organisation
from db.pool import connect
from db.tenancy import acting_for
from sovereign_ari.domain.records import CallStatus, EndReason, JournalEntry
from tests.support.postgres import PostgresServer, fresh_database
from tests.support.rows import NOON, a_call_id, answered, closed, later, opened

DIRECTIONS = ("inbound", "outbound", "web")
LIVE = ("connecting", "ringing", "in-progress")
STATUSES = (*LIVE, "ended", "failed", "insufficient-credits")
ASSISTANTS = (None, *(f"00000000-0000-4000-8000-00000000000{n}" for n in range(3)))
OURS = ("+31201111111", "+31202222222")
THEIRS = ("+31611111111", "+31622222222", None)
NUMBERS = (*OURS, *THEIRS)
# Moments on, just before and just after the ends of periods and days, and the same ones often.
MOMENTS = tuple(
    datetime(2026, 1, day, tzinfo=NOON.tzinfo) + timedelta(hours=hour, milliseconds=ms)
    for day in (1, 2, 3)
    for hour in (0, 4, 7, 12)
    for ms in (-1, 0, 0, 1)
)

INSERT = """
INSERT INTO calls (id, organisation_id, direction, status, assistant_id, caller, dialled,
                   created_at, answered_at, ended_at, end_reason, controller, codec)
SELECT id, $1, direction, status, assistant_id, caller, dialled, at, at,
       CASE WHEN status = ANY ($9) THEN NULL ELSE at END,
       CASE WHEN status = ANY ($9) THEN NULL ELSE 'error' END, 'c', 'ulaw'
  FROM unnest($2::text[], $3::text[], $4::text[], $5::uuid[], $6::text[], $7::text[],
              $8::timestamptz[]) AS t (id, direction, status, assistant_id, caller, dialled, at)
"""


class Chaos:
    """Writes at random, and asks at random."""

    def __init__(self, seed: int, organisations: Sequence[str]) -> None:
        self.random = random.Random(seed)
        self.organisations = organisations
        self.made = seed * 100_000

    def call(self) -> tuple[Any, ...]:
        self.made += 1
        choose = self.random.choice
        sides = [choose(NUMBERS), choose(NUMBERS)]
        direction, status = choose(DIRECTIONS), choose(STATUSES)
        return (a_call_id(self.made), direction, status, choose(ASSISTANTS), *sides,
                choose(MOMENTS))  # fmt: skip

    async def add(self, connection: asyncpg.Connection, number: int) -> None:
        rows = [self.call() for _ in range(number)]
        columns = [list(column) for column in zip(*rows, strict=True)]
        organisation = self.random.choice(self.organisations)
        await connection.execute(INSERT, organisation, *columns, list(LIVE))

    async def change(self, connection: asyncpg.Connection) -> None:
        some = f"hashtext(id || '{self.random.random()}') % 3 = 0"
        change, value = self.random.choice([
            ("assistant_id = $1", self.random.choice(ASSISTANTS)),
            ("caller = $1, dialled = NULL", self.random.choice(NUMBERS)),
            ("dialled = $1", self.random.choice(NUMBERS)),
            ("created_at = $1", self.random.choice(MOMENTS)),
            ("organisation_id = $1", self.random.choice(self.organisations)),
            ("error = $1", "of no account"),
            ("status = 'ended', end_reason = 'error', ended_at = $1", NOON),
        ])  # fmt: skip
        await connection.execute(f"UPDATE calls SET {change} WHERE {some}", value)

    async def remove(self, connection: asyncpg.Connection) -> None:
        some = f"hashtext(id || '{self.random.random()}') % 5 = 0"
        await connection.execute(f"DELETE FROM calls WHERE {some}")

    async def step(self, connection: asyncpg.Connection) -> None:
        match self.random.randrange(6):
            case 0 | 1:
                await self.add(connection, self.random.choice((1, 1, 20)))
            case 2 | 3:
                await self.change(connection)
            case 4:
                await self.remove(connection)
            case _:
                await settle(connection, self.random.choice((1, 7, 1000)))

    def wanted(self) -> CallFilter:
        maybe = self.random.choice
        moments = (*MOMENTS, *[None] * 40)
        return CallFilter(
            status=maybe((*STATUSES, *[None] * 6)),
            from_at=maybe(moments),
            before_at=maybe(moments),
            assistant_id=maybe((*ASSISTANTS, None, None)),
            direction=maybe((*DIRECTIONS, *[None] * 3)),
            phone_number=maybe((*NUMBERS, "+31633333333", None, None, None)),
        )


async def counted_one_by_one(
    connection: asyncpg.Connection, organisation: str, wanted: CallFilter
) -> list[str]:
    rows = await connection.fetch(
        """
        SELECT id FROM calls
         WHERE organisation_id = $1 AND ($2::text IS NULL OR status = $2)
           AND ($3::timestamptz IS NULL OR created_at >= $3)
           AND ($4::timestamptz IS NULL OR created_at < $4)
           AND ($5::uuid IS NULL OR assistant_id = $5)
           AND ($6::text IS NULL OR direction = $6)
           AND ($7::text IS NULL OR caller = $7 OR dialled = $7)
         ORDER BY created_at DESC, id DESC
        """,
        organisation, *astuple(wanted),
    )  # fmt: skip
    return [row["id"] for row in rows]


@pytest.fixture
async def tenants(connection: asyncpg.Connection) -> list[str]:
    return [await create_organisation(connection, name) for name in ("One", "Another")]


@pytest.mark.parametrize("seed", range(6))
async def test_a_page_and_its_total_are_what_counting_says(
    pool: asyncpg.Pool, connection: asyncpg.Connection, tenants: list[str], seed: int
) -> None:
    chaos = Chaos(seed, tenants)
    for _ in range(12):
        for _ in range(4):
            await chaos.step(connection)
        async with acting_for(pool, tenants[0]) as reader:
            for _ in range(8):
                wanted = chaos.wanted()
                expected = await counted_one_by_one(reader, tenants[0], wanted)
                limit = chaos.random.choice((1, 3, 1000))
                offset = chaos.random.choice((0, 1, len(expected) // 2, len(expected), 10_000))
                found = await locate(reader, tenants[0], wanted, limit=limit, offset=offset)
                assert found == (expected[offset : offset + limit], len(expected)), wanted


async def test_pages_of_ties_join_without_a_gap_or_a_call_twice(
    connection: asyncpg.Connection, tenants: list[str]
) -> None:
    organisation, chaos = tenants[0], Chaos(1, tenants[:1])
    await chaos.add(connection, 60)
    await connection.execute("UPDATE calls SET created_at = $1", NOON)
    pages = [
        (await locate(connection, organisation, CallFilter(), limit=7, offset=offset))[0]
        for offset in range(0, 63, 7)
    ]
    ids = [call_id for page in pages for call_id in page]
    assert ids == await counted_one_by_one(connection, organisation, CallFilter())
    assert len(set(ids)) == 60


async def test_what_is_rolled_back_is_not_counted(
    connection: asyncpg.Connection, tenants: list[str]
) -> None:
    chaos = Chaos(1, tenants[:1])
    transaction = connection.transaction()
    await transaction.start()
    await chaos.add(connection, 5)
    await transaction.rollback()
    assert await locate(connection, tenants[0], CallFilter(), limit=1, offset=0) == ([], 0)


async def test_counts_that_settled_are_one_row_per_key_and_none_for_nothing(
    connection: asyncpg.Connection, tenants: list[str]
) -> None:
    chaos = Chaos(3, tenants)
    for _ in range(10):
        await chaos.add(connection, 3)
        await chaos.change(connection)
    assert await settle(connection, 1_000_000) > 0
    assert await settle(connection) == 0
    rows, keys, zeros = await connection.fetchrow(
        """
        SELECT count(*), count(DISTINCT (organisation_id, number, direction, status, assistant_id,
                                         period)),
               count(*) FILTER (WHERE calls = 0 OR NOT settled)
          FROM call_counts
        """
    )
    assert (rows, zeros) == (keys, 0)
    await connection.execute("DELETE FROM organisations")
    await settle(connection, 1_000_000)
    assert await connection.fetchval("SELECT count(*) FROM call_counts") == 0


async def test_a_table_that_is_emptied_at_once_has_no_counts(
    connection: asyncpg.Connection, tenants: list[str]
) -> None:
    await Chaos(1, tenants).add(connection, 5)
    await connection.execute("TRUNCATE calls CASCADE")
    assert await connection.fetchval("SELECT count(*) FROM call_counts") == 0


async def test_totals_hold_while_controllers_write_and_workers_settle(
    pool: asyncpg.Pool, connection: asyncpg.Connection, tenants: list[str]
) -> None:
    organisation = tenants[0]
    writing = 3

    async def write(controller: int) -> None:
        for number in range(15):
            call = a_call_id(controller * 1000 + number)
            at = later(number * 3600)
            changes = {"controller": f"c{controller}", "assistant_id": ASSISTANTS[1 + number % 3]}
            steps: list[JournalEntry] = [
                opened(organisation, call, at=at, **changes),
                answered(call, number * 3600 + 1),
                closed(call, number * 3600 + 2, status=CallStatus.FAILED,
                       end_reason=EndReason.ERROR),
            ]  # fmt: skip
            for step in steps:
                async with pool.acquire() as own:
                    assert await write_entries(own, [step]) == 0

    async def merge(done: asyncio.Event) -> None:
        while not done.is_set():
            async with pool.acquire() as own:
                await settle(own, 10)
            await asyncio.sleep(0)

    async def read(done: asyncio.Event, seed: int) -> None:
        chaos, looked = Chaos(seed, tenants), 0
        filters = [CallFilter(), CallFilter(status="failed"), CallFilter(status="in-progress"),
                   CallFilter(phone_number="+31201234567"),
                   CallFilter(assistant_id=ASSISTANTS[2], direction="inbound")]  # fmt: skip
        while not done.is_set() or looked < 5:
            wanted, looked = chaos.random.choice(filters), looked + 1
            async with acting_for(pool, organisation) as own:
                await see_one_moment(own)
                records, total = await list_calls(own, organisation, wanted, limit=9, offset=3)
                expected = await counted_one_by_one(own, organisation, wanted)
                assert ([each.id for each in records], total) == (expected[3:12], len(expected))

    done = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for worker in range(2):
            group.create_task(merge(done))
            group.create_task(read(done, worker))
        async with asyncio.TaskGroup() as writers:
            for controller in range(writing):
                writers.create_task(write(controller))
        done.set()
    _, total = await locate(
        connection, organisation, CallFilter(status="failed"), limit=1, offset=0
    )
    assert total == writing * 15


async def test_calls_that_the_worker_closes_are_counted(
    connection: asyncpg.Connection, tenants: list[str]
) -> None:
    await write_entries(connection, [opened(tenants[0], controller="dead")])
    await connection.execute("UPDATE calls SET updated_at = now() - interval '1 hour'")
    await close_orphans(connection, older_than_s=1)
    for status, number in (("ringing", 0), ("failed", 1)):
        wanted = CallFilter(status=status)
        assert (await locate(connection, tenants[0], wanted, limit=1, offset=0))[1] == number


async def test_a_tenant_writes_calls_that_count_but_never_the_counts(
    pool: asyncpg.Pool, tenants: list[str]
) -> None:
    mine, theirs = tenants
    async with acting_for(pool, mine) as tenant:
        await Chaos(1, [mine]).add(tenant, 4)
        assert (await locate(tenant, mine, CallFilter(), limit=1, offset=0))[1] == 4
    async with acting_for(pool, theirs) as other:
        assert await other.fetchval("SELECT count(*) FROM call_counts") == 0
        assert await locate(other, mine, CallFilter(), limit=1, offset=0) == ([], 0)
    for statement in ("DELETE FROM call_counts", "UPDATE call_counts SET calls = 9",
                      "INSERT INTO call_counts SELECT * FROM call_counts"):  # fmt: skip
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with acting_for(pool, mine) as tenant:
                await tenant.execute(statement)


async def test_calls_from_before_the_counts_are_counted(postgres_server: PostgresServer) -> None:
    migrations = load_migrations()
    before = [each for each in migrations if each.name != "call_counts"][:6]
    async with fresh_database(postgres_server, template=None) as dsn:
        connection = await connect(dsn, application_name="tests")
        await migrate(connection, before)
        tenants = [await create_organisation(connection, name) for name in ("One", "Another")]
        chaos = Chaos(5, tenants)
        for _ in range(8):
            await chaos.add(connection, 20)
        await migrate(connection, migrations)
        for _ in range(40):
            wanted = chaos.wanted()
            expected = await counted_one_by_one(connection, tenants[0], wanted)
            found = await locate(connection, tenants[0], wanted, limit=5, offset=2)
            assert found == (expected[2:7], len(expected)), wanted
        await connection.close()


async def test_no_filter_reads_the_calls_of_others(
    pool: asyncpg.Pool, connection: asyncpg.Connection, tenants: list[str]
) -> None:
    mine, theirs = tenants
    await Chaos(1, [theirs]).add(connection, 4000)
    await Chaos(2, [mine]).add(connection, 20)
    await connection.execute("ANALYZE calls, call_counts")
    filters = [
        CallFilter(),
        CallFilter(status="ended"),
        CallFilter(direction="web"),
        CallFilter(assistant_id=ASSISTANTS[1]),
        CallFilter(phone_number=OURS[0]),
        CallFilter(phone_number=THEIRS[0]),
        CallFilter(from_at=MOMENTS[5]),
    ]
    for wanted in filters:
        async with acting_for(pool, mine) as tenant:
            await locate(tenant, mine, wanted, limit=100, offset=0)
            read = "SELECT pg_stat_get_xact_tuples_returned('calls'::regclass)"
            assert await tenant.fetchval(read) == 0, f"{wanted} scanned the whole table"


@given(
    *[st.none() | st.datetimes(datetime(2025, 12, 30), datetime(2026, 1, 3))] * 2,
    st.sampled_from((PERIOD, PERIOD_OF_NUMBER)),
)
def test_a_range_is_its_edges_and_whole_periods(
    first: datetime | None, last: datetime | None, lasts: timedelta
) -> None:
    from_at, before_at = (
        None if moment is None else moment.replace(tzinfo=NOON.tzinfo) for moment in (first, last)
    )
    whole = take_apart(from_at, before_at, lasts)

    def places(moment: datetime) -> int:
        begins = period_of(moment, lasts)
        within = (whole.first is None or begins >= whole.first) and (
            whole.last is None or begins < whole.last
        )
        return within + sum(begin <= moment < end for begin, end in whole.edges)

    moments = [NOON + timedelta(hours=hour) for hour in range(-80, 80)]
    moments += [moment for moment in (from_at, before_at) if moment is not None]
    for moment in moments:
        wanted = (from_at is None or moment >= from_at) and (
            before_at is None or moment < before_at
        )
        assert places(moment) == wanted
    assert all(end - begin < lasts for begin, end in whole.edges)


@pytest.mark.parametrize("lasts", [PERIOD, PERIOD_OF_NUMBER])
async def test_the_database_has_the_same_periods(
    connection: asyncpg.Connection, lasts: timedelta
) -> None:
    for moment in (*MOMENTS, datetime(1, 1, 1, 3, tzinfo=NOON.tzinfo), later(0.001)):
        in_database = await connection.fetchval("SELECT call_period($1, $2)", moment, lasts)
        assert in_database == period_of(moment, lasts)
