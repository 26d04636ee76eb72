"""What `/domains` makes of a Resend that fails, refuses, or is in two minds."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from tests.support.api import Api, running_api
from tests.support.fake_resend import KEY, FakeResend, Fault, fake_resend
from tests.support.sending_domain import NAME, PATH, made, own, sending_api, store_key

BROKEN = [
    Fault(500),
    Fault(503, b"<html>busy</html>"),
    Fault(0),
    Fault(200, b"not json"),
    Fault(200, b"[]"),
    Fault(302, b"", headers={"Location": "http://169.254.169.254/"}),
]


@pytest.fixture
async def resend() -> AsyncIterator[FakeResend]:
    async with fake_resend() as server:
        yield server


@pytest.fixture
async def api(pool: asyncpg.Pool, resend: FakeResend) -> AsyncIterator[Api]:
    async with sending_api(pool, resend) as api:
        yield api


async def test_of_two_domains_added_at_once_one_is_left_everywhere(
    api: Api, resend: FakeResend
) -> None:
    resend.gate = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        asking = [
            group.create_task(api.ask("POST", PATH, {"domain_name": f"{name}.example.com"}))
            for name in "ab"
        ]
        async with asyncio.timeout(10):
            while len(resend.seen) < 2:  # noqa: ASYNC110 - it is a list
                await asyncio.sleep(0.01)
        resend.gate.set()
    assert sorted(task.result()[0] for task in asking) == [201, 409]
    assert [domain["id"] for domain in resend.domains.values()] == [
        (await own(api))["resend_domain_id"]
    ]


async def test_without_a_key_the_answer_says_where_to_store_one(
    api: Api, resend: FakeResend
) -> None:
    await made(api)
    async with api.pool.acquire() as connection:
        await connection.execute("DELETE FROM byok_keys")
    resend.seen.clear()
    stranger = await api.another_tenant()
    for asker, method, path, body in (
        (stranger, "POST", "", {"domain_name": NAME}),
        (api, "DELETE", "", None),
        (api, "POST", "/verify", None),
        (api, "POST", "/refresh", None),
        (api, "GET", "/sync", None),
        (api, "POST", "/sync", {"resendDomainId": "x"}),
    ):
        status, answer = await asker.ask(method, PATH + path, body)
        assert (status, answer["error"]["code"]) == (422, "byok_key_missing")
        assert "POST /byok" in answer["message"]
    assert resend.seen == []
    assert await own(api) is not None


async def test_the_key_is_that_of_the_organisation_and_is_told_to_nobody(
    api: Api, resend: FakeResend, caplog: pytest.LogCaptureFixture
) -> None:
    secret = "re_wrong_key_of_theirs"
    stranger = await api.another_tenant()
    await store_key(stranger, secret)
    resend.faults.append(
        Fault(401, json.dumps({"name": "invalid_api_key", "message": f"no {secret}"}).encode())
    )
    for _ in range(2):
        status, body = await stranger.ask("POST", PATH, {"domain_name": NAME})
        assert (status, body["error"]["code"]) == (422, "byok_key_refused")
        assert secret not in json.dumps(body) + caplog.text
    assert resend.domains == {}


@pytest.mark.parametrize(
    "told",
    [
        (401, "missing_api_key", "Missing API key in the authorization header"),
        (401, "restricted_api_key", "This API key is restricted to only send emails"),
        (403, "invalid_api_key", "API key is invalid"),
        (400, "validation_error", "API key is invalid"),
    ],
)
async def test_every_way_to_refuse_a_key_is_understood(
    api: Api, resend: FakeResend, told: tuple[int, str, str]
) -> None:
    status, name, message = told
    resend.faults.append(Fault(status, json.dumps({"name": name, "message": message}).encode()))
    answered, body = await api.ask("GET", PATH + "/sync")
    assert (answered, body["error"]["code"]) == (422, "byok_key_refused")
    assert message in body["message"]


async def test_what_resend_refuses_is_told_in_its_words(api: Api, resend: FakeResend) -> None:
    resend.taken.add(NAME)
    status, body = await api.ask("POST", PATH, {"domain_name": NAME})
    assert (status, body["error"]["code"]) == (422, "resend_refused")
    assert f"The {NAME} domain has been registered already." in body["message"]
    resend.faults.append(Fault(422, json.dumps({"message": "x\x00" * 9000}).encode()))
    status, body = await api.ask("POST", PATH, {"domain_name": "b.example.com"})
    assert (status, body["error"]["code"]) == (422, "resend_refused")
    assert len(body["message"]) < 400
    assert "\x00" not in body["message"]
    assert await own(api) is None


@pytest.mark.parametrize("fault", BROKEN, ids=lambda fault: str(fault.status))
async def test_when_resend_fails_nothing_changes(
    api: Api, resend: FakeResend, fault: Fault
) -> None:
    async def ask(method: str, path: str = "", body: Any = None) -> None:
        resend.faults.append(fault)
        status, answer = await api.ask(method, PATH + path, body)
        assert (status, answer["error"]["code"]) == (422, "resend_unavailable")
        assert resend.faults == []

    await ask("POST", "", {"domain_name": NAME})
    assert await own(api) is None
    domain = await made(api)
    other = resend.add("other.example.com", "verified")
    await ask("POST", "/verify")
    await ask("POST", "/refresh")
    await ask("GET", "/sync")
    await ask("POST", "/sync", {"resendDomainId": other})
    if fault.status != 200:
        await ask("DELETE")
        assert await own(api) == domain


async def test_when_resend_is_away_nothing_changes(pool: asyncpg.Pool) -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))  # nobody listens
        url = f"http://127.0.0.1:{busy.getsockname()[1]}"
        async with running_api(pool, allow=["127.0.0.0/8"], resend_url=url) as api:
            await store_key(api)
            status, body = await api.ask("POST", PATH, {"domain_name": NAME})
            assert (status, body["error"]["code"]) == (422, "resend_unavailable")
            assert await own(api) is None


async def test_a_request_that_came_too_soon_is_sent_once_more(
    api: Api, resend: FakeResend
) -> None:
    busy = b'{"statusCode":429,"name":"rate_limit_exceeded","message":"Too many requests"}'
    too_soon = Fault(429, busy, headers={"Retry-After": "0"})
    resend.faults.append(too_soon)
    await made(api)
    assert len(resend.domains) == 1
    resend.faults += [too_soon, too_soon]
    status, body = await api.ask("POST", PATH + "/refresh")
    assert (status, body["error"]["code"]) == (422, "resend_unavailable")
    assert "Too many requests" in body["message"]


async def test_a_domain_that_cannot_be_stored_is_taken_back(
    api: Api, resend: FakeResend, caplog: pytest.LogCaptureFixture
) -> None:
    async with api.pool.acquire() as connection:
        await connection.execute("ALTER TABLE domains ADD CONSTRAINT no CHECK (false)")
        try:
            assert (await api.ask("POST", PATH, {"domain_name": NAME}))[0] == 500
            assert resend.domains == {}
            resend.faults.append(Fault(500, method="DELETE"))
            assert (await api.ask("POST", PATH, {"domain_name": NAME}))[0] == 500
            [left] = resend.domains
        finally:
            await connection.execute("ALTER TABLE domains DROP CONSTRAINT no")
    assert "a domain stays at Resend" in caplog.text
    assert await own(api) is None
    status, body = await api.ask("POST", PATH + "/sync", {"resendDomainId": left})
    assert (status, body["domain"]["resend_domain_id"]) == (200, left)


async def test_an_answer_that_was_lost_is_repaired_by_selecting(
    api: Api, resend: FakeResend
) -> None:
    resend.faults.append(Fault(502, acts=True))
    status, body = await api.ask("POST", PATH, {"domain_name": NAME})
    assert (status, body["error"]["code"]) == (422, "resend_unavailable")
    status, body = await api.ask("POST", PATH, {"domain_name": NAME})
    assert (status, body["error"]["code"]) == (422, "resend_refused")
    [left] = (await api.ask("GET", PATH + "/sync"))[1]["domains"]
    await api.ask("POST", PATH + "/sync", {"resendDomainId": left["id"]})
    assert (await own(api))["domain_name"] == NAME


async def test_a_deletion_that_failed_here_can_be_repeated(api: Api, resend: FakeResend) -> None:
    await made(api)
    async with api.pool.acquire() as connection:
        await connection.execute(
            "CREATE FUNCTION pg_temp.no() RETURNS trigger LANGUAGE plpgsql AS"
            " 'BEGIN RAISE EXCEPTION ''no''; END';"
            "CREATE TRIGGER no BEFORE DELETE ON domains"
            " FOR EACH ROW EXECUTE FUNCTION pg_temp.no()"
        )
        try:
            assert (await api.ask("DELETE", PATH))[0] == 500
            assert resend.domains == {}
        finally:
            await connection.execute("DROP TRIGGER no ON domains; DROP FUNCTION pg_temp.no()")
    assert await own(api) is not None
    assert await api.ask("DELETE", PATH) == (200, {"success": True})
    assert await own(api) is None


async def test_a_domain_that_resend_lost_is_said_to_be_missing(
    api: Api, resend: FakeResend
) -> None:
    domain = await made(api)
    resend.domains.clear()
    for path in ("/verify", "/refresh"):
        status, body = await api.ask("POST", PATH + path)
        assert (status, body["error"]["code"]) == (404, "not_found")
        assert domain["resend_domain_id"] in body["message"]
    assert await own(api) == domain


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"id": "x", "name": NAME},
        {"id": "x", "name": "a\x00b", "status": "verified"},
        {"id": 5, "name": NAME, "status": "verified"},
        {"id": "x", "name": "\ud800", "status": "verified"},
    ],
)
async def test_a_domain_that_makes_no_sense_is_not_stored(
    api: Api, resend: FakeResend, told: dict[str, Any]
) -> None:
    resend.faults.append(Fault(201, json.dumps(told).encode()))
    status, body = await api.ask("POST", PATH, {"domain_name": NAME})
    assert (status, body["error"]["code"]) == (422, "resend_unavailable")
    assert await own(api) is None


async def test_records_in_any_form_can_be_stored_and_shown(api: Api, resend: FakeResend) -> None:
    odd = [
        {"record": "TXT\x00", "ttl": 300, "priority": True, "value": None, "more": [1]},
        "nonsense",
        {"priority": 1e400, "name": "\ud800", "value": "v" * 9000},
    ]
    told = {"id": "x", "name": NAME, "status": "pending", "region": 5, "records": odd}
    resend.faults.append(Fault(201, json.dumps(told).encode()))
    domain = await made(api)
    assert [record["priority"] for record in domain["records"]] == [None, None]
    assert domain["records"][0]["ttl"] == "300"
    assert await own(api) == domain


async def test_the_vendors_log_holds_no_key(
    api: Api, resend: FakeResend, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        await made(api)
        resend.faults.append(Fault(500))
        await api.ask("POST", PATH + "/refresh")
    assert KEY not in caplog.text
