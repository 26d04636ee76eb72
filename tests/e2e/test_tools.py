"""Calls whose model uses tools: the caller hears the line meanwhile, then what came of it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from aiohttp import web

from tests.support.fake_mcp import FakeMcp, running_mcp
from tests.support.fake_openai import Call as ToolCall
from tests.support.reception import Reception, hear_tones, heard_since, said, say_tones
from tests.support.sip_caller import CallRejected
from tests.support.tool_server import ToolRequest, answering, running_tools

PARAMETERS = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
}


def model(*tools: object) -> dict[str, object]:
    return {"provider": "openai", "model": "gpt-5.4", "tools": list(tools)}


def result_of(messages: list[dict[str, Any]]) -> Any:
    """The result that the model was told last, out of its fence."""
    return json.loads(messages[-1]["content"].splitlines()[1])


async def test_the_caller_hears_the_line_and_then_the_answer_made_of_the_result(
    reception: Reception,
) -> None:
    async def weather(request: ToolRequest) -> web.StreamResponse:
        await asyncio.sleep(1.0)
        city = request.function["arguments"]["city"]
        return web.json_response({"result": f"rain in {city}"})

    def reply(messages: list[dict[str, Any]], _tools: object) -> Any:
        if messages[-1]["role"] == "tool":
            return f"It is {result_of(messages)}"
        return [ToolCall("weather", '{"city": "Delft"}')]

    async with running_tools(weather) as server:
        tool = {
            "name": "weather",
            "description": "How the weather is",
            "parameters": PARAMETERS,
            "url": server.url(),
            "message": "Looking outside",
        }
        number = await reception.number(llm_config=model(tool), webhook_secret="s3cret")
        reception.vendor.reply = reply
        async with reception.phone.call(number) as call:
            await call.answered()
            await hear_tones(call, "Hello", call.answered_at_s)
            spoken_s = await say_tones(call, "weather")
            await hear_tones(call, "It is rain in Delft", spoken_s)
            assert heard_since(call, spoken_s) == ["Looking outside", "It is rain in Delft"]
        (request,) = server.requests
    record = await reception.record(number)
    assert said(record)[-1] == ("assistant", "Looking outside It is rain in Delft")
    assert request.is_signed_with("s3cret")
    assert request.message["call"]["id"] == record["id"]
    assert request.message["call"]["status"] == "in-progress"
    assert request.message["phone_number"]["number"] == number
    offered = reception.vendor.chat.bodies[0]["tools"]
    assert [tool["function"]["name"] for tool in offered] == ["weather"]
    (used,) = (await reception.timeline(record))["turns"][1]["tool_calls"]
    assert (used["name"], used["result"], used["failed"]) == ("weather", '"rain in Delft"', False)
    assert used["duration_ms"] >= 1000


async def test_a_slow_tool_is_not_silent(reception: Reception) -> None:
    def reply(messages: list[dict[str, Any]], _tools: object) -> Any:
        if messages[-1]["role"] == "tool":
            return f"Found {result_of(messages)}"
        return [ToolCall("find")]

    async with running_tools(answering({"result": "it"}, after_s=5.0)) as server:
        tool = {"name": "find", "description": "Finds it", "url": server.url()}
        number = await reception.number(llm_config=model(tool))
        reception.vendor.reply = reply
        async with reception.phone.call(number) as call:
            await call.answered()
            await hear_tones(call, "Hello", call.answered_at_s)
            spoken_s = await say_tones(call, "find it")
            await hear_tones(call, "Found it", spoken_s, timeout_s=15)
            assert heard_since(call, spoken_s) == ["One moment, please.", "Found it"]


async def test_a_tool_of_an_mcp_server_is_offered_and_used(reception: Reception) -> None:
    def reply(messages: list[dict[str, Any]], _tools: object) -> Any:
        if messages[-1]["role"] == "tool":
            return "That worked" if "Delft" in messages[-1]["content"] else "That failed"
        return [ToolCall("tool_1", '{"city": "Delft"}')]

    async with running_mcp(FakeMcp(tools=3, key="Bearer x")) as fake:
        body = {
            "name": "Weather of Delft",
            "url": fake.url("streamable_http"),
            "transport": "streamable_http",
            "headers": {"Authorization": "Bearer x"},
        }
        made = (await reception.api.create("/mcp-servers", body))["mcp_server"]
        tool = {"type": "mcp", "mcp_server_id": made["id"], "allowed_tools": ["tool_1"]}
        number = await reception.number(llm_config=model(tool))
        reception.vendor.reply = reply
        async with reception.phone.call(number) as call:
            await call.answered()
            await hear_tones(call, "Hello", call.answered_at_s)
            spoken_s = await say_tones(call, "weather")
            await hear_tones(call, "That worked", spoken_s)
    offered = reception.vendor.chat.bodies[0]["tools"]
    assert [tool["function"]["name"] for tool in offered] == ["tool_1"]


async def test_a_call_that_needs_a_server_that_is_gone_is_rejected(reception: Reception) -> None:
    async with running_mcp(FakeMcp()) as fake:
        body = {"name": "Gone soon", "url": fake.url("streamable_http")}
        made = (await reception.api.create("/mcp-servers", body))["mcp_server"]
    tool = {"type": "mcp", "mcp_server_id": made["id"], "allowed_tools": ["tool_0"]}
    needy = await reception.number(llm_config=model(tool))
    async with reception.phone.call(needy) as call:
        with pytest.raises(CallRejected) as refusal:
            await call.answered()
    assert refusal.value.status == 480
    record = await reception.record(needy)
    assert (record["status"], record["end_reason"]) == ("rejected", "rejected")
    assert "Gone soon" in record["error"]
    easy = await reception.number(llm_config=model({**tool, "required": False}))
    async with reception.phone.call(easy) as call:
        await call.answered()
        await hear_tones(call, "Hello", call.answered_at_s)
    events = (await reception.timeline(await reception.record(easy)))["events"]
    (event,) = (event for event in events if event["kind"] == "mcp_server_unavailable")
    assert event["detail"]["server"] == "Gone soon"


async def test_the_caller_may_speak_while_a_tool_runs_and_still_hears_its_result(
    reception: Reception,
) -> None:
    def reply(messages: list[dict[str, Any]], _tools: object) -> Any:
        if messages[-1]["content"] == "and soon":
            return "Noted"
        if any("sunny" in m["content"] for m in messages if m["role"] == "tool"):
            return "It is sunny"
        return [ToolCall("weather")]

    async with running_tools(answering({"result": "sunny"}, after_s=5.0)) as server:
        tool = {
            "name": "weather",
            "description": "How the weather is",
            "url": server.url(),
            "message": "Looking",
        }
        number = await reception.number(llm_config=model(tool))
        reception.vendor.reply = reply
        async with reception.phone.call(number) as call:
            await call.answered()
            await hear_tones(call, "Hello", call.answered_at_s)
            spoken_s = await say_tones(call, "weather")
            await hear_tones(call, "Looking", spoken_s)
            spoken_s = await say_tones(call, "and soon")
            await hear_tones(call, "Noted", spoken_s)
            await hear_tones(call, "It is sunny", spoken_s, timeout_s=12)
        assert len(server.requests) == 1
    timeline = await reception.timeline(await reception.record(number))
    assert timeline["turns"][1]["tool_calls"][0]["result"] == '"sunny"'


async def test_a_tool_that_fails_is_spoken_about(reception: Reception) -> None:
    def reply(messages: list[dict[str, Any]], _tools: object) -> Any:
        results = [message["content"] for message in messages if message["role"] == "tool"]
        if results:
            failed = sum("HTTP 500" in result for result in results)
            return f"{failed} of {len(results)} failed"
        return [ToolCall("good"), ToolCall("bad"), ToolCall("none")]

    async with (
        running_tools(answering({"result": 1})) as good,
        running_tools(answering({}, status=500)) as bad,
    ):
        tools = [
            {"name": "good", "description": "Works", "url": good.url()},
            {"name": "bad", "description": "Fails", "url": bad.url()},
        ]
        number = await reception.number(llm_config=model(*tools))
        reception.vendor.reply = reply
        async with reception.phone.call(number) as call:
            await call.answered()
            await hear_tones(call, "Hello", call.answered_at_s)
            spoken_s = await say_tones(call, "try")
            await hear_tones(call, "1 of 3 failed", spoken_s)
