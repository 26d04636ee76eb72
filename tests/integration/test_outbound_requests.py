"""Calls that were asked for: one controller takes each, and what nobody takes is closed."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from db.adoption import adopt
from db.journal import write_entries
from db.organisations import ensure_operator_organisation
from db.outbound import OutboundNumber, OutboundRequest, request_call
from db.outbound_requests import NOT_TAKEN, cancel_untaken, close_untaken, open_requests
from sovereign_ari.domain.adoption import FoundCall
from sovereign_ari.domain.ids import call_id
from sovereign_ari.domain.kept import keep
from sovereign_ari.domain.outbound import CODEC, PlacedCall
from sovereign_ari.media.pcm import BY_CODEC
from tests.support.rows import answered, opened

THEM, OURS = "+31612345678", "+31201234567"
DEFAULTS: dict[str, dict[str, Any]] = {"llm": {}, "stt": {}, "tts": {}}


class Tenant:
    """An organisation that calls."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self.pool = pool
        self.asked = 0

    async def prepare(self) -> None:
        async with self.pool.acquire() as connection:
            self.id = str(await ensure_operator_organisation(connection))
        self.trunk = await self.pool.fetchval(
            "INSERT INTO sip_trunks (organisation_id, name, addresses, outbound_number)"
            " VALUES ($1, 'Carrier', '{a.example.com,b.example.com}', '+31209999999')"
            " RETURNING id::text",
            self.id,
        )
        self.assistant = await self.pool.fetchval(
            "INSERT INTO assistants (organisation_id, name, first_message, llm_config)"
            " VALUES ($1, 'Ann', 'Hi.', $2) RETURNING id::text",
            self.id,
            {"messages": [{"role": "system", "content": "You are Ann."}]},
        )
        self.number = await self.pool.fetchval(
            "INSERT INTO phone_numbers (organisation_id, phone_number, transfer_trunk_id, name)"
            " VALUES ($1, $2, $3, 'Office') RETURNING id::text",
            self.id,
            OURS,
            self.trunk,
        )

    async def ask(self, **more: Any) -> str:
        self.asked += 1
        new = call_id("outbound", 0, self.asked)
        number = OutboundNumber(self.number, OURS, self.trunk)
        wanted = {"assistant_id": self.assistant, "assistant_name": "Ann", **more}
        async with self.pool.acquire() as connection:
            await request_call(
                connection,
                self.id,
                OutboundRequest(new, datetime.now(UTC), THEM, number, **wanted),
            )
        return new


@pytest.fixture
async def tenant(pool: asyncpg.Pool) -> Tenant:
    tenant = Tenant(pool)
    await tenant.prepare()
    return tenant


async def take_one(pool: asyncpg.Pool, controller: str = "a") -> PlacedCall:
    async with open_requests(pool, controller, DEFAULTS) as box, asyncio.timeout(5):
        [placed] = await box.take(lambda: 100)
    return placed


async def test_a_taken_call_has_everything_that_placing_it_needs(tenant: Tenant) -> None:
    call = await tenant.ask(context="Order 42.", ring_s=12, withheld=True)
    placed = await take_one(tenant.pool)
    assert placed.call_id == call
    assert (placed.destination, placed.number, placed.shown) == (THEM, OURS, "+31209999999")
    assert (placed.withheld, placed.ring_s) == (True, 12.0)
    assert (placed.trunk_id, placed.addresses) == (
        tenant.trunk,
        ("a.example.com", "b.example.com"),
    )
    assistant = placed.route.assistant
    assert assistant is not None
    assert assistant.greeting(outbound=True) == "Hi."
    told = [message["content"] for message in assistant.llm["messages"]]
    assert told == ["You are Ann.", "Order 42."]
    assert "Order 42." not in str(assistant.shown)
    assert placed.route.number_name == "Office"
    row = await tenant.pool.fetchrow("SELECT * FROM calls WHERE id = $1", call)
    assert (row["controller"], row["status"], row["ended_at"]) == ("a", "connecting", None)
    assert await tenant.pool.fetchval("SELECT count(*) FROM outbound_requests") == 0


async def test_an_answered_call_is_adopted_with_the_codec_that_it_has(tenant: Tenant) -> None:
    await tenant.ask()
    placed = await take_one(tenant.pool)
    assert placed.route.assistant is not None
    kept = keep(placed.route.assistant)
    async with tenant.pool.acquire() as connection:
        await write_entries(
            connection,
            [
                opened(tenant.id, placed.call_id, direction="outbound", kept=kept, shown={"a": 1}),
                answered(placed.call_id),
            ],
        )
        found = await adopt(connection, placed.call_id, "b")
    assert isinstance(found, FoundCall)
    assert (found.codec, found.ours, found.theirs) == (CODEC, OURS, THEM)
    assert CODEC in BY_CODEC


