"""Calls whose events go to a receiver of ours, and workers that deliver them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from ipaddress import ip_network
from typing import Any

import asyncpg

from db.journal import write_entries
from db.numbers import create_number
from db.organisations import ensure_operator_organisation
from db.routing import find_route
from sovereign_ari.domain.ids import CallId
from sovereign_ari.domain.records import CallOpened
from sovereign_ari.outgoing.http import OutgoingHttp
from sovereign_ari.outgoing.policy import OutgoingPolicy
from sovereign_ari.work.deliveries import Deliveries
from sovereign_ari.work.queue import Queue
from tests.support.api import DEFAULTS
from tests.support.rows import a_call_id, an_assistant, opened
from tests.support.webhook_receiver import SECRET

NUMBER = "+31201234567"


async def an_assistant_that_tells(
    connection: asyncpg.Connection, url: str, number: str = NUMBER, **assistant: Any
) -> str:
    """An assistant with a webhook, and a number of its own; gives the assistant's id."""
    owner = assistant.pop("organisation_id", None) or await ensure_operator_organisation(
        connection
    )
    made = await an_assistant(
        connection, owner, **{"webhook_url": url, "webhook_secret": SECRET, **assistant}
    )
    await create_number(
        connection, owner, {"phone_number": number, "assistant_id": made.id, "name": "Front desk"}
    )
    return made.id


async def rings(
    connection: asyncpg.Connection, call: CallId | None = None, number: str = NUMBER
) -> CallOpened:
    """The first entry of the journal of a call to a number, as a controller writes it."""
    route = await find_route(connection, number, DEFAULTS)
    assert route.assistant is not None
    return opened(
        route.organisation_id,
        call or a_call_id(),
        dialled=number,
        number_id=route.number_id,
        number_name=route.number_name,
        assistant_id=route.assistant.id,
        assistant_name=route.assistant.name,
        webhook=route.assistant.webhook,
        shown=route.assistant.shown,
    )


async def write(pool: asyncpg.Pool, *entries: Any) -> None:
    async with pool.acquire() as connection:
        await write_entries(connection, entries)


@asynccontextmanager
async def outgoing(*allow: str) -> AsyncIterator[OutgoingHttp]:
    http = OutgoingHttp(OutgoingPolicy([ip_network(net) for net in allow]))
    try:
        yield http
    finally:
        await http.close()


@asynccontextmanager
async def delivering(
    pool: asyncpg.Pool,
    *,
    allow: tuple[str, ...] = ("127.0.0.0/8",),
    workers: int = 1,
    back_off_s: float = 0.01,
    options: Mapping[str, Any] | None = None,
) -> AsyncIterator[list[Queue[Any]]]:
    """Run the queues of some workers until the block ends."""
    stop = asyncio.Event()
    async with outgoing(*allow) as http, asyncio.TaskGroup() as group:
        queues: list[Queue[Any]] = [
            Queue(
                pool,
                Deliveries(pool, http, back_off=lambda _tries: back_off_s, **(options or {})),
                most=8,
                most_of_one=4,
                drains_within_s=5,
            )
            for _ in range(workers)
        ]
        for queue in queues:
            group.create_task(queue.run(stop))
        try:
            yield queues
        finally:
            stop.set()


async def until_settled(pool: asyncpg.Pool, within_s: float = 20) -> None:
    """Wait until nothing is queued."""
    async with asyncio.timeout(within_s):
        while await pool.fetchval(  # noqa: ASYNC110 - the condition is in a database
            "SELECT EXISTS (SELECT FROM webhook_deliveries WHERE state = 'pending')"
        ):
            await asyncio.sleep(0.01)


async def attempts(pool: asyncpg.Pool, call: str | None = None) -> list[tuple[int, int, Any, Any]]:
    """`(number, attempt, status_code, error)` of each attempt about a call."""
    rows = await pool.fetch(
        "SELECT number, attempt, status_code, error FROM webhook_attempts WHERE call_id = $1"
        " ORDER BY number, attempt",
        call or a_call_id(),
    )
    return [tuple(row) for row in rows]


async def states(pool: asyncpg.Pool, call: str | None = None) -> list[tuple[str, str]]:
    """`(event, state)` of each delivery about a call."""
    rows = await pool.fetch(
        "SELECT event, state FROM webhook_deliveries WHERE call_id = $1 ORDER BY number",
        call or a_call_id(),
    )
    return [tuple(row) for row in rows]
