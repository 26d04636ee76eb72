"""Calls about which an integrator is asked before they are answered."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
from aiohttp import web

from tests.support.asking import answers
from tests.support.fake_openai import Call as ToolCall
from tests.support.platform import ApiClient, Json
from tests.support.reception import Reception, hear_tones, heard_since, said
from tests.support.sip_caller import CallRejected
from tests.support.speech_samples import speech
from tests.support.webhook_receiver import (
    SECRET,
    Behaviour,
    WebhookReceiver,
    is_signed,
    stall,
    webhook_receiver,
)

REQUEST, TOOLS, UPDATE, REPORT = (
    "assistant-request",
    "tool-calls",
    "status-update",
    "end-of-call-report",
)
PLAN = {
    "structured_data_plan": {
        "enabled": True,
        "schema": {"type": "object", "properties": {"topic": {"type": "string"}}},
    }
}


@pytest_asyncio.fixture(loop_scope="session")
async def receiver() -> AsyncIterator[WebhookReceiver]:
    async with webhook_receiver() as receiver:
        yield receiver


@pytest_asyncio.fixture(loop_scope="session")
async def tenant(reception: Reception, receiver: WebhookReceiver) -> AsyncIterator[ApiClient]:
    """An organisation whose account is asked about numbers without an assistant."""
    made = await reception.api.create("/organizations", {"name": f"Child {uuid4().hex[:6]}"})
    async with reception.platform.api(made["api_key"]) as api:
        await api.change("/organizations", {"webhook_url": receiver.url, "webhook_secret": SECRET})
        yield api


def by_event(values: Json) -> Behaviour:
    """Answer each event with a value of its own."""

    async def behave(request: web.Request) -> web.Response:
        return web.json_response(values.get(request.headers["X-Webhook-Event"], {}))

    return behave


def find_first(messages: list[dict[str, Any]], _tools: object) -> Any:
    """Use the tool, and say what it found."""
    if messages[-1]["role"] == "tool":
        return f"Found {json.loads(messages[-1]['content'].splitlines()[1])}"
    return [ToolCall("find", "{}")]


async def unlinked(tenant: ApiClient) -> str:
    number = f"+31207{uuid4().int % 1_000_000:06d}"
    await tenant.create("/numbers", {"phone_number": number, "name": "Spare"})
    return number


async def events_of(api: ApiClient, call_id: str) -> dict[str, Any]:
    """What the timeline says of the request."""
    events = (await api.get(f"/calls/{call_id}/timeline"))["events"]
    (event,) = (event for event in events if event["kind"] == "assistant_request")
    return dict(event["detail"])


async def until_reported(receiver: WebhookReceiver) -> Json:
    await receiver.wait_for(lambda: bool(receiver.of(REPORT)), 15)
    return receiver.of(REPORT)[0].message


async def test_the_account_supplies_the_assistant_of_a_number_that_has_none(
    reception: Reception, receiver: WebhookReceiver, tenant: ApiClient
) -> None:
    reception.vendor.chat.reply_apart = lambda messages, _tools: (
        '{"topic": "tickets"}' if "Schema" in str(messages) else "About tickets."
    )
    tool = {
        "type": "function",
        "function": {"name": "find", "description": "Finds"},
        "server": {"url": f"{receiver.url}/tool", "secret": "of-the-tool"},
    }
    supplied = {
        "name": "Supplied",
        "llm_config": {"provider": "openai", "model": "gpt-5.4", "tools": [tool]},
        "first_message": "Welcome John",
        "analysis_plan": PLAN,
        "metadata": {"crm_id": "12345"},
        "campaign": {"name": "summer"},
    }
    receiver.always = by_event(
        {REQUEST: {"assistant": supplied}, TOOLS: {"result": "two tickets"}}
    )
    reception.vendor.reply = find_first
    reception.vendor.realtime.recognise = lambda _pcm: "two tickets please"
    number = await unlinked(tenant)
    async with reception.phone.call(number) as call:
        await call.answered()
        await hear_tones(call, "Welcome John", call.answered_at_s)
        spoken_s = await call.say(speech("two tickets please"))
        await hear_tones(call, "Found two tickets", spoken_s)
    report = await until_reported(receiver)
    assert [(one.event, one.status) for one in receiver.received] == [
        (REQUEST, "ringing"),
        (UPDATE, "in-progress"),
        (TOOLS, "in-progress"),
        (UPDATE, "ended"),
        (REPORT, "ended"),
    ]
    for one in receiver.received:
        assert is_signed(one, "of-the-tool" if one.event == TOOLS else SECRET)
        assert "of-the-tool" not in one.raw.decode()
    for later in receiver.received[1:]:
        assistant = later.message["assistant"]
        assert assistant["metadata"] == {"crm_id": "12345"}
        assert assistant["campaign"] == {"name": "summer"}
        assert assistant["first_message"] == "Welcome John"
    assert (report["analysis"], report["summary"]) == ({"topic": "tickets"}, "About tickets.")
    record = await tenant.get(f"/calls/{report['call']['id']}")
    assert (record["assistant_id"], record["assistant_name"]) == (None, "Supplied")
    assert (await events_of(tenant, record["id"]))["outcome"] == "transient"


async def test_another_assistant_takes_the_call_changed_and_for_as_long_as_it_may(
    reception: Reception, receiver: WebhookReceiver
) -> None:
    body = {"name": "Other", "first_message": "Other", "metadata": {"kept": True}}
    other = (await reception.api.create("/assistants", body))["assistant"]
    override = {"first_message": "Changed", "webhook_url": receiver.url}
    answer = {
        "agent_id": other["id"],
        "agent_override": override,
        "max_duration_seconds": 600,
    }
    receiver.behaviours.append(answers(answer))
    number = await reception.number(webhook_url=receiver.url, webhook_events=[REQUEST])
    async with reception.phone.call(number) as call:
        await call.answered()
        await hear_tones(call, "Changed", call.answered_at_s)
    record = await reception.record(number)
    assert (record["assistant_id"], record["agent_name"]) == (other["id"], "Other")
    await receiver.wait_for(lambda: len(receiver.of(UPDATE)) == 2, 15)
    shown = receiver.of(UPDATE)[0].message["assistant"]
    assert shown["id"] == other["id"]
    assert shown["max_duration_seconds"] == 600
    assert shown["metadata"] == {"kept": True}


async def test_a_caller_who_is_rejected_hears_why_and_then_the_line_ends(
    reception: Reception, receiver: WebhookReceiver
) -> None:
    receiver.behaviours.append(answers({"error": "We are closed"}))
    number = await reception.number(webhook_url=receiver.url, webhook_secret=SECRET)
    async with reception.phone.call(number) as call:
        answered_s = await call.answered()
        await hear_tones(call, "We are closed", answered_s)
        await call.ended()
        assert heard_since(call, answered_s) == ["We are closed"]
    record = await reception.record(number)
    assert (record["status"], record["end_reason"]) == ("rejected", "rejected")
    assert said(record) == [("assistant", "We are closed")]
    await until_reported(receiver)
    told = [(one.event, one.status) for one in receiver.received]
    assert told == [(REQUEST, "ringing"), (UPDATE, "rejected"), (REPORT, "rejected")]
    assert not reception.vendor.realtime.sessions  # nobody listened


async def test_a_number_for_which_nobody_is_named_is_answered_480(
    reception: Reception, receiver: WebhookReceiver, tenant: ApiClient
) -> None:
    receiver.behaviours.append(answers({}))
    number = await unlinked(tenant)
    async with reception.phone.call(number) as call:
        with pytest.raises(CallRejected) as refusal:
            await call.answered()
    assert refusal.value.status == 480
    record = await replace(reception, api=tenant).record(number)
    assert (record["status"], record["end_reason"]) == ("rejected", "no_assistant")
    assert "names no assistant" in record["error"]


async def test_a_server_that_stalls_costs_five_seconds_of_ringing_and_no_call(
    reception: Reception, receiver: WebhookReceiver
) -> None:
    gate = asyncio.Event()
    receiver.behaviours.append(stall(gate))
    number = await reception.number(
        webhook_url=receiver.url, webhook_secret=SECRET, webhook_events=[REQUEST]
    )
    async with reception.phone.call(number) as call:
        (request,) = await receiver.until(1)
        ringing = await reception.record(number, lambda _found: True)
        assert ringing["status"] == "ringing"
        answered_s = await call.answered()
        assert call.ringing_at_s is not None
        assert answered_s - call.ringing_at_s >= 4.5
        await hear_tones(call, "Hello", answered_s)
    gate.set()
    record = await reception.record(number)
    assert is_signed(request, SECRET)
    assert request.call_id == record["id"] == ringing["id"]
    detail = await events_of(reception.api, record["id"])
    assert (detail["outcome"], detail["status"]) == ("fault", None)
    assert "5 s" in detail["faults"][0]


async def test_a_caller_who_hangs_up_meanwhile_is_let_go_at_once(
    reception: Reception, receiver: WebhookReceiver
) -> None:
    gate = asyncio.Event()
    receiver.behaviours.append(stall(gate))
    number = await reception.number(webhook_url=receiver.url, webhook_events=[REQUEST])
    async with reception.phone.call(number) as call:
        await receiver.until(1)
        await call.hang_up()
    record = await reception.record(number)
    gate.set()
    assert (record["status"], record["end_reason"]) == ("ended", "user_hangup")
    assert record["started_at"] is None
    assert (await events_of(reception.api, record["id"]))["outcome"] == "given_up"