@pytest.mark.parametrize(
    ("asked", "greeting"),
    [
        ({"first_message": "Good day."}, "Good day."),
        ({"config": {"first_message": "For you."}}, "For you."),
        ({"config": {"first_message": "x"}, "first_message": "Good day."}, "Good day."),
        ({"config": {"metadata": {"a": 1}}}, "Hello from us."),
        (
            {"config": {"first_message": "x", "speech_config": {"first_message_outbound": "y"}}},
            "y",
        ),
        ({}, "Hello from us."),
    ],
)
async def test_the_greeting_of_the_call_comes_first(
    tenant: Tenant, asked: dict[str, Any], greeting: str
) -> None:
    await tenant.pool.execute(
        "UPDATE assistants SET speech_config = $1", {"first_message_outbound": "Hello from us."}
    )
    await tenant.ask(**asked)
    assistant = (await take_one(tenant.pool)).route.assistant
    assert assistant is not None
    assert assistant.greeting(outbound=True) == greeting


async def test_a_call_may_bring_its_own_assistant(tenant: Tenant) -> None:
    config = {"llm_config": {"provider": "parrot"}, "first_message": "It is me."}
    await tenant.ask(assistant_id=None, assistant_name=None, config=config)
    assistant = (await take_one(tenant.pool)).route.assistant
    assert assistant is not None
    assert (assistant.id, assistant.llm["provider"]) == ("", "parrot")


async def test_an_assistant_that_was_deleted_meanwhile_calls_nobody(tenant: Tenant) -> None:
    await tenant.ask()
    await tenant.pool.execute("DELETE FROM assistants")
    placed = await take_one(tenant.pool)
    assert placed.refusal == "the assistant of the call was deleted"


async def test_exactly_one_controller_takes_each_call(tenant: Tenant) -> None:
    taken: list[tuple[str, str]] = []

    async def serve(controller: str, box: Any) -> None:
        while True:
            taken.extend((controller, placed.call_id) for placed in await box.take(lambda: 3))

    async with AsyncExitStack() as stack:
        names = [f"controller-{number}" for number in range(4)]
        boxes = [
            await stack.enter_async_context(open_requests(tenant.pool, name, DEFAULTS))
            for name in names
        ]
        serving = [asyncio.create_task(serve(*pair)) for pair in zip(names, boxes, strict=True)]
        asked = [await tenant.ask() for _ in range(60)]
        async with asyncio.timeout(10):
            while len(taken) < len(asked):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        for task in serving:
            task.cancel()
        await asyncio.wait(serving)
    assert sorted(call for _, call in taken) == sorted(asked)
    rows = await tenant.pool.fetch("SELECT controller, id FROM calls")
    assert sorted((row["controller"], row["id"]) for row in rows) == sorted(taken)


async def test_a_call_that_waits_for_room_is_taken_when_there_is_some(tenant: Tenant) -> None:
    room = 0
    async with open_requests(tenant.pool, "full", DEFAULTS) as box:
        taking = asyncio.create_task(box.take(lambda: room))
        await tenant.ask()
        await asyncio.wait((taking,), timeout=0.2)
        assert not taking.done()
        room = 1
        async with asyncio.timeout(5):
            assert len(await taking) == 1


async def wait_in_vain(tenant: Tenant, call: str, seconds: int) -> None:
    await tenant.pool.execute(
        "UPDATE outbound_requests SET created_at = now() - make_interval(secs => $2)"
        " WHERE call_id = $1",
        call,
        seconds,
    )


async def test_what_nobody_took_in_time_is_taken_to_be_refused_even_without_room(
    tenant: Tenant,
) -> None:
    call = await tenant.ask()
    await wait_in_vain(tenant, call, 6)
    async with open_requests(tenant.pool, "full", DEFAULTS) as box, asyncio.timeout(5):
        [placed] = await box.take(lambda: 0)
    assert (placed.call_id, placed.refusal) == (call, NOT_TAKEN)
    assert placed.route.assistant is not None, "its webhooks are told"


async def test_what_no_controller_lives_to_refuse_is_closed_and_says_so(tenant: Tenant) -> None:
    fresh, stale = await tenant.ask(), await tenant.ask()
    await wait_in_vain(tenant, stale, 9)
    async with tenant.pool.acquire() as connection:
        assert await close_untaken(connection) == [stale]
        assert await close_untaken(connection) == []
    row = await tenant.pool.fetchrow("SELECT * FROM calls WHERE id = $1", stale)
    assert (row["status"], row["end_reason"]) == ("failed", "unreachable")
    assert (row["error"], row["ended_at"] is None) == (NOT_TAKEN, False)
    assert (await take_one(tenant.pool)).call_id == fresh


async def test_what_was_cancelled_is_closed_as_such_though_no_controller_lives(
    tenant: Tenant,
) -> None:
    call = await tenant.ask()
    await wait_in_vain(tenant, call, 9)
    async with tenant.pool.acquire() as connection:
        assert await cancel_untaken(connection, tenant.id, call)
        assert await close_untaken(connection) == [call]
    row = await tenant.pool.fetchrow("SELECT * FROM calls WHERE id = $1", call)
    assert (row["status"], row["end_reason"], row["error"]) == ("ended", "assistant_hangup", None)
