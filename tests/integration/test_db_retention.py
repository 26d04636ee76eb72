"""What organisations no longer keep is erased, on a real PostgreSQL."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from db.journal import write_entries
from db.organisations import (
    create_organisation,
    ensure_operator_organisation,
    update_organisation,
)
from db.retention import Erased, erase_batch, find_due, purge_tickets
from sovereign_ari.domain.ids import CallId, Direction, call_id
from sovereign_ari.domain.records import CallNote
from sovereign_ari.work.retention import erase_expired
from sovereign_ari.work.worker import work
from tests.support.api import running_api
from tests.support.rows import answered, closed, opened, turn

PERSON, OURS = "+31612345678", "+31201234567"
SAID_OF_IT = {"customer": "7"}
PIN = {"digit": "4", "duration_ms": 80}
FAULT = {"code": "provider_unavailable", "message": "no answer"}


@pytest.fixture
async def tenant(connection: asyncpg.Connection) -> str:
    return await a_tenant(connection, 30, 90)


async def a_tenant(connection: asyncpg.Connection, content: int, metadata: int) -> str:
    tenant = await create_organisation(connection, "Bakery")
    await update_organisation(
        connection,
        tenant,
        {"content_retention_days": content, "metadata_retention_days": metadata},
    )
    return tenant


async def a_call(
    connection: asyncpg.Connection,
    tenant: str,
    number: int,
    days: float,
    direction: Direction = "inbound",
) -> CallId:
    """A call that ended so many days ago, with two turns, two notes, a webhook and a lead."""
    call = call_id(direction, 1_767_268_800_000 + number, number)
    caller, dialled = (OURS, PERSON) if direction == "outbound" else (PERSON, OURS)
    at = datetime.now(UTC) - timedelta(days=days)
    await write_entries(
        connection,
        [
            opened(tenant, call, caller=caller, dialled=dialled, direction=direction),
            answered(call),
            turn(0, None, "Hello.", call_id=call),
            turn(1, "My password is tulip.", "Thank you.", call_id=call),
            CallNote(call, at, "dtmf", PIN),
            CallNote(call, at, "provider_fault", FAULT),
            closed(call),
        ],
    )
    await connection.execute(
        "UPDATE calls SET ended_at = $2, metadata = $3 WHERE id = $1", call, at, SAID_OF_IT
    )
    await connection.execute(
        "INSERT INTO webhook_deliveries (call_id, number, event, url)"
        " VALUES ($1, 1, 'status-update', 'https://example.com')",
        call,
    )
    await connection.execute(
        "INSERT INTO webhook_attempts VALUES ($1, 1, 1, now(), 5, 200, NULL)", call
    )
    campaign = await connection.fetchval(
        "INSERT INTO campaigns (organisation_id, name, status) VALUES ($1, 'C', 'completed')"
        " RETURNING id",
        tenant,
    )
    await connection.execute(
        "INSERT INTO leads (organisation_id, campaign_id, phone_number, call_id)"
        " VALUES ($1, $2, $3, $4)",
        tenant, campaign, PERSON, call,
    )  # fmt: skip
    return call


async def left_of(connection: asyncpg.Connection, call: str) -> dict[str, Any]:
    row = await connection.fetchrow(
        """
        SELECT caller, dialled, metadata,
               (SELECT count(*) FROM turns WHERE call_id = c.id) AS turns,
               (SELECT jsonb_object_agg(kind, detail) FROM call_notes WHERE call_id = c.id)
                   AS notes,
               (SELECT count(*) FROM webhook_deliveries WHERE call_id = c.id) AS webhooks,
               (SELECT count(*) FROM webhook_attempts WHERE call_id = c.id) AS attempts,
               (SELECT count(*) FROM leads WHERE call_id = c.id) AS leads
          FROM calls AS c WHERE id = $1
        """,
        call,
    )
    return dict(row)


EVERYTHING: dict[str, Any] = {
    "caller": PERSON,
    "dialled": OURS,
    "metadata": SAID_OF_IT,
    "turns": 2,
    "notes": {"dtmf": PIN, "provider_fault": FAULT},
    "webhooks": 1,
    "attempts": 1,
    "leads": 1,
}
NO_CONTENT = EVERYTHING | {"turns": 0, "notes": {"dtmf": {}, "provider_fault": FAULT}}
NO_METADATA = NO_CONTENT | {
    "caller": None,
    "metadata": None,
    "notes": None,
    "webhooks": 0,
    "attempts": 0,
    "leads": 0,
}


async def erase(connection: asyncpg.Connection, **options: Any) -> None:
    await erase_expired(connection, asyncio.Event(), **options)


@pytest.mark.parametrize(
    ("days", "left"),
    [
        (0, EVERYTHING),
        (29.99, EVERYTHING),
        (30.01, NO_CONTENT),
        (89.99, NO_CONTENT),
        (90.01, NO_METADATA),
        (1000, NO_METADATA),
    ],
)
async def test_age_since_the_end_decides_what_is_left(
    connection: asyncpg.Connection, tenant: str, days: float, left: dict[str, Any]
) -> None:
    call = await a_call(connection, tenant, 1, days)
    await erase(connection)
    assert await left_of(connection, call) == left
    await erase(connection)
    assert await left_of(connection, call) == left


@pytest.mark.parametrize(
    ("direction", "caller", "dialled"),
    [("inbound", None, OURS), ("outbound", OURS, None), ("web", None, OURS)],
)
async def test_the_number_of_the_person_goes_on_whichever_side_it_stands(
    connection: asyncpg.Connection,
    tenant: str,
    direction: Direction,
    caller: str | None,
    dialled: str | None,
) -> None:
    call = await a_call(connection, tenant, 1, 91, direction)
    await erase(connection)
    left = await left_of(connection, call)
    assert (left["caller"], left["dialled"]) == (caller, dialled)


async def test_every_tenant_has_limits_of_its_own(connection: asyncpg.Connection) -> None:
    short, long = await a_tenant(connection, 30, 30), await a_tenant(connection, 365, 730)
    forever = await ensure_operator_organisation(connection)
    calls = {
        (tenant, days): await a_call(connection, tenant, number, days)
        for number, (tenant, days) in enumerate(
            (tenant, days) for tenant in (short, long, forever) for days in (29, 31, 366, 731)
        )
    }
    await erase(connection)
    left = {where: await left_of(connection, call) for where, call in calls.items()}
    assert left == {
        (short, 29): EVERYTHING,
        (short, 31): NO_METADATA,
        (short, 366): NO_METADATA,
        (short, 731): NO_METADATA,
        (long, 29): EVERYTHING,
        (long, 31): EVERYTHING,
        (long, 366): NO_CONTENT,
        (long, 731): NO_METADATA,
        (forever, 29): EVERYTHING,
        (forever, 31): EVERYTHING,
        (forever, 366): EVERYTHING,
        (forever, 731): EVERYTHING,
    }


async def test_a_call_that_goes_on_is_left_alone(
    connection: asyncpg.Connection, tenant: str
) -> None:
    call = await a_call(connection, tenant, 1, 400)
    await connection.execute(
        "UPDATE calls SET created_at = now() - interval '400 days', ended_at = NULL,"
        " end_reason = NULL, status = 'in-progress'"
    )
    await erase(connection)
    assert await left_of(connection, call) == EVERYTHING


async def test_a_limit_that_changes_holds_from_the_next_pass_on(
    connection: asyncpg.Connection, tenant: str
) -> None:
    call = await a_call(connection, tenant, 1, 60)
    pair = {"content_retention_days": 90, "metadata_retention_days": 90}
    await update_organisation(connection, tenant, pair)
    await erase(connection)
    assert await left_of(connection, call) == EVERYTHING
    await update_organisation(connection, tenant, pair | {"content_retention_days": 30})
    await erase(connection)
    assert await left_of(connection, call) == NO_CONTENT


async def test_batches_go_the_oldest_first_and_any_pass_goes_on(
    connection: asyncpg.Connection, tenant: str
) -> None:
    calls = [await a_call(connection, tenant, days, days) for days in (50, 40, 31, 95)]
    assert await erase_batch(connection, tenant, limit=2) == Erased(
        contents=2, turns=4, details=2, numbers=1, notes=2, deliveries=1, leads=1
    )
    left = [(await left_of(connection, call))["turns"] for call in calls]
    assert left == [0, 2, 2, 0]
    await erase(connection, batch_calls=1)
    assert [(await left_of(connection, call))["turns"] for call in calls] == [0, 0, 0, 0]
    assert await find_due(connection) == []


async def test_whoever_holds_a_call_is_not_waited_for(
    pool: asyncpg.Pool, connection: asyncpg.Connection, tenant: str
) -> None:
    held, free = [await a_call(connection, tenant, number, 31) for number in (1, 2)]
    async with pool.acquire() as other, other.transaction():
        await other.execute("SELECT FROM calls WHERE id = $1 FOR UPDATE", held)
        async with asyncio.timeout(5):
            await erase(connection)
        assert await left_of(connection, held) == EVERYTHING
        assert await left_of(connection, free) == NO_CONTENT
    await erase(connection)
    assert await left_of(connection, held) == NO_CONTENT


async def test_two_erasers_at_once_share_the_work(
    pool: asyncpg.Pool, connection: asyncpg.Connection, tenant: str
) -> None:
    calls = [await a_call(connection, tenant, number, 31) for number in range(12)]
    async with pool.acquire() as one, pool.acquire() as two:
        await asyncio.gather(erase(one, batch_calls=2), erase(two, batch_calls=2))
    assert [await left_of(connection, call) for call in calls] == [NO_CONTENT] * 12


async def test_a_batch_that_fails_changes_nothing(
    connection: asyncpg.Connection, tenant: str
) -> None:
    call = await a_call(connection, tenant, 1, 31)
    await connection.execute(
        "ALTER TABLE calls ADD CONSTRAINT no CHECK (content_erased_at IS NULL)"
    )
    try:
        with pytest.raises(asyncpg.CheckViolationError):
            await erase(connection)
        assert await left_of(connection, call) == EVERYTHING
    finally:
        await connection.execute("ALTER TABLE calls DROP CONSTRAINT no")


async def test_no_tenant_waits_for_the_backlog_of_another(
    connection: asyncpg.Connection, tenant: str
) -> None:
    other = await a_tenant(connection, 30, 30)
    for number in range(6):
        await a_call(connection, tenant, number, 31)
    theirs = await a_call(connection, other, 9, 31)
    await erase(connection, batch_calls=1)
    order = await connection.fetch("SELECT id FROM calls ORDER BY content_erased_at, id DESC")
    assert theirs in [row["id"] for row in order[:2]]


async def test_a_stop_is_heard_and_the_time_of_a_pass_has_an_end(
    connection: asyncpg.Connection, tenant: str
) -> None:
    call = await a_call(connection, tenant, 1, 31)
    stop = asyncio.Event()
    stop.set()
    await erase_expired(connection, stop)
    await erase(connection, longest_s=0.0)
    assert await left_of(connection, call) == EVERYTHING


async def test_one_line_per_organisation_says_how_much_and_never_what(
    connection: asyncpg.Connection, tenant: str, caplog: pytest.LogCaptureFixture
) -> None:
    for number, days in enumerate((10, 31, 32, 91)):
        await a_call(connection, tenant, number, days)
    await a_tenant(connection, 30, 30)
    with caplog.at_level(logging.INFO, "work"):
        await erase(connection, batch_calls=1)
        await erase(connection)
    [line] = caplog.records
    assert line.getMessage() == "erased what is kept no longer: content of 3 calls, numbers of 1"
    told = line.__dict__
    assert (told["organisation_id"], told["turns"], told["details"], told["notes"]) == (
        tenant, 6, 3, 2,
    )  # fmt: skip
    assert PERSON not in str(told)
    assert "tulip" not in str(told)


async def test_what_a_journal_repeats_brings_nothing_back(
    connection: asyncpg.Connection, tenant: str
) -> None:
    call = await a_call(connection, tenant, 1, 91)
    await erase(connection)
    await write_entries(
        connection, [opened(tenant, call, caller=PERSON, dialled=OURS), answered(call)]
    )
    assert await left_of(connection, call) == NO_METADATA


async def test_the_api_shows_calls_without_numbers_or_content(pool: asyncpg.Pool) -> None:
    async with running_api(pool) as api, pool.acquire() as connection:
        pair = {"content_retention_days": 30, "metadata_retention_days": 30}
        assert (await api.ask("PATCH", "/api/v1/organizations", pair))[0] == 200
        directions: tuple[Direction, ...] = ("inbound", "outbound", "web")
        for number, direction in enumerate(directions):
            call = await a_call(connection, api.organisation_id, number, 31, direction)
            before = (await api.ask("GET", f"/api/v1/calls/{call}"))[1]
            assert before["caller_phone"] == PERSON
            await erase(connection)
            status, after = await api.ask("GET", f"/api/v1/calls/{call}")
            assert (status, after["caller_phone"]) == (200, None)
            assert after["assistant_phone"] == OURS
            assert not after["messages"]
            assert (await api.ask("GET", f"/api/v1/calls/{call}/timeline"))[0] == 200
        assert len((await api.ask("GET", "/api/v1/calls"))[1]["calls"]) == 3
        assert (await api.ask("GET", "/api/v1/usage"))[1]["summary"]["total_calls"] == 3


@asynccontextmanager
async def a_worker(pool: asyncpg.Pool) -> AsyncIterator[None]:
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(work(pool, stop, pass_every_s=0.01, gone_after_s=60))
        try:
            yield
        finally:
            stop.set()


async def test_the_worker_erases_and_forgets_what_is_out_of_use(
    pool: asyncpg.Pool, connection: asyncpg.Connection, tenant: str
) -> None:
    call = await a_call(connection, tenant, 1, 91)
    await connection.execute(
        "INSERT INTO idempotent_requests (organisation_id, key, fingerprint, created_at)"
        " SELECT $1, age, sha256('x'), now() - age::interval"
        " FROM unnest(ARRAY['23 hours', '25 hours']) AS age",
        tenant,
    )
    await connection.execute(
        "INSERT INTO web_calls (call_id, organisation_id, token_sha256, expires_at)"
        " SELECT age, $1, sha256(age::bytea), now() - age::interval"
        " FROM unnest(ARRAY['59 minutes', '61 minutes']) AS age",
        tenant,
    )
    done = "SELECT NOT EXISTS (SELECT FROM calls WHERE caller IS NOT NULL)"
    done += " AND (SELECT count(*) < 2 FROM web_calls)"
    async with a_worker(pool), asyncio.timeout(20):
        while not await connection.fetchval(done):  # noqa: ASYNC110 - it is in a database
            await asyncio.sleep(0.01)
    assert await left_of(connection, call) == NO_METADATA
    assert await connection.fetchval("SELECT key FROM idempotent_requests") == "23 hours"
    assert await connection.fetchval("SELECT call_id FROM web_calls") == "59 minutes"
    assert await purge_tickets(connection) == 0
