"""`/calls/{id}/webhooks` and `/calls/{id}/recording` over HTTP."""

from __future__ import annotations

import asyncio
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


async def a_delivery(pool: asyncpg.Pool, event: str, state: str, number: int = 1) -> str:
    made: str = await pool.fetchval(
        "INSERT INTO webhook_deliveries (call_id, number, event, url, state, tries, attempts)"
        " VALUES ($1, $2, $3, 'https://example.com/hook', $4, 8, 8) RETURNING id::text",
        a_call_id(),
        number,
        event,
        state,
    )
    return made


@pytest.mark.parametrize("state", ["delivered", "given_up"])
@pytest.mark.parametrize("event", ["status-update", "end-of-call-report"])
async def test_what_was_sent_can_be_sent_again(
    api: Api, pool: asyncpg.Pool, state: str, event: str
) -> None:
    made = await a_delivery(pool, event, state)
    status, answer = await api.ask("POST", f"{WEBHOOKS}/1/retry")
    assert status == 202
    queued = answer["webhook"]
    assert (queued["id"], queued["state"], queued["attempts"]) == (made, "pending", [])
    assert (await api.ask("GET", WEBHOOKS))[1]["webhooks"] == [queued]
    left = await pool.fetchrow("SELECT tries, attempts, due_at <= now() FROM webhook_deliveries")
    assert tuple(left) == (0, 8, True)
    status, answer = await api.ask("POST", f"{WEBHOOKS}/1/retry")
    assert (status, answer["error"]["code"]) == (409, "conflict")
    assert answer["message"] == "the webhook 1 is on its way already"


@pytest.mark.parametrize("event", ["tool-calls", "assistant-request"])
async def test_what_a_call_waited_for_is_not_sent_again(
    api: Api, pool: asyncpg.Pool, event: str
) -> None:
    await a_delivery(pool, event, "given_up")
    status, answer = await api.ask("POST", f"{WEBHOOKS}/1/retry")
    assert (status, answer["error"]["code"]) == (409, "conflict")


async def test_a_report_without_content_is_not_sent_again_but_news_of_a_status_is(
    api: Api, pool: asyncpg.Pool
) -> None:
    await a_delivery(pool, "end-of-call-report", "delivered")
    await a_delivery(pool, "status-update", "delivered", 2)
    await pool.execute("UPDATE calls SET content_erased_at = now()")
    status, answer = await api.ask("POST", f"{WEBHOOKS}/1/retry")
    assert (status, "erased" in answer["message"]) == (409, True)
    assert (await api.ask("POST", f"{WEBHOOKS}/2/retry"))[0] == 202


@pytest.mark.parametrize("number", ["2", "0", "-1", "1.0", "x", "9999999999", "%20", "%D9%A1"])
async def test_a_webhook_that_is_not_there_is_not_sent_again(
    api: Api, pool: asyncpg.Pool, number: str
) -> None:
    await a_delivery(pool, "status-update", "delivered")
    status, answer = await api.ask("POST", f"{WEBHOOKS}/{number}/retry")
    assert (status, answer["error"]["code"]) == (404, "not_found")


async def test_the_webhooks_of_others_are_not_sent_again(api: Api, pool: asyncpg.Pool) -> None:
    await a_delivery(pool, "status-update", "delivered")
    theirs = await api.another_tenant()
    assert (await theirs.ask("POST", f"{WEBHOOKS}/1/retry"))[0] == 404
    assert await pool.fetchval("SELECT state FROM webhook_deliveries") == "delivered"


async def test_a_webhook_queued_again_by_two_at_once_is_queued_once(
    api: Api, pool: asyncpg.Pool
) -> None:
    await a_delivery(pool, "status-update", "delivered")
    answers = await asyncio.gather(*(api.ask("POST", f"{WEBHOOKS}/1/retry") for _ in range(5)))
    assert sorted(status for status, _ in answers) == [202, 409, 409, 409, 409]


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
