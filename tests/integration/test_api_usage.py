"""`/usage` over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from db.journal import write_entries
from db.tenancy import acting_for
from db.usage import list_usage, sum_usage
from sovereign_ari.domain.ids import CallId, call_id
from sovereign_ari.domain.records import CallStatus, EndReason, JournalEntry
from tests.support.api import Api, running_api
from tests.support.rows import NOON, a_call_id, an_assistant, answered, closed, later, opened

PATH = "/api/v1/usage"
NUMBER = "+31201234567"


@pytest.fixture
async def api(pool: asyncpg.Pool) -> AsyncIterator[Api]:
    async with running_api(pool, price_per_minute=0.07) as api:
        yield api


async def a_call(api: Api, number: int, seconds: float, **changes: Any) -> CallId:
    """An answered call; a minute passes between the first rings of two."""
    call = changes.pop("call", None) or a_call_id(number)
    at = NOON + timedelta(minutes=number)
    entries: list[JournalEntry] = [
        opened(api.organisation_id, call, at=at, **changes),
        answered(call, number * 60 + 1),
        closed(call, number * 60 + 1 + seconds),
    ]
    async with api.pool.acquire() as connection:
        await write_entries(connection, entries)
    return call


async def test_without_calls_everything_is_zero(api: Api) -> None:
    assert await api.ask("GET", PATH) == (
        200,
        {
            "logs": [],
            "usage": [],
            "pagination": {"total": 0, "limit": 100, "offset": 0},
            "summary": {
                "total_calls": 0,
                "total_duration_seconds": 0,
                "total_duration_minutes": 0,
                "total_seconds": 0,
                "total_minutes": 0,
                "total_cost": 0,
            },
            "breakdown": None,
        },
    )


async def test_a_call_is_listed_under_the_keys_of_every_generation(api: Api) -> None:
    async with api.pool.acquire() as connection:
        assistant = await an_assistant(connection, api.organisation_id, business_name="Bakery")
    made = await api.ask("POST", "/api/v1/numbers", {"phone_number": NUMBER})
    number_id = made[1]["number"]["id"]
    call = await a_call(
        api, 0, 90.4, assistant_id=assistant.id, assistant_name="Reception", number_id=number_id
    )
    status, body = await api.ask("GET", PATH)
    assert status == 200
    assert body["logs"] == [
        {
            "id": call,
            "duration_sec": 90,
            "call_type": "phone",
            "number_id": number_id,
            "phone_number": NUMBER,
            "assistant_id": assistant.id,
            "agent_id": assistant.id,
            "assistant_name": "Reception",
            "agent_name": "Reception",
            "business_name": "Bakery",
            "created_at": "2026-01-01T12:00:00.000Z",
        }
    ]
    assert body["usage"] == body["logs"]
    assert body["summary"] == {
        "total_calls": 1,
        "total_duration_seconds": 90,
        "total_duration_minutes": 1.5,
        "total_seconds": 90,
        "total_minutes": 1.5,
        "total_cost": 0.105,
    }
    shown = (await api.ask("GET", f"/api/v1/calls/{call}"))[1]
    assert shown["duration_seconds"] == 90


async def test_only_answered_calls_that_ended_count(api: Api) -> None:
    unanswered, running = a_call_id(8), a_call_id(9)
    async with api.pool.acquire() as connection:
        await write_entries(
            connection,
            [
                opened(api.organisation_id, unanswered),
                closed(unanswered, 30, status=CallStatus.FAILED, end_reason=EndReason.ERROR),
                opened(api.organisation_id, running),
                answered(running),
            ],
        )
    call = await a_call(api, 1, 10)
    _, body = await api.ask("GET", PATH)
    assert [log["id"] for log in body["logs"]] == [call]
    assert body["summary"]["total_calls"] == 1


@pytest.mark.parametrize(
    ("direction", "kind"), [("inbound", "phone"), ("outbound", "phone"), ("web", "web")]
)
async def test_a_call_is_of_the_telephone_or_of_the_web(
    api: Api, direction: Any, kind: str
) -> None:
    call = call_id(direction, 1_767_268_800_000, 1)
    await a_call(api, 0, 10, call=call, direction=direction)
    assert (await api.ask("GET", PATH))[1]["logs"][0]["call_type"] == kind


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, 0), (0.4, 0), (0.5, 0), (0.6, 1), (1.5, 2), (2.5, 2), (-3, 0)]
)
async def test_seconds_are_rounded_as_those_of_calls_are(
    api: Api, seconds: float, shown: int
) -> None:
    call = await a_call(api, 0, seconds)
    _, body = await api.ask("GET", PATH)
    assert body["logs"][0]["duration_sec"] == body["summary"]["total_seconds"] == shown
    assert (await api.ask("GET", f"/api/v1/calls/{call}"))[1]["duration_seconds"] == shown


async def test_pages_are_newest_first_and_sums_are_of_all(api: Api) -> None:
    calls = [await a_call(api, number, 10 + number) for number in range(5)]
    seen = []
    for offset in range(0, 6, 2):
        _, body = await api.ask("GET", f"{PATH}?limit=2&offset={offset}")
        seen += [log["id"] for log in body["logs"]]
        assert body["pagination"] == {"total": 5, "limit": 2, "offset": offset}
        assert body["summary"]["total_seconds"] == 60
    assert seen == calls[::-1]
    assert (await api.ask("GET", f"{PATH}?offset=1000000"))[1]["logs"] == []


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("start_date=2026-01-01T12:02:00Z", [2, 3]),
        ("end_date=2026-01-01T12:01:00Z", [0, 1]),
        ("start_date=2026-01-01T12:01:00Z&end_date=2026-01-01T12:02:00.000Z", [1, 2]),
        ("start_date=2026-01-01&end_date=2026-01-01", [0, 1, 2, 3]),
        ("start_date=2026-01-02", []),
        ("end_date=2025-12-31", []),
        ("start_date=2026-01-01T13:02:00%2B01:00", [2, 3]),
    ],
)
async def test_dates_bound_the_list_and_the_sums(api: Api, query: str, numbers: list[int]) -> None:
    calls = [await a_call(api, number, 10) for number in range(4)]
    _, body = await api.ask("GET", f"{PATH}?{query}")
    assert [log["id"] for log in body["logs"]] == [calls[n] for n in reversed(numbers)]
    assert body["summary"]["total_calls"] == body["pagination"]["total"] == len(numbers)
    assert body["summary"]["total_seconds"] == 10 * len(numbers)


@pytest.mark.parametrize(
    ("query", "line"),
    [
        ("limit=0", "limit: "),
        ("limit=1001", "limit: "),
        ("limit=ten", "limit: is not a whole number"),
        ("limit=1.5", "limit: is not a whole number"),
        ("offset=-1", "offset: "),
        ("offset=2147483648", "offset: "),
        ("limit=1&limit=2", "limit: is given twice"),
        ("start_date=yesterday", "start_date: is not an ISO 8601 date or time"),
        ("end_date=9999-12-31", "end_date: is too late"),
        ("startdate=2026-01-01", "startdate: unknown parameter; did you mean start_date?"),
    ],
)
async def test_a_bad_query_is_refused(api: Api, query: str, line: str) -> None:
    status, body = await api.ask("GET", f"{PATH}?{query}")
    assert status == 400
    assert body["details"][0].startswith(line)


async def test_nobody_sees_what_another_organisation_used(api: Api) -> None:
    await a_call(api, 0, 10)
    stranger = await api.another_tenant()
    _, body = await stranger.ask("GET", PATH)
    assert (body["logs"], body["summary"]["total_calls"]) == ([], 0)


async def test_minutes_cost_nothing_until_the_operator_says_so(pool: asyncpg.Pool) -> None:
    async with running_api(pool) as free:
        await a_call(free, 0, 600)
        _, body = await free.ask("GET", PATH)
        assert (body["summary"]["total_minutes"], body["summary"]["total_cost"]) == (10, 0)


async def test_pages_and_sums_are_read_from_indexes(api: Api) -> None:
    async with api.pool.acquire() as connection:
        await connection.execute(
            """
            INSERT INTO calls (id, organisation_id, direction, controller, dialled, codec,
                               status, end_reason, created_at, answered_at, ended_at)
            SELECT 'call-inbound-' || lpad(g::text, 26, '0'), $1, 'inbound', 'c', '100', 'ulaw',
                   'ended', 'user_hangup', at, at, at + interval '1 s'
              FROM generate_series(1, 5000) AS g,
                   LATERAL (SELECT $2::timestamptz + g * interval '1 s' AS at) AS clock
            """,
            api.organisation_id,
            later(0),
        )
        await connection.execute("VACUUM ANALYZE calls")
    async with acting_for(api.pool, api.organisation_id) as connection:
        span = (later(10), later(20))
        assert (await sum_usage(connection, api.organisation_id, *span)).calls == 10
        rows = await list_usage(
            connection, api.organisation_id, (None, None), limit=10, offset=100
        )
        assert rows[0].id.endswith("4900")
        scans = "SELECT seq_scan FROM pg_stat_xact_user_tables WHERE relname = 'calls'"
        assert await connection.fetchval(scans) == 0
        await connection.execute("SELECT count(error) FROM calls")
        assert await connection.fetchval(scans) == 1, "nobody counts"
