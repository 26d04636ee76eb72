"""The same POST twice: done once and answered twice."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from db import idempotency
from sovereign_ari.outgoing.key_checks import KeyChecks
from tests.support.api import Api, running_api

NAMED = {"name": "Reception"}


@pytest.fixture
async def api(pool: asyncpg.Pool) -> AsyncIterator[Api]:
    async with running_api(pool) as api:
        yield api


async def post(
    api: Api, key: str, body: Any, path: str = "/api/v1/assistants"
) -> tuple[int, Any, str | None]:
    headers = {"Authorization": f"Bearer {api.key}", "Idempotency-Key": key}
    async with api.client.post(path, json=body, headers=headers) as response:
        return response.status, await response.json(), response.headers.get("Idempotent-Replayed")


async def count(api: Api, table: str = "assistants") -> int:
    found: int = await api.pool.fetchval(f"SELECT count(*) FROM {table}")
    return found


async def test_the_same_request_is_done_once_and_answered_the_same(api: Api) -> None:
    status, first, replayed = await post(api, "one", NAMED)
    assert (status, replayed) == (201, None)
    assert await post(api, "one", NAMED) == (201, first, "true")
    assert await count(api) == 1
    assert (await post(api, "two", NAMED))[1] != first
    assert await count(api) == 2


@pytest.mark.parametrize(
    ("body", "path"),
    [({"name": "Other"}, "/api/v1/assistants"), (NAMED, "/api/v1/keys")],
    ids=["another body", "another path"],
)
async def test_a_key_stands_for_one_request(api: Api, body: Any, path: str) -> None:
    await post(api, "one", NAMED)
    status, answer, _ = await post(api, "one", body, path)
    assert (status, answer["error"]["code"]) == (409, "idempotency_key_reused")
    assert answer["error"]["param"] == "Idempotency-Key"
    assert (await count(api), await count(api, "api_keys")) == (1, 1)


async def test_requests_at_once_make_one_row_and_get_one_answer(api: Api) -> None:
    answers = await asyncio.gather(*(post(api, "one", NAMED) for _ in range(12)))
    assert {status for status, _, _ in answers} == {201}
    assert len({json.dumps(body) for _, body, _ in answers}) == 1
    assert [replayed for _, _, replayed in answers].count(None) == 1
    assert await count(api) == 1


async def test_a_failure_is_not_kept(api: Api) -> None:
    assert (await post(api, "one", {"name": ""}))[0] == 400
    assert await count(api, "idempotent_requests") == 0
    assert (await post(api, "one", NAMED))[0] == 201


async def test_a_failure_of_the_first_lets_the_second_try(api: Api) -> None:
    number = {"phone_number": "+31201234567"}
    assert (await post(api, "one", number, "/api/v1/numbers"))[0] == 201
    both = await asyncio.gather(*(post(api, "two", number, "/api/v1/numbers") for _ in range(2)))
    assert [status for status, _, _ in both] == [409, 409]
    assert await count(api, "idempotent_requests") == 1


async def test_a_key_is_good_for_a_day(api: Api) -> None:
    _, first, _ = await post(api, "one", NAMED)
    await age(api, timedelta(hours=23, minutes=59))
    assert (await post(api, "one", NAMED))[1] == first
    await age(api, timedelta(minutes=2))
    _, second, replayed = await post(api, "one", {"name": "Other"})
    assert (second["assistant"]["name"], replayed) == ("Other", None)
    assert await count(api) == 2


async def age(api: Api, by: timedelta) -> None:
    await api.pool.execute(
        "UPDATE idempotent_requests SET created_at = created_at - $1::interval", by
    )


async def test_a_key_belongs_to_its_tenant(api: Api) -> None:
    other = await api.another_tenant()
    _, mine, _ = await post(api, "one", NAMED)
    status, theirs, replayed = await post(other, "one", {"name": "Theirs"})
    assert (status, theirs["assistant"]["name"], replayed) == (201, "Theirs", None)
    assert (await post(api, "one", NAMED))[1] == mine


@pytest.mark.parametrize("key", ["", "with space", "é", "x" * 256])
async def test_a_key_that_cannot_be_one_is_refused(api: Api, key: str) -> None:
    status, answer, _ = await post(api, key, NAMED)
    assert (status, answer["error"]["param"]) == (400, "Idempotency-Key")
    assert await count(api) == 0


async def test_other_methods_take_no_notice_of_it(api: Api) -> None:
    headers = {"Idempotency-Key": "one"}
    assert (await api.ask("GET", "/api/v1/assistants", headers=headers))[0] == 200
    assert await count(api, "idempotent_requests") == 0


async def test_a_secret_that_is_shown_once_is_kept_sealed_and_shown_again_to_its_key(
    api: Api,
) -> None:
    _, first, _ = await post(api, "one", {"name": "k"}, "/api/v1/keys")
    secret = first["key"]["secret"]
    row = await api.pool.fetchrow("SELECT * FROM idempotent_requests")
    assert row["status"] == 201
    assert secret.encode() not in row["answer"]
    assert (await post(api, "one", {"name": "k"}, "/api/v1/keys"))[1] == first
    assert await count(api, "api_keys") == 2


async def test_an_answer_that_no_longer_opens_is_a_conflict_and_not_done_again(api: Api) -> None:
    await post(api, "one", NAMED)
    await api.pool.execute("UPDATE idempotent_requests SET answer = '\\x00'")
    status, answer, _ = await post(api, "one", NAMED)
    assert (status, answer["error"]["code"]) == (409, "conflict")
    assert "can no longer be read" in answer["message"]
    assert await count(api) == 1


async def test_what_is_older_than_a_day_is_purged_for_every_tenant(api: Api) -> None:
    other = await api.another_tenant()
    await post(api, "one", NAMED)
    await post(other, "one", NAMED)
    await age(api, timedelta(hours=24, seconds=1))
    await post(api, "two", NAMED)
    async with api.pool.acquire() as connection:
        assert await idempotency.purge(connection) == 2
    assert await count(api, "idempotent_requests") == 1


# Handlers that wait for others, and hold no transaction meanwhile.


class Gate:
    """A vendor that answers when it is told to."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.open = asyncio.Event()
        self.requests = 0
        self.status = 200

    async def handle(self, _: web.Request) -> web.Response:
        self.requests += 1
        self.asked.set()
        await self.open.wait()
        return web.Response(status=self.status)


