"""`POST /calls/{id}/control` over HTTP, to a controller behind a real PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import asyncpg
import pytest

from api.resources import call_control
from db.journal import write_entries
from db.keys import create_key
from sovereign_ari.domain.control import CommandOutcome, EndCall, InjectContext, Say, Transfer
from tests.support.api import Api, running_api
from tests.support.commanded import Commanded, commanded, live_call
from tests.support.rows import a_call_id, closed, opened

SAY = {"type": "say", "content": "Please hold.", "end_after": False}
TRANSFER = {"type": "transfer", "destination": "+31201234567"}
SENT = {"success": True, "message": "Command sent successfully"}
UNKNOWN = a_call_id(99)


@pytest.fixture
async def api(pool: asyncpg.Pool) -> AsyncIterator[Api]:
    async with running_api(pool) as api:
        yield api


@pytest.fixture
async def it(pool: asyncpg.Pool) -> AsyncIterator[Commanded]:
    async with commanded(pool) as it:
        yield it


@pytest.fixture
async def path(api: Api, pool: asyncpg.Pool) -> str:
    return path_of(await live_call(pool, api.organisation_id))


def path_of(call_id: str) -> str:
    return f"/api/v1/calls/{call_id}/control"


@pytest.mark.parametrize(
    ("body", "command"),
    [
        (SAY, Say("Please hold.", end_after=False)),
        (SAY | {"end_after": True}, Say("Please hold.", end_after=True)),
        (
            {"type": "inject-context", "content": "VIP", "trigger_response": True},
            InjectContext("VIP", trigger_response=True),
        ),
        (
            {"type": "inject-context", "content": "VIP", "trigger_response": False},
            InjectContext("VIP", trigger_response=False),
        ),
        ({"type": "end-call"}, EndCall()),
        ({"type": "end-call", "message": None}, EndCall()),
        ({"type": "end-call", "message": "Bye."}, EndCall("Bye.")),
        (SAY | {"content": "ß" * 20_000}, Say("ß" * 20_000, end_after=False)),
    ],
)
async def test_a_command_reaches_the_controller_of_the_call(
    api: Api, it: Commanded, path: str, body: dict[str, Any], command: object
) -> None:
    assert await api.ask("POST", path, body) == (200, SENT)
    assert it.told == [(a_call_id(), command)]
    assert await api.pool.fetchval("SELECT count(*) FROM call_commands") == 0


KINDS = "inject-context, say, end-call, transfer, cancel"
NEITHER = (
    "destination: is neither a number in E.164 form, such as +31201234567, nor an extension, nor a"
    " SIP URI, such as sip:desk@example.com"
)


@pytest.mark.parametrize(
    ("body", "details"),
    [
        ({}, ["type: is required"]),
        ({"type": "shout"}, [f"type: is not one of {KINDS}"]),
        ({"type": ["say"]}, [f"type: is not one of {KINDS}"]),
        ({"type": "cancel", "message": "x"}, ["message: unknown field"]),
        ({"type": "say"}, ["content: is required", "end_after: is required"]),
        ({"type": "say", "content": "x"}, ["end_after: is required"]),
        (SAY | {"end_after": None}, ["end_after: input should be a valid boolean"]),
        (SAY | {"end_after": "true"}, ["end_after: input should be a valid boolean"]),
        (SAY | {"content": ""}, ["content: is empty"]),
        (SAY | {"content": " \u00a0\n"}, ["content: is empty"]),
        (SAY | {"content": 7}, ["content: input should be a valid string"]),
        (
            SAY | {"content": "x" * 20_001},
            ["content: string should have at most 20000 characters"],
        ),
        (SAY | {"contnet": "x"}, ["contnet: unknown field; did you mean content?"]),
        (SAY | {"message": "x"}, ["message: unknown field"]),
        ({"type": "inject-context", "content": "x"}, ["trigger_response: is required"]),
        ({"type": "inject-context", "trigger_response": True}, ["content: is required"]),
        ({"type": "end-call", "message": ""}, ["message: is empty"]),
        ({"type": "end-call", "mesage": "x"}, ["mesage: unknown field; did you mean message?"]),
        ({"type": "transfer"}, ["destination: is required"]),
        (TRANSFER | {"message": ""}, ["message: is empty"]),
        (TRANSFER | {"hold": "silence"}, ["hold: input should be 'music' or 'assistant'"]),
        *(
            ({"type": "transfer", "destination": destination}, [NEITHER])
            for destination in (
                "0201234567", "+0201234567", "+31 20 1234567", "tel:+31201234567", "1000000",
                "http://e.com", "+31201234567\n", "",
            )
        ),
        *(
            ({"type": "transfer", "destination": destination}, [f"destination: {fault}"])
            for destination, fault in {
                "sip:": "names no host that can exist",
                "sip:desk@": "names no host that can exist",
                "sip:desk:secret@example.com": "carries a password",
                "sip:desk@example.com:0": "names port 0, and calls are not sent to such ports",
                "sip:desk@example.com:65536": (
                    "names port 65536, and calls are not sent to such ports"
                ),
                "sip:desk@example.com?Replaces=1": (
                    "carries headers behind a question mark, and those are not sent"
                ),
                "sip:desk@example.com\r\nX: y": "holds blanks or characters that no SIP URI has",
                "sip:desk@-example.com": "names no host that can exist",
                "sip:desk@example.com;lr": (
                    "has a parameter other than transport=udp, transport=tcp or transport=tls"
                ),
            }.items()
        ),
    ],
)  # fmt: skip
async def test_a_bad_command_is_refused(
    api: Api, it: Commanded, path: str, body: dict[str, Any], details: list[str]
) -> None:
    status, answer = await api.ask("POST", path, body)
    assert (status, answer["details"]) == (400, details)
    assert answer["error"]["param"] == details[0].partition(":")[0]
    assert not it.told


@pytest.mark.parametrize(
    ("destination", "why"),
    [
        ("+31201234567", "has no SIP trunk"),
        ("4711", "there is no extension 4711"),
        ("sip:desk@10.1.2.3:65535", "10.1.2.3 is not a public host"),
        ("sip:desk@[2001:db8::1]:5060", "2001:db8::1 is not a public host"),
        ("sip:a%20d@pbx.example.com;transport=tls", "percent signs"),
        ("sip:desk@example.com:22", "names port 22"),
        ("sip:+31900123456@example.com", "is a premium-rate number"),
    ],
)
async def test_a_transfer_to_where_the_call_cannot_go_is_refused(
    api: Api, it: Commanded, path: str, destination: str, why: str
) -> None:
    body = {"type": "transfer", "destination": destination, "message": "One moment."}
    status, answer = await api.ask("POST", path, body)
    assert (status, answer["error"]["code"]) == (422, "transfer_unavailable")
    assert why in answer["message"]
    assert not it.told


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ("outbound_concurrency = 0", (422, "destination_not_allowed")),
        ("outbound_concurrency = 1", (429, "too_many_calls")),
        ("outbound_calls_per_second = 0.01", (429, "too_many_calls_per_second")),
    ],
)
async def test_a_transfer_is_an_outgoing_call_of_the_organisation(
    api: Api, it: Commanded, path: str, columns: str, expected: tuple[int, str]
) -> None:
    await api.pool.execute(f"UPDATE organisations SET {columns}")
    other = path_of(await live_call(api.pool, api.organisation_id, a_call_id(7)))
    body = {"type": "transfer", "destination": "sip:desk@example.com"}
    refer = body | {"mode": "refer"}
    assert (await api.ask("POST", other, refer))[0] == 200
    if expected[0] == 429:
        assert (await api.ask("POST", path, body))[0] == 200
        assert (await api.ask("POST", path, body))[0] == 200, "it is counted once"
    told = len(it.told)
    status, answer = await api.ask("POST", other, body)
    assert (status, answer["error"]["code"]) == expected
    assert len(it.told) == told


async def test_a_transfer_reaches_the_call(api: Api, it: Commanded, path: str) -> None:
    body: dict[str, Any] = {
        "type": "transfer", "destination": "sip:desk@example.com", "message": "One moment.",
    }  # fmt: skip
    assert await api.ask("POST", path, body) == (200, SENT)
    body = body | {"mode": "warm", "timeout_seconds": 9, "caller_id": "+31207654321"}
    body["hold"] = "assistant"
    assert await api.ask("POST", path, body) == (200, SENT)
    plain = Transfer("sip:desk@example.com", "One moment.")
    assert [command for _, command in it.told] == [
        plain,
        replace(plain, mode="warm", timeout_s=9.0, caller_id="+31207654321", hold="assistant"),
    ]


@pytest.mark.parametrize("body", [SAY, TRANSFER])
async def test_a_call_that_does_not_exist_takes_no_command(
    api: Api, it: Commanded, path: str, body: dict[str, Any]
) -> None:
    theirs = await api.another_tenant()
    for client, where in ((api, path_of(UNKNOWN)), (theirs, path), (api, path_of("call-x"))):
        status, answer = await client.ask("POST", where, body)
        assert (status, answer["error"]["code"]) == (404, "not_found")
    assert not it.told
    assert await api.pool.fetchval(
        "SELECT count(*) FROM rate_windows WHERE subject LIKE 'call:%'"
    ) == 0  # fmt: skip


@pytest.mark.parametrize("body", [SAY, TRANSFER])
@pytest.mark.parametrize("status", ["ringing", "ended"])
async def test_a_call_that_is_not_in_progress_says_what_it_is(
    api: Api, it: Commanded, status: str, body: dict[str, Any]
) -> None:
    async with api.pool.acquire() as connection:
        await write_entries(connection, [opened(api.organisation_id)])
        if status == "ended":
            await write_entries(connection, [closed()])
    code, answer = await api.ask("POST", path_of(a_call_id()), body)
    assert code == 400
    assert answer["message"] == f"the call {a_call_id()} is not in progress: it is {status}"
    assert not it.told


async def test_a_second_transfer_is_told_that_one_is_under_way(
    api: Api, it: Commanded, path: str
) -> None:
    it.outcome = CommandOutcome.TRANSFER_UNDER_WAY
    body = {"type": "transfer", "destination": "sip:desk@example.com", "message": "One moment."}
    status, answer = await api.ask("POST", path, body)
    assert (status, answer["error"]["code"]) == (409, "transfer_under_way")
    assert answer["error"]["type"] == "conflict_error"
    assert f"the caller of {a_call_id()} is being put through already" in answer["message"]
    assert await api.pool.fetchval("SELECT count(*) FROM call_commands") == 0


async def test_a_call_that_ends_meanwhile_is_told_so(api: Api, it: Commanded, path: str) -> None:
    it.outcome = CommandOutcome.NOT_ACTIVE
    status, answer = await api.ask("POST", path, SAY)
    assert status == 400
    assert answer["message"].endswith("is not in progress any more: it is ending")


async def test_a_controller_of_another_release_is_told_of(
    api: Api, it: Commanded, path: str
) -> None:
    it.outcome = CommandOutcome.NOT_UNDERSTOOD
    status, answer = await api.ask("POST", path, SAY)
    assert (status, answer["error"]["code"]) == (422, "call_not_answering")
    assert "another release" in answer["message"]


async def test_a_command_that_nobody_takes_is_withdrawn(
    api: Api, path: str, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call_control, "ANSWERED_WITHIN_S", 0.2)
    status, answer = await api.ask("POST", path, SAY)
    assert (status, answer["error"]["code"]) == (422, "call_not_answering")
    assert answer["message"].endswith("nothing was done")
    async with commanded(pool) as it:
        assert await api.ask("POST", path, {"type": "end-call"}) == (200, SENT)
        assert it.told == [(a_call_id(), EndCall())]


async def test_a_controller_that_dies_over_a_command_leaves_it_open_whether_it_was_done(
    api: Api, path: str, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call_control, "ANSWERED_WITHIN_S", 0.5)
    asking = asyncio.create_task(api.ask("POST", path, SAY))
    take = "UPDATE call_commands SET taken_at = now() RETURNING id"
    while not await pool.fetchval(take):  # noqa: ASYNC110  # another process wrote it
        await asyncio.sleep(0.01)
    status, answer = await asking
    assert (status, answer["error"]["code"]) == (422, "call_not_answering")
    assert answer["message"].endswith("it may have been done")


async def test_an_answer_that_was_not_heard_is_read(
    api: Api, it: Commanded, path: str, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection that listens for answers was lost a moment ago."""
    monkeypatch.setattr(call_control, "ANSWERED_WITHIN_S", 0.5)
    monkeypatch.setattr("api.command_answers.FIRST_DELAY_S", 60.0)
    lost = await pool.fetchval(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
        " WHERE query LIKE 'LISTEN%answers%' OR query = 'SELECT'"
    )
    assert lost == 1
    assert await api.ask("POST", path, SAY) == (200, SENT)
    assert len(it.told) == 1


