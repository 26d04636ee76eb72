"""Calls that nobody takes: the account whose number was called is told of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import asyncpg
import pytest

from db.journal import write_entries
from db.organisations import ensure_operator_organisation, update_organisation
from db.routing import find_route
from sovereign_ari.control.call_record import CallRecord, Invitation
from sovereign_ari.domain.call import Outcome
from sovereign_ari.domain.ids import ChannelId
from sovereign_ari.domain.records import CallStatus, EndReason, JournalEntry
from tests.support.api import DEFAULTS
from tests.support.report_world import REPORT, Scripted, reporting, until_reported
from tests.support.rows import NOON, a_call_id
from tests.support.webhook_receiver import (
    SECRET,
    WebhookReceiver,
    is_signed,
    webhook_receiver,
)
from tests.support.webhook_world import NUMBER, an_assistant_that_tells

UPDATE = "status-update"
REFUSED = Outcome(CallStatus.REJECTED, EndReason.NO_ASSISTANT, 20, "nobody takes it")


@pytest.fixture
async def receiver() -> AsyncIterator[WebhookReceiver]:
    async with webhook_receiver() as receiver:
        yield receiver


async def account(connection: asyncpg.Connection, url: str | None, events: Any = None) -> None:
    owner = await ensure_operator_organisation(connection)
    fields = {"webhook_url": url, "webhook_secret": SECRET, "webhook_events": events}
    await update_organisation(connection, owner, fields)


async def is_refused(connection: asyncpg.Connection, dialled: str) -> None:
    """A call as a controller writes it that turns it away."""
    entries: list[JournalEntry] = []
    services: Any = SimpleNamespace(
        app="sovereign-1",
        wall_clock=lambda: NOON,
        journal=SimpleNamespace(post=entries.append),
    )
    invitation = Invitation(ChannelId("c"), dialled, "ulaw", "+31612345678")
    record = CallRecord(a_call_id(), invitation, services)
    record.open(await find_route(connection, dialled, DEFAULTS))
    record.close(REFUSED, {})
    assert await write_entries(connection, entries) == 0


@pytest.mark.parametrize(
    "off",
    [
        "UPDATE assistants SET is_active = false",
        "UPDATE phone_numbers SET assistant_id = NULL",
        "UPDATE phone_numbers SET is_active = false",
    ],
    ids=["assistant off", "no assistant", "number off"],
)
async def test_the_account_is_told_of_a_call_that_nobody_takes(
    pool: asyncpg.Pool, receiver: WebhookReceiver, connection: asyncpg.Connection, off: str
) -> None:
    await an_assistant_that_tells(connection, "https://never.example", webhook_secret=None)
    await account(connection, receiver.url)
    await connection.execute(off)
    await is_refused(connection, NUMBER)
    models = Scripted()
    async with reporting(pool, models):
        update, report = await receiver.until(2)
        await until_reported(pool)
    assert [(one.event, one.status) for one in (update, report)] == [
        (UPDATE, "rejected"),
        (REPORT, "rejected"),
    ]
    assert is_signed(update, SECRET)
    assert is_signed(report, SECRET)
    assert update.message["end_reason"] == "no_assistant"
    told = report.message
    assert (told["end_reason"], told["assistant"]) == ("no_assistant", {})
    assert (told["duration_seconds"], told["summary"], told["messages"]) == (0, None, [])
    assert (told["started_at"], told["phone_number"]["number"]) == (None, NUMBER)
    assert told["phone_number"]["name"] == "Front desk"
    assert told["customer"]["number"] == "+31612345678"
    assert models.asked == []


@pytest.mark.parametrize(
    ("dialled", "events", "url"),
    [
        ("+31209999999", None, True),
        (NUMBER, ["tool-calls"], True),
        (NUMBER, None, False),
    ],
    ids=["a number of nobody", "other events", "no webhook"],
)
async def test_nobody_is_told_who_did_not_ask(
    pool: asyncpg.Pool,
    receiver: WebhookReceiver,
    connection: asyncpg.Connection,
    dialled: str,
    events: list[str] | None,
    url: bool,
) -> None:
    await an_assistant_that_tells(connection, "https://never.example", is_active=False)
    await account(connection, receiver.url if url else None, events)
    await is_refused(connection, dialled)
    async with reporting(pool, Scripted()):
        await until_reported(pool)
    assert receiver.received == []
    assert await pool.fetchval("SELECT status FROM calls") == "rejected"
