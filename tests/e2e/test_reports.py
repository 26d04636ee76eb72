"""What an integrator is told of a whole call, from its answer to its report."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.support.platform import Json
from tests.support.reception import Reception, hear_tones, said, say_tones
from tests.support.sip_outcome import CallRejected
from tests.support.webhook_receiver import (
    SECRET,
    WebhookReceiver,
    is_signed,
    status,
    webhook_receiver,
)

REPORT, UPDATE = "end-of-call-report", "status-update"
SCHEMA = {"type": "object", "properties": {"topic": {"type": "string"}}, "required": ["topic"]}


@pytest_asyncio.fixture(loop_scope="session")
async def receiver() -> AsyncIterator[WebhookReceiver]:
    async with webhook_receiver() as receiver:
        yield receiver


def hooks(receiver: WebhookReceiver, **more: Any) -> Json:
    return {
        "webhook_url": receiver.url,
        "webhook_secret": SECRET,
        "webhook_events": [UPDATE, REPORT],
        "metadata": {"crm_id": "12345"},
        **more,
    }


async def until_reported(receiver: WebhookReceiver) -> Json:
    await receiver.wait_for(lambda: bool(receiver.of(REPORT)), 15)
    return receiver.of(REPORT)[0].message


async def test_a_call_tells_that_it_began_and_ended_and_what_was_heard(
    reception: Reception, receiver: WebhookReceiver
) -> None:
    reception.vendor.chat.reply_apart = lambda messages, _tools: (
        '{"topic": "tickets"}' if "Schema" in str(messages) else "The caller wanted tickets."
    )
    plan = {"structured_data_plan": {"enabled": True, "schema": SCHEMA}}
    number = await reception.number(**hooks(receiver, analysis_plan=plan))
    async with reception.phone.call(number) as call:
        await call.answered()
        await hear_tones(call, "Hello", call.answered_at_s)
        spoken_s = await say_tones(call, "tickets")
        await hear_tones(call, "You said: tickets", spoken_s)
    report = await until_reported(receiver)
    record = await reception.record(number, lambda found: found["summary"] is not None)
    told = [(one.event, one.status) for one in receiver.received]
    assert told == [(UPDATE, "in-progress"), (UPDATE, "ended"), (REPORT, "ended")]
    assert all(is_signed(one, SECRET) for one in receiver.received)
    assert [(m["role"], m["content"]) for m in report["messages"]] == [
        ("assistant", "Hello"),
        ("user", "tickets"),
        ("assistant", "You said: tickets"),
    ]
    assert [(m["role"], m["content"]) for m in report["messages"]] == said(record)
    assert report["call"]["id"] == record["id"]
    assert report["duration_seconds"] == record["duration_seconds"]
    assert (report["started_at"], report["ended_at"]) == (
        record["started_at"],
        record["ended_at"],
    )
    assert report["summary"] == record["summary"] == "The caller wanted tickets."
    assert report["analysis"] == record["analysis_result"] == {"topic": "tickets"}
    assert report["assistant"]["metadata"] == {"crm_id": "12345"}
    assert report["phone_number"]["number"] == number
    used = {(line["kind"], line["provider"]): line for line in record["usage"]}
    assert set(used) == {
        ("telephony", "sip"),
        *((kind, "openai") for kind in ("stt", "llm", "tts", "postcall")),
    }
    seconds = used["telephony", "sip"]["quantity"]
    assert 0 <= seconds - record["duration_seconds"] <= 1
    assert used["tts", "openai"]["quantity"] == len("Hello") + len("You said: tickets")


async def test_a_reply_that_was_cut_is_reported_as_far_as_it_was_heard(
    reception: Reception, receiver: WebhookReceiver
) -> None:
    long = " ".join(f"word{n}" for n in range(40))
    number = await reception.number(**hooks(receiver, first_message=long))
    async with reception.phone.call(number) as call:
        await call.answered()
        begun_s = await call.heard.wait_for_audio(call.answered_at_s, 8)
        await call.heard.wait_until(lambda: call.heard.packets[-1].arrived_s > begun_s + 1.5, 8)
    report = await until_reported(receiver)
    record = await reception.record(number)
    (message,) = report["messages"]
    assert message["content"]
    assert long.startswith(message["content"])
    assert len(message["content"]) < len(long)
    assert said(record) == [("assistant", message["content"])]


async def test_a_receiver_that_fails_gets_everything_in_order_and_the_api_shows_it(
    reception: Reception, receiver: WebhookReceiver
) -> None:
    receiver.behaviours.extend([status(500), status(503)])
    number = await reception.number(**hooks(receiver))
    async with reception.phone.call(number) as call:
        await call.answered()
        await hear_tones(call, "Hello", call.answered_at_s)
    await until_reported(receiver)
    record = await reception.record(number)
    path = f"/calls/{record['id']}/webhooks"
    async with asyncio.timeout(10):
        while any(  # noqa: ASYNC110 - the condition is behind the API
            one["state"] == "pending" for one in (await reception.api.get(path))["webhooks"]
        ):
            await asyncio.sleep(0.1)
    shown = (await reception.api.get(path))["webhooks"]
    assert [(one["event"], [a["status_code"] for a in one["attempts"]]) for one in shown] == [
        (UPDATE, [500, 503, 200]),
        (UPDATE, [200]),
        (REPORT, [200]),
    ]
    again = await reception.api.request("POST", f"{path}/3/retry")
    assert again.status == 202
    await receiver.wait_for(lambda: len(receiver.of(REPORT)) == 2)
    first, second = receiver.of(REPORT)
    assert (first.id, first.raw) == (second.id, second.raw)


async def test_a_call_that_nobody_takes_is_told_to_the_account(
    reception: Reception, receiver: WebhookReceiver
) -> None:
    number = await reception.number(is_active=False)
    account = {
        "webhook_url": receiver.url,
        "webhook_secret": SECRET,
        "webhook_events": [UPDATE, REPORT],
    }
    await reception.api.change("/organizations", account)
    try:
        async with reception.phone.call(number) as call:
            with pytest.raises(CallRejected):
                await call.answered()
        report = await until_reported(receiver)
    finally:
        await reception.api.change("/organizations", dict.fromkeys(account))
    assert [(one.event, one.status) for one in receiver.received] == [
        (UPDATE, "rejected"),
        (REPORT, "rejected"),
    ]
    assert all(is_signed(one, SECRET) for one in receiver.received)
    assert (report["end_reason"], report["started_at"], report["messages"]) == (
        "no_assistant",
        None,
        [],
    )
    assert (report["duration_seconds"], report["summary"]) == (0, None)
    assert report["phone_number"]["number"] == number