async def test_ten_commands_a_minute_reach_a_call(
    api: Api, it: Commanded, path: str, pool: asyncpg.Pool
) -> None:
    other = path_of(await live_call(pool, api.organisation_id, a_call_id(2)))
    answers = await asyncio.gather(*(api.ask("POST", path, SAY) for _ in range(14)))
    assert sorted(status for status, _ in answers) == [200] * 10 + [429] * 4
    refused = next(answer for status, answer in answers if status == 429)
    assert refused["error"]["code"] == "rate_limit_exceeded"
    assert refused["error"]["type"] == "rate_limit_error"
    assert 1 <= refused["retry_after"] <= 60
    assert refused["message"] == (
        f"Too many commands to this call. Please retry after {refused['retry_after']} seconds."
    )
    assert len(it.told) == 10
    headers = {"Authorization": f"Bearer {api.key}"}
    async with api.client.post(path, json=SAY, headers=headers) as response:
        assert (response.status, response.headers["Retry-After"]) == (
            429,
            str((await response.json())["retry_after"]),
        )
    assert await api.ask("POST", other, SAY) == (200, SENT)


async def test_commands_of_every_type_count(api: Api, it: Commanded, path: str) -> None:
    told = [await api.ask("POST", path, TRANSFER) for _ in range(9)]
    assert {status for status, _ in told} == {422}
    assert await api.ask("POST", path, SAY) == (200, SENT)
    assert (await api.ask("POST", path, TRANSFER))[0] == 429


