"""The common body of events, for every kind of call."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import asyncpg
import pytest

from sovereign_ari.domain.ids import Direction
from tests.support.rows import answered, closed
from tests.support.webhook_receiver import WebhookReceiver, webhook_receiver
from tests.support.webhook_world import (
    NUMBER,
    an_assistant_that_tells,
    delivering,
    rings,
    until_settled,
    write,
)

PERSON = "+31612345678"


@pytest.fixture
async def receiver() -> AsyncIterator[WebhookReceiver]:
    async with webhook_receiver() as receiver:
        yield receiver


@pytest.mark.parametrize(
    ("direction", "kind", "ours", "theirs"),
    [
        ("inbound", "inbound_phone_call", NUMBER, PERSON),
        ("outbound", "outbound_phone_call", NUMBER, PERSON),
        ("web", "web_call", None, None),
    ],
)
async def test_each_kind_of_call_names_the_number_and_the_person_it_has(
    pool: asyncpg.Pool,
    connection: asyncpg.Connection,
    receiver: WebhookReceiver,
    direction: Direction,
    kind: str,
    ours: str | None,
    theirs: str | None,
) -> None:
    await an_assistant_that_tells(connection, receiver.url, webhook_events=["status-update"])
    call = replace(await rings(connection), direction=direction)
    if direction == "outbound":
        call = replace(call, caller=NUMBER, dialled=PERSON)
    async with delivering(pool):
        await write(pool, call, answered(), closed())
        await until_settled(pool)
    for told in receiver.received:
        assert told.message["call"]["type"] == kind
        assert told.message["phone_number"]["number"] == ours
        assert told.message["customer"] == {"number": theirs}


async def test_a_caller_who_withholds_his_number_has_none(
    pool: asyncpg.Pool, connection: asyncpg.Connection, receiver: WebhookReceiver
) -> None:
    await an_assistant_that_tells(connection, receiver.url, webhook_events=["status-update"])
    async with delivering(pool):
        await write(pool, replace(await rings(connection), caller=None), answered())
        await until_settled(pool)
    assert receiver.received[0].message["customer"] == {"number": None}
