"""Calls that end, and workers with scripted models that report on them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from db.organisations import ensure_operator_organisation
from db.pool import create_pool
from db.turns import list_notes
from sovereign_ari.errors import ProviderError
from sovereign_ari.work.queue import Queue
from sovereign_ari.work.reports import Reports
from tests.support.api import CATALOGUE, VAULT
from tests.support.postgres import USER
from tests.support.rows import a_call_id, answered, closed, turn
from tests.support.webhook_receiver import WebhookReceiver
from tests.support.webhook_world import (
    an_assistant_that_tells,
    delivering,
    rings,
    until_settled,
    write,
)

REPORT = "end-of-call-report"
SCHEMA = {
    "type": "object",
    "properties": {"satisfied": {"type": "boolean"}},
    "required": ["satisfied"],
    "additionalProperties": False,
}
PLAN: dict[str, Any] = {"structured_data_plan": {"enabled": True, "schema": SCHEMA}}
SAID = (
    turn(0, None, "Good day."),
    turn(1, "When are you open?", "From nine. Until five.", heard_text="From nine."),
)
MESSAGES = [
    {"role": "assistant", "content": "Good day."},
    {"role": "user", "content": "When are you open?"},
    {"role": "assistant", "content": "From nine."},
]
TRANSCRIPT = "Assistant: Good day.\nCaller: When are you open?\nAssistant: From nine."

Answer = str | ProviderError | Callable[[], Any]


@dataclass(frozen=True)
class Said:
    text: str
    model: str = "scripted/model"
    input_tokens: int = 20
    output_tokens: int = 7


@dataclass
class Scripted:
    """A model that gives these answers in turn, and writes down what it was asked."""

    answers: list[Answer] = field(default_factory=list)
    asked: list[tuple[dict[str, Any], list[dict[str, str]], dict[str, Any]]] = field(
        default_factory=list
    )

    async def answer(
        self,
        llm: Mapping[str, Any],
        messages: Sequence[Mapping[str, str]],
        keys: Mapping[str, str | None],
    ) -> Said:
        self.asked.append((dict(llm), [dict(m) for m in messages], dict(keys)))
        answer = self.answers.pop(0) if self.answers else "A summary."
        if isinstance(answer, ProviderError):
            raise answer
        return Said(answer if isinstance(answer, str) else await answer())


@asynccontextmanager
async def reporting(pool: asyncpg.Pool, models: Any, **options: Any) -> AsyncIterator[None]:
    """Run a worker's queues until the block ends."""
    stop = asyncio.Event()
    jobs = Reports(pool, models, CATALOGUE, VAULT, **{"back_off": lambda _tries: 0.01, **options})
    queue = Queue(pool, jobs, most=8, most_of_one=8, drains_within_s=5)
    async with delivering(pool), asyncio.TaskGroup() as group:
        group.create_task(queue.run(stop))
        try:
            yield
        finally:
            stop.set()


async def until_reported(pool: asyncpg.Pool, within_s: float = 20) -> None:
    async with asyncio.timeout(within_s):
        while await pool.fetchval(  # noqa: ASYNC110 - it is in a database
            "SELECT EXISTS (SELECT FROM call_reports WHERE state <> 'done')"
        ):
            await asyncio.sleep(0.01)
    await until_settled(pool, within_s)


async def a_call(
    pool: asyncpg.Pool, receiver: WebhookReceiver, *said: Any, **assistant: Any
) -> None:
    """A whole call to an assistant that reports."""
    async with pool.acquire() as connection:
        await an_assistant_that_tells(
            connection, receiver.url, **{"webhook_events": [REPORT], **assistant}
        )
        entry = await rings(connection)
    await write(pool, entry, answered(), *(said or SAID), closed())


async def notes(pool: asyncpg.Pool) -> list[tuple[str, dict[str, Any]]]:
    async with pool.acquire() as connection:
        owner = await ensure_operator_organisation(connection)
        rows = await list_notes(connection, owner, a_call_id())
    return [(row.kind, row.detail) for row in rows]


@asynccontextmanager
async def another_pool(connection: asyncpg.Connection) -> AsyncIterator[asyncpg.Pool]:
    """Another worker has connections of its own."""
    folder = await connection.fetchval("SHOW unix_socket_directories")
    name = await connection.fetchval("SELECT current_database()")
    dsn = f"postgresql://{USER}@/{name}?host={folder}"
    other = await create_pool(dsn, application_name="another", max_size=6)
    try:
        yield other
    finally:
        await other.close()
