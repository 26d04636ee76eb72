"""From entries of a journal to requests on an integrator's server, over a real PostgreSQL."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from db.assistants import ASSISTANTS
from db.controllers import close_lost
from db.organisations import create_organisation, ensure_operator_organisation, update_organisation
from db.tenancy import acting_for
from sovereign_ari.domain.records import CallStatus, EndReason
from sovereign_ari.work.deliveries import MOST_TRIES, back_off_s
from tests.support.api import running_api
from tests.support.rows import a_call_id, answered, closed, later
from tests.support.webhook_receiver import (
    SECRET,
    WebhookReceiver,
    huge,
    is_signed,
    sever,
    stall,
    status,
    webhook_receiver,
)
from tests.support.webhook_world import (
    NUMBER,
    an_assistant_that_tells,
    attempts,
    delivering,
    rings,
    states,
    until_settled,
    write,
)

UPDATE = "status-update"


@pytest.fixture
async def receiver() -> AsyncIterator[WebhookReceiver]:
    async with webhook_receiver() as receiver:
        yield receiver


@pytest.fixture
async def assistant(connection: asyncpg.Connection, receiver: WebhookReceiver) -> str:
    return await an_assistant_that_tells(
        connection, receiver.url, webhook_events=[UPDATE], metadata={"crm_id": "12345"}
    )


async def test_a_call_tells_that_it_began_and_ended(
    pool: asyncpg.Pool,
    connection: asyncpg.Connection,
    receiver: WebhookReceiver,
    assistant: str,
) -> None:
    async with delivering(pool):
        await write(pool, await rings(connection), answered(), closed())
        began, ended = await receiver.until(2)
        await until_settled(pool)
    assert [began.status, ended.status] == ["in-progress", "ended"]
    message = began.message
    shown = message.pop("assistant")
    number_id = await pool.fetchval("SELECT id::text FROM phone_numbers")
    assert message == {
        "type": UPDATE,
        "timestamp": message["timestamp"],
        "call": {
            "id": a_call_id(),
            "type": "inbound_phone_call",
            "status": "in-progress",
            "pipeline": "standard",
        },
        "phone_number": {"id": number_id, "number": NUMBER, "name": "Front desk"},
        "customer": {"number": "+31612345678"},
    }
    assert shown["metadata"] == {"crm_id": "12345"}
    assert (shown["id"], shown["llm_config"]["provider"]) == (assistant, "parrot")
    assert SECRET not in began.raw.decode()
    assert ended.message["end_reason"] == "user_hangup"
    assert "error" not in ended.message
    for request in (began, ended):
        assert is_signed(request, SECRET)
        assert not is_signed(request, "another secret")
        assert request.headers["User-Agent"] == "HMS-Sovereign/1.0"
        assert request.headers["X-Webhook-Event"] == UPDATE
        assert request.headers["Content-Type"] == "application/json"
    assert began.id != ended.id


@pytest.mark.parametrize(
    ("final", "reason", "error"),
    [
        (CallStatus.ENDED_WITH_ERROR, EndReason.PROVIDER_ERROR, "STT connection failed"),
        (CallStatus.FAILED, EndReason.ERROR, "Asterisk is gone"),
        (CallStatus.TRANSFERRED, EndReason.TRANSFERRED, None),
        (CallStatus.REJECTED, EndReason.REJECTED, None),
    ],
)
async def test_an_end_says_how_and_why(
    pool: asyncpg.Pool,
    connection: asyncpg.Connection,
    receiver: WebhookReceiver,
    assistant: str,
    final: CallStatus,
    reason: EndReason,
    error: str | None,
) -> None:
    end = closed(status=final, end_reason=reason, error=error)
    async with delivering(pool):
        await write(pool, await rings(connection), end)
        (told,) = await receiver.until(1)
        await until_settled(pool)
    assert (told.status, told.message["end_reason"]) == (final.value, reason.value)
    assert told.message.get("error") == error


async def test_a_journal_written_twice_tells_once(
    pool: asyncpg.Pool,
    connection: asyncpg.Connection,
    receiver: WebhookReceiver,
    assistant: str,
) -> None:
    entries = [await rings(connection), answered(), closed()]
    await write(pool, *entries)
    await write(pool, *entries)
    await write(pool, *entries[1:])
    assert await states(pool) == [(UPDATE, "pending"), (UPDATE, "pending")]
    async with delivering(pool):
        await until_settled(pool)
    assert [one.status for one in receiver.received] == ["in-progress", "ended"]


async def test_a_batch_that_fails_tells_nothing(
    pool: asyncpg.Pool, connection: asyncpg.Connection, assistant: str
) -> None:
    first = await rings(connection)
    bad = await rings(connection, a_call_id(2))
    await connection.execute("ALTER TABLE calls ADD CONSTRAINT no CHECK (cause IS NULL)")
    try:
        with pytest.raises(asyncpg.CheckViolationError):
            await write(pool, first, answered(), bad, closed())
        assert await states(pool) == []
    finally:
        await connection.execute("ALTER TABLE calls DROP CONSTRAINT no")


async def test_a_call_whose_controller_died_tells_that_it_ended(
    pool: asyncpg.Pool,
    connection: asyncpg.Connection,
    receiver: WebhookReceiver,
    assistant: str,
) -> None:
    await write(pool, await rings(connection), answered())
    assert await close_lost(connection, "sovereign-1", [a_call_id()]) == [a_call_id()]
    async with delivering(pool):
        await until_settled(pool)
    assert [one.status for one in receiver.received] == ["in-progress", "ended-with-error"]
    assert receiver.received[1].message["error"] == "the controller of this call restarted"


async def test_what_a_call_tells_does_not_follow_its_assistant(
    pool: asyncpg.Pool,
    connection: asyncpg.Connection,
    receiver: WebhookReceiver,
    assistant: str,
) -> None:
    await write(pool, await rings(connection))
    owner = await ensure_operator_organisation(connection)
    changes = {"webhook_url": "http://127.0.0.1:1/", "webhook_secret": "x", "metadata": None}
    await ASSISTANTS.update(connection, owner, assistant, changes)
    await write(pool, answered(), closed())
    async with delivering(pool):
        await until_settled(pool)
    assert [one.message["assistant"]["metadata"]["crm_id"] for one in receiver.received] == [
        "12345"
    ] * 2
    assert all(is_signed(one, SECRET) for one in receiver.received)


@pytest.mark.parametrize(
    ("own", "account", "secret", "told"),
    [
        ({"webhook_secret": "own"}, {"webhook_secret": "account"}, "own", 2),
        ({"webhook_secret": None}, {"webhook_secret": "account"}, "account", 2),
        ({"webhook_secret": None}, {}, None, 2),
        ({"webhook_events": None}, {"webhook_events": []}, SECRET, 2),
        ({"webhook_events": []}, {}, None, 0),
        ({"webhook_events": ["tool-calls"]}, {}, None, 0),
        ({"webhook_url": None, "webhook_secret": None}, {"url": True}, None, 2),
        (
            {"webhook_url": None, "webhook_secret": None},
            {"url": True, "webhook_secret": "account", "webhook_events": [UPDATE]},
            "account",
            2,
        ),
        ({"webhook_url": None}, {"url": True, "webhook_events": ["end-of-call-report"]}, None, 0),
        ({"webhook_url": None}, {}, None, 0),
    ],
)
async def test_events_go_to_the_assistants_server_or_else_to_the_accounts(
    pool: asyncpg.Pool,
    connection: asyncpg.Connection,
    receiver: WebhookReceiver,
    own: dict[str, Any],
    account: dict[str, Any],
    secret: str | None,
    told: int,
) -> None:
    url = own.pop("webhook_url", receiver.url)
    await an_assistant_that_tells(connection, url, **own)
    owner = await ensure_operator_organisation(connection)
    columns = {**account, "webhook_url": receiver.url if account.get("url") else None}
    columns.pop("url", None)
    await update_organisation(connection, owner, columns)
    await write(pool, await rings(connection), answered(), closed())
    async with delivering(pool):
        await until_settled(pool)
    assert len(receiver.of(UPDATE)) == told
    for request in receiver.of(UPDATE):
        if secret is None:
            assert "X-Webhook-Signature" not in request.headers
        else:
            assert is_signed(request, secret)


async def test_failures_are_tried_again_under_one_id_until_it_works(
    pool: asyncpg.Pool,
    connection: asyncpg.Connection,
    receiver: WebhookReceiver,
    assistant: str,
) -> None:
    receiver.behaviours.extend(
        [status(500), status(302, Location=receiver.url), sever(), status(404), huge(500),
         status(429), huge(202)]
    )  # fmt: skip
    async with delivering(pool):
        await write(pool, await rings(connection), answered())
        await until_settled(pool)
    logged = await attempts(pool)
    assert [(number, n, code) for number, n, code, _ in logged] == [
        (1, 1, 500), (1, 2, 302), (1, 3, None), (1, 4, 404), (1, 5, 500), (1, 6, 429), (1, 7, 202),
    ]  # fmt: skip
    errors = [error for *_, error in logged]
    assert errors[0] == "answered 500"
    assert errors[1] == "answered 302; redirects are not followed"
    assert "broke off" in errors[2]
    assert errors[-1] is None
    assert len({one.id for one in receiver.received}) == 1
    assert len({one.raw for one in receiver.received}) == 1, "the bodies of attempts differ"
    assert len(receiver.received) == 7, "a redirect was followed"
    assert all(is_signed(one, SECRET) for one in receiver.received)


async def test_a_signature_is_of_its_attempts_own_time(
    pool: asyncpg.Pool,
    connection: asyncpg.Connection,
    receiver: WebhookReceiver,
    assistant: str,
) -> None:
    receiver.behaviours.append(status(500))
    async with delivering(pool, back_off_s=1.1):
        await write(pool, await rings(connection), answered())
        first, second = await receiver.until(2)
        await until_settled(pool)
    stamps = [int(one.headers["X-Webhook-Timestamp"]) for one in (first, second)]
    assert stamps[0] < stamps[1] <= time.time()
    assert is_signed(first, SECRET)
    assert is_signed(second, SECRET)


async def test_patience_ends_after_eight_attempts_and_the_next_event_follows(
    pool: asyncpg.Pool,
    connection: asyncpg.Connection,
    receiver: WebhookReceiver,
    assistant: str,
) -> None:
    receiver.behaviours.extend([status(503)] * 8)
    async with delivering(pool):
        await write(pool, await rings(connection), answered(), closed())
        await until_settled(pool)
    assert await states(pool) == [(UPDATE, "given_up"), (UPDATE, "delivered")]
    assert [(number, n) for number, n, *_ in await attempts(pool)] == [
        *[(1, n) for n in range(1, 9)],
        (2, 1),
    ]
    assert [one.status for one in receiver.received] == ["in-progress"] * 8 + ["ended"]


async def test_a_receiver_that_is_down_gets_it_when_it_is_back(
    pool: asyncpg.Pool, connection: asyncpg.Connection
) -> None:
    async with webhook_receiver() as away:
        url = away.url
    await an_assistant_that_tells(connection, url, webhook_events=[UPDATE])
    async with delivering(pool, back_off_s=0.2):
        await write(pool, await rings(connection), answered())
        async with asyncio.timeout(10):
            while not await attempts(pool):  # noqa: ASYNC110 - it is in a database
                await asyncio.sleep(0.01)
        async with webhook_receiver(int(url.split(":")[2].split("/")[0])) as back:
            await back.until(1)
            await until_settled(pool)
    logged = await attempts(pool)
    assert "cannot be reached" in logged[0][3]
    assert logged[-1][2:] == (200, None)


async def test_private_addresses_are_not_reached_unless_the_operator_allows_them(
    pool: asyncpg.Pool,
    connection: asyncpg.Connection,
    receiver: WebhookReceiver,
    assistant: str,
) -> None:
    async with delivering(pool, allow=()):
        await write(pool, await rings(connection), answered())
        await until_settled(pool)
    assert receiver.received == []
    logged = await attempts(pool)
    assert len(logged) == MOST_TRIES
    assert "not a public address" in logged[0][3] or "private" in logged[0][3], logged[0]


async def test_events_of_a_call_keep_their_order_while_others_overtake(
    pool: asyncpg.Pool,
    connection: asyncpg.Connection,
    receiver: WebhookReceiver,
    assistant: str,
) -> None:
    calls = [a_call_id(n) for n in range(1, 13)]
    for index, call in enumerate(calls):
        receiver.by_call[call].extend([status(500)] * (index % 4))
    async with delivering(pool, workers=2, back_off_s=0.02):
        for call in calls:
            await write(pool, await rings(connection, call), answered(call), closed(call))
        await until_settled(pool)
    for index, call in enumerate(calls):
        told = [one.status for one in receiver.received if one.call_id == call]
        assert told == ["in-progress"] * (index % 4 + 1) + ["ended"]


async def test_two_workers_share_the_work_and_do_nothing_twice(
    pool: asyncpg.Pool,
    connection: asyncpg.Connection,
    receiver: WebhookReceiver,
    assistant: str,
) -> None:
    calls = [a_call_id(n) for n in range(1, 61)]
    for call in calls:
        await write(pool, await rings(connection, call), answered(call), closed(call))
    async with delivering(pool, workers=2):
        await until_settled(pool)
    told = [(one.call_id, one.status) for one in receiver.received]
    assert sorted(told) == sorted((c, s) for c in calls for s in ("ended", "in-progress"))


async def test_a_slow_server_of_one_tenant_holds_up_no_other(
    pool: asyncpg.Pool,
    connection: asyncpg.Connection,
    receiver: WebhookReceiver,
    assistant: str,
) -> None:
    release = asyncio.Event()
    slow = await create_organisation(connection, "Slow")
    async with webhook_receiver() as stalling:
        stalling.always = stall(release)
        await an_assistant_that_tells(
            connection, stalling.url, "+31207654321", organisation_id=slow
        )
        for n in range(20, 40):
            call = a_call_id(n)
            await write(pool, await rings(connection, call, "+31207654321"), answered(call))
        async with delivering(pool):
            await stalling.wait_for(lambda: stalling.open >= 4)
            begun_s = time.monotonic()
            await write(pool, await rings(connection), answered())
            await receiver.until(1, within_s=5)
            assert time.monotonic() - begun_s < 2
            assert stalling.open == 4, "one tenant takes more places than it may"
            release.set()
            await until_settled(pool)


async def test_an_event_is_delivered_well_within_a_second(
    pool: asyncpg.Pool,
    connection: asyncpg.Connection,
    receiver: WebhookReceiver,
    assistant: str,
) -> None:
    waits_s = []
    async with delivering(pool):
        for n in range(1, 21):
            call = a_call_id(n)
            await write(pool, await rings(connection, call))
            begun_s = time.monotonic()
            await write(pool, answered(call))
            requests = await receiver.until(n)
            waits_s.append(requests[-1].at_s - begun_s)
        await until_settled(pool)
    assert statistics.median(waits_s) < 0.5, sorted(waits_s)


async def test_a_stop_lets_what_is_under_way_end(
    pool: asyncpg.Pool,
    connection: asyncpg.Connection,
    receiver: WebhookReceiver,
    assistant: str,
) -> None:
    release = asyncio.Event()
    receiver.behaviours.append(stall(release))
    async with delivering(pool):
        await write(pool, await rings(connection), answered(), closed())
        await receiver.until(1)
        asyncio.get_running_loop().call_later(0.2, release.set)
    assert await states(pool) == [(UPDATE, "delivered"), (UPDATE, "pending")]
    assert [code for _, _, code, _ in await attempts(pool)] == [200]


async def test_what_a_dead_worker_had_taken_is_taken_over_and_logged(
    pool: asyncpg.Pool,
    connection: asyncpg.Connection,
    receiver: WebhookReceiver,
    assistant: str,
) -> None:
    await write(pool, await rings(connection), answered())
    await connection.execute(
        "UPDATE webhook_deliveries SET attempts = 1, tries = 1, taken_at = now() - interval '9 s',"
        " due_at = now() + interval '300 ms'"
    )
    async with delivering(pool):
        await until_settled(pool)
    first, second = await attempts(pool)
    assert first == (1, 1, None, "the worker was gone before an answer came")
    assert second == (1, 2, 200, None)


async def test_a_worker_that_is_overtaken_changes_nothing_any_more(
    pool: asyncpg.Pool,
    connection: asyncpg.Connection,
    receiver: WebhookReceiver,
    assistant: str,
) -> None:
    release = asyncio.Event()
    receiver.behaviours.append(stall(release))
    async with delivering(pool, options={"taken_for_s": 0.3}, workers=2):
        await write(pool, await rings(connection), answered())
        await receiver.until(2)
        await until_settled(pool)
        receiver.behaviours.clear()
        await connection.execute("UPDATE webhook_deliveries SET state = 'given_up'")
        release.set()
        await receiver.wait_for(lambda: True)
    assert await states(pool) == [(UPDATE, "given_up")]
    assert [(n, code) for _, n, code, _ in await attempts(pool)] == [(1, None), (2, 200)]


async def test_a_lost_connection_delays_but_loses_nothing(
    pool: asyncpg.Pool,
    connection: asyncpg.Connection,
    receiver: WebhookReceiver,
    assistant: str,
) -> None:
    async with delivering(pool):
        await write(pool, await rings(connection), answered())
        await receiver.until(1)
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE query ILIKE 'LISTEN%' OR query ILIKE '%webhook_deliveries AS d%'"
            " AND pid <> pg_backend_pid()"
        )
        await write(pool, closed())
        await receiver.until(2)
        await until_settled(pool)
    assert receiver.received[-1].status == "ended"


@given(st.integers(1, MOST_TRIES))
def test_waiting_grows_and_stays_bounded(tries: int) -> None:
    assert all(0 <= back_off_s(tries) <= min(2 ** (tries - 1), 60) for _ in range(50))


def test_waiting_is_spread_over_its_whole_range() -> None:
    waits = [back_off_s(4) for _ in range(500)]
    assert min(waits) < 1
    assert max(waits) > 7


async def test_the_times_of_a_message_are_those_of_its_event(
    pool: asyncpg.Pool,
    connection: asyncpg.Connection,
    receiver: WebhookReceiver,
    assistant: str,
) -> None:
    await write(pool, await rings(connection), answered())
    created = await pool.fetchval("SELECT created_at FROM webhook_deliveries")
    receiver.behaviours.append(status(500))
    async with delivering(pool):
        await until_settled(pool)
    stamps = {one.message["timestamp"] for one in receiver.received}
    assert stamps == {f"{created:%Y-%m-%dT%H:%M:%S}.{created.microsecond // 1000:03}Z"}
    assert later(0) < created


async def test_a_client_has_a_webhook_sent_again_under_its_id(
    pool: asyncpg.Pool, receiver: WebhookReceiver
) -> None:
    async with running_api(pool) as api, delivering(pool):
        async with pool.acquire() as connection:
            await an_assistant_that_tells(connection, receiver.url, webhook_events=[UPDATE])
            await write(pool, await rings(connection), answered())
        receiver.behaviours.extend([status(500)] * 8)
        await until_settled(pool)
        path = f"/api/v1/calls/{a_call_id()}/webhooks"
        assert (await api.ask("POST", f"{path}/1/retry"))[0] == 202
        await until_settled(pool)
        (shown,) = (await api.ask("GET", path))[1]["webhooks"]
    assert shown["state"] == "delivered"
    assert [one["status_code"] for one in shown["attempts"]] == [500] * 8 + [200]
    assert {one.id for one in receiver.received} == {shown["id"]}


async def test_how_a_call_was_set_up_is_hidden_from_its_tenant(
    pool: asyncpg.Pool, connection: asyncpg.Connection, assistant: str
) -> None:
    await write(pool, await rings(connection))
    owner = await ensure_operator_organisation(connection)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with acting_for(pool, owner) as tenant:
            await tenant.fetch("SELECT webhook_secret FROM call_reports")