@pytest.fixture
async def gate() -> AsyncIterator[tuple[Gate, str]]:
    gate = Gate()
    application = web.Application()
    application.router.add_get("/models", gate.handle)
    async with TestServer(application) as server:
        yield gate, str(server.make_url(""))


VERIFIED = {"provider": "openai", "api_key": "sk-1", "verify": True}


async def test_a_detached_request_is_done_once_and_one_beside_it_is_turned_away(
    pool: asyncpg.Pool, gate: tuple[Gate, str]
) -> None:
    vendor, url = gate
    async with running_api(pool, key_checks=KeyChecks(url)) as api:
        first = asyncio.create_task(post(api, "one", VERIFIED, "/api/v1/byok"))
        await vendor.asked.wait()
        status, answer, _ = await post(api, "one", VERIFIED, "/api/v1/byok")
        assert (status, answer["error"]["code"]) == (409, "conflict")
        assert "still under way" in answer["message"]
        vendor.open.set()
        status, body, replayed = await first
        assert (status, replayed) == (200, None)
        assert await post(api, "one", VERIFIED, "/api/v1/byok") == (200, body, "true")
        assert vendor.requests == 1


async def test_a_detached_failure_gives_the_key_back(
    pool: asyncpg.Pool, gate: tuple[Gate, str]
) -> None:
    vendor, url = gate
    vendor.open.set()
    vendor.status = 401
    async with running_api(pool, key_checks=KeyChecks(url)) as api:
        assert (await post(api, "one", VERIFIED, "/api/v1/byok"))[0] == 422
        assert await count(api, "idempotent_requests") == 0
        vendor.status = 200
        assert (await post(api, "one", VERIFIED, "/api/v1/byok"))[0] == 200


async def test_a_detached_request_whose_process_died_is_taken_over(api: Api) -> None:
    body = {"provider": "openai", "api_key": "sk-1"}
    await post(api, "one", body, "/api/v1/byok")
    await api.pool.execute("UPDATE idempotent_requests SET status = NULL, answer = NULL")
    assert (await post(api, "one", body, "/api/v1/byok"))[0] == 409
    await age(api, idempotency.UNDER_WAY_FOR)
    assert (await post(api, "one", body, "/api/v1/byok"))[0] == 200
