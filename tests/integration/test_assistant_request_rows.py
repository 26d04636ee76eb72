"""What is kept and told of a call that somebody else takes than the assistant of its number."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from db.calls import get_call
from db.organisations import ensure_operator_organisation
from sovereign_ari.domain.ids import CallId
from sovereign_ari.domain.records import CallAnswered, CallConfigured, CallStatus, EndReason
from sovereign_ari.domain.webhook import Webhook
from tests.support.report_world import PLAN, SAID, Scripted, reporting, until_reported
from tests.support.rows import a_call_id, an_assistant, answered, closed, later, opened, turn
from tests.support.webhook_receiver import (
    SECRET,
    WebhookReceiver,
    is_signed,
    webhook_receiver,
)
from tests.support.webhook_world import an_assistant_that_tells, rings, states, write

UPDATE, REPORT = "status-update", "end-of-call-report"
SHOWN: dict[str, Any] = {
    "id": None,
    "name": None,
    "llm_config": {"provider": "parrot", "model": "parrot-1"},
    "postcall_llm": None,
    "gdpr_mode": False,
    "analysis_plan": PLAN,
    "metadata": {"crm_id": "7"},
    "campaign": ["summer", {"deep": None}],
}


def configured(url: str, **changes: Any) -> CallConfigured:
    values: dict[str, Any] = {
        "call_id": a_call_id(),
        "assistant_id": None,
        "assistant_name": None,
        "number_name": "Front desk",
        "webhook": Webhook(url, "of-the-call", frozenset({UPDATE, REPORT})),
        "shown": SHOWN,
    }
    return CallConfigured(**(values | changes))


@pytest.fixture
async def receiver() -> AsyncIterator[WebhookReceiver]:
    async with webhook_receiver() as receiver:
        yield receiver


async def test_later_webhooks_and_the_work_after_the_call_follow_who_took_it(
    pool: asyncpg.Pool, connection: asyncpg.Connection, receiver: WebhookReceiver
) -> None:
    await an_assistant_that_tells(connection, "http://127.0.0.1:1/", metadata={"n": 1})
    models = Scripted(["A summary.", '{"satisfied": true}'])
    entries = [await rings(connection), configured(receiver.url), answered(), *SAID, closed()]
    async with reporting(pool, models):
        await write(pool, *entries)
        await receiver.until(3)
        await until_reported(pool)
    assert [one.event for one in receiver.received] == [UPDATE, UPDATE, REPORT]
    for told in receiver.received:
        assert is_signed(told, "of-the-call")
        assert not is_signed(told, SECRET)
        assert told.message["assistant"] == SHOWN
        assert told.message["phone_number"]["name"] == "Front desk"
    report = receiver.of(REPORT)[0].message
    assert (report["summary"], report["analysis"]) == ("A summary.", {"satisfied": True})
    owner = await ensure_operator_organisation(connection)
    row = await get_call(connection, owner, a_call_id())
    assert (row.assistant_id, row.assistant_name) == (None, None)


async def test_a_journal_written_twice_configures_once_and_never_after_the_end(
    pool: asyncpg.Pool, connection: asyncpg.Connection, receiver: WebhookReceiver
) -> None:
    await an_assistant_that_tells(connection, receiver.url)
    chosen = await an_assistant(connection, name="Chosen")
    first = configured(receiver.url, assistant_id=chosen.id, assistant_name="Chosen")
    entries = [await rings(connection), first, answered(), closed()]
    await write(pool, *entries)
    await write(pool, *entries)
    assert await states(pool) == [(UPDATE, "pending"), (UPDATE, "pending")]
    await write(pool, configured("http://127.0.0.1:1/"))
    owner = await ensure_operator_organisation(connection)
    row = await get_call(connection, owner, a_call_id())
    assert (row.assistant_id, row.assistant_name) == (chosen.id, "Chosen")
    assert await pool.fetchval("SELECT webhook_url FROM call_reports") == receiver.url


async def test_a_call_that_had_nobody_tells_as_well(
    pool: asyncpg.Pool, connection: asyncpg.Connection, receiver: WebhookReceiver
) -> None:
    owner = await ensure_operator_organisation(connection)
    async with reporting(pool, Scripted()):
        await write(pool, opened(owner), configured(receiver.url), answered(), *SAID, closed())
        await receiver.until(3)
        await until_reported(pool)
    assert receiver.received[0].message["assistant"]["metadata"] == {"crm_id": "7"}


async def test_an_entry_about_an_unknown_call_is_dropped(pool: asyncpg.Pool) -> None:
    await write(pool, configured("https://example.com/", call_id=CallId("call-inbound-none")))
    assert await pool.fetchval("SELECT count(*) FROM call_reports") == 0


async def test_who_is_only_told_why_not_is_in_no_conversation_and_no_model_reads_it(
    pool: asyncpg.Pool, connection: asyncpg.Connection, receiver: WebhookReceiver
) -> None:
    await an_assistant_that_tells(connection, receiver.url, analysis_plan=PLAN)
    models = Scripted()
    rejected = closed(status=CallStatus.REJECTED, end_reason=EndReason.REJECTED)
    told = CallAnswered(a_call_id(), later(1), conversation=False)
    await write(pool, await rings(connection), told, turn(0, None, "We are closed."))
    owner = await ensure_operator_organisation(connection)
    ringing = await get_call(connection, owner, a_call_id())
    assert (ringing.status, ringing.answered_at) == ("ringing", later(1))
    async with reporting(pool, models):
        await write(pool, rejected)
        await receiver.until(2)
        await until_reported(pool)
    assert [(one.event, one.status) for one in receiver.received] == [
        (UPDATE, "rejected"),
        (REPORT, "rejected"),
    ]
    report = receiver.received[1].message
    assert report["messages"] == [{"role": "assistant", "content": "We are closed."}]
    assert (report["summary"], report["duration_seconds"]) == (None, 60)
    assert models.asked == []


async def test_gdpr_mode_of_who_took_the_call_decides(
    pool: asyncpg.Pool, connection: asyncpg.Connection, receiver: WebhookReceiver
) -> None:
    await an_assistant_that_tells(connection, receiver.url, gdpr_mode=False)
    private = configured(receiver.url, shown=SHOWN | {"gdpr_mode": True})
    async with reporting(pool, Scripted()):
        await write(pool, await rings(connection), private, answered(), *SAID, closed())
        await receiver.wait_for(lambda: bool(receiver.of(REPORT)))
        await until_reported(pool)
    assert await pool.fetchval("SELECT content_erased_at IS NOT NULL FROM calls")