async def test_every_controller_gets_the_commands_to_its_own_calls(
    api: Api, it: Commanded, path: str, pool: asyncpg.Pool
) -> None:
    other = await live_call(pool, api.organisation_id, a_call_id(2), "sovereign-2")
    async with commanded(pool, "sovereign-2") as that:
        told = await asyncio.gather(
            *(api.ask("POST", where, SAY) for where in [path, path_of(other)] * 5)
        )
        assert told == [(200, SENT)] * 10
        assert [call for call, _ in it.told] == [a_call_id()] * 5
        assert [call for call, _ in that.told] == [other] * 5


async def test_every_process_of_the_api_hears_its_own_answers(
    api: Api, it: Commanded, path: str, pool: asyncpg.Pool
) -> None:
    async with running_api(pool) as second:
        told = await asyncio.gather(*(one.ask("POST", path, SAY) for one in [api, second] * 5))
    assert told == [(200, SENT)] * 10
    assert len(it.told) == 10


async def test_a_repeated_request_is_done_once(api: Api, it: Commanded, path: str) -> None:
    headers = {"Idempotency-Key": "say-it-once"}
    for _ in range(2):
        assert await api.ask("POST", path, SAY, headers=headers) == (200, SENT)
    assert len(it.told) == 1


@pytest.mark.parametrize(("scopes", "status"), [(["read"], 403), (["calls"], 200)])
async def test_a_key_needs_the_scope_calls(
    api: Api, it: Commanded, path: str, scopes: list[str], status: int
) -> None:
    async with api.pool.acquire() as connection:
        _, key = await create_key(connection, api.organisation_id, name="k", scopes=scopes)
    client = Api(api.client, key, api.organisation_id, api.pool)
    assert (await client.ask("POST", path, SAY))[0] == status
    assert len(it.told) == (status == 200)


