"""`/calls/{id}/webhooks` and `/calls/{id}/recording` over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest
from yarl import URL

from tests.support.api import Api, running_api
from tests.support.commanded import live_call
from tests.support.rows import a_call_id

WEBHOOKS = f"/api/v1/calls/{a_call_id()}/webhooks"
RECORDING = f"/api/v1/calls/{a_call_id()}/recording"
REPORT, UPDATE = (f"00000000-0000-4000-8000-00000000000{n}" for n in (1, 2))


@pytest.fixture
async def api(pool: asyncpg.Pool) -> AsyncIterator[Api]:
    async with running_api(pool) as api:
        await live_call(pool, api.organisation_id)
        yield api


async def test_a_call_about_which_nothing_was_sent_has_no_webhooks(api: Api) -> None:
    assert await api.ask("GET", WEBHOOKS) == (200, {"webhooks": []})


async def test_every_attempt_is_shown_in_its_order(api: Api, pool: asyncpg.Pool) -> None:
    await pool.executemany(
        "INSERT INTO webhook_deliveries (call_id, number, id, event, url, state, created_at)"
        " VALUES ($1, $2, $3, $4, 'https://example.com/hook', $5, '2026-01-01 12:00:00+00')",
        [
            (a_call_id(), 2, REPORT, "end-of-call-report", "pending"),
            (a_call_id(), 1, UPDATE, "status-update", "delivered"),
        ],
    )
    await pool.executemany(
        "INSERT INTO webhook_attempts (call_id, number, attempt, at, duration_ms, status_code,"
        " error) VALUES ($1, 1, $2, '2026-01-01 12:00:01+00', 7, $3, $4)",
        [(a_call_id(), 2, 204, None), (a_call_id(), 1, None, "connection refused")],
    )
    at, tried_at = "2026-01-01T12:00:00.000Z", "2026-01-01T12:00:01.000Z"
    common = {"url": "https://example.com/hook", "created_at": at}
    first = {"attempt": 1, "at": tried_at, "duration_ms": 7, "status_code": None}
    second = {"attempt": 2, "at": tried_at, "duration_ms": 7, "status_code": 204, "error": None}
    assert await api.ask("GET", WEBHOOKS) == (
        200,
        {
            "webhooks": [
                {
                    "id": UPDATE,
                    "number": 1,
                    "event": "status-update",
                    "state": "delivered",
                    "attempts": [first | {"error": "connection refused"}, second],
                    **common,
                },
                {
                    "id": REPORT,
                    "number": 2,
                    "event": "end-of-call-report",
                    "state": "pending",
                    "attempts": [],
                    **common,
                },
            ]
        },
    )


async def test_a_call_without_a_recording_says_so(api: Api) -> None:
    status, answer = await api.ask("GET", RECORDING)
    assert (status, answer["error"]["code"]) == (404, "not_found")
    assert answer["message"] == "this call has no recording"


@pytest.mark.parametrize("what", ["webhooks", "recording"])
async def test_the_calls_of_others_are_not_found(api: Api, what: str) -> None:
    theirs = await api.another_tenant()
    for client, call in ((theirs, a_call_id()), (api, a_call_id(9)), (api, "call-1")):
        status, answer = await client.ask("GET", f"/api/v1/calls/{call}/{what}")
        assert (status, answer["error"]["code"]) == (404, "not_found")
        assert answer["message"] != "this call has no recording"


async def test_an_id_may_be_percent_encoded(api: Api) -> None:
    encoded = "".join(f"%{ord(character):02X}" for character in a_call_id())
    where = f"http://{api.client.host}:{api.client.port}/api/v1/calls/{encoded}/webhooks"
    headers = {"Authorization": f"Bearer {api.key}"}
    async with api.client.session.get(URL(where, encoded=True), headers=headers) as answer:
        assert answer.request_info.url.raw_path.startswith("/api/v1/calls/%63%61%6C%6C")
        assert (answer.status, await answer.json()) == (200, {"webhooks": []})