async def test_a_command_that_waits_holds_up_nobody(
    api: Api, path: str, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten of them wait while the pool has fewer connections."""
    monkeypatch.setattr(call_control, "ANSWERED_WITHIN_S", 1.0)
    waiting = [asyncio.create_task(api.ask("POST", path, SAY)) for _ in range(10)]
    async with asyncio.timeout(5):
        while await pool.fetchval("SELECT count(*) FROM call_commands") < 10:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert not any(task.done() for task in waiting)
    assert (await api.ask("GET", "/api/v1/calls"))[0] == 200
    assert {status for status, _ in await asyncio.gather(*waiting)} == {422}


async def test_the_document_describes_every_type(api: Api) -> None:
    document = await (await api.client.get("/api/openapi.json")).json()
    operation = document["paths"]["/api/v1/calls/{call_id}/control"]["post"]
    assert {"200", "400", "404", "422", "429"} <= operation["responses"].keys()
    body = operation["requestBody"]["content"]["application/json"]
    schema = document["components"]["schemas"][body["schema"]["$ref"].rpartition("/")[2]]
    assert set(schema["discriminator"]["mapping"]) == {
        "inject-context", "say", "end-call", "transfer", "cancel",
    }  # fmt: skip
    assert body["example"] == SAY | {"content": "One moment, a colleague is looking it up."}
