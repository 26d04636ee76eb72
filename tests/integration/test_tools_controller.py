"""Tools in a whole controller: when they are opened, stop a call, and are closed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from sovereign_ari.conversation.terms import Transfers
from sovereign_ari.conversation.tools import Patience, Prepared, ToolAnswer, unknown
from sovereign_ari.domain.agent import Assistant
from sovereign_ari.domain.records import CallAnswered, CallStatus, EndReason, TurnRecord
from sovereign_ari.domain.webhook import Subject
from sovereign_ari.errors import OutgoingFailed
from sovereign_ari.speech.base import ToolCall, ToolSpec
from tests.support.controller_world import World, world
from tests.support.fake_ari import until


class Tools:
    """A tool source, and the tools of its only call."""

    def __init__(self) -> None:
        self.patience = Patience()
        self.specs = [ToolSpec("find", "Finds it", {"type": "object"})]
        self.fault: OutgoingFailed | None = None
        self.subjects: list[Subject] = []
        self.opened = self.closed = 0
        self.running = 0

    def for_call(
        self,
        subject: Subject,
        assistant: Assistant,
        note: Callable[[str, Mapping[str, Any]], None],
        transfers: Transfers,
    ) -> Tools:
        self.subjects.append(subject)
        return self

    async def open(self) -> None:
        self.opened += 1
        if self.fault:
            raise self.fault

    async def close(self) -> None:
        self.closed += 1

    def prepare(self, call: ToolCall) -> Prepared | ToolAnswer:
        if call.name != "find":
            return unknown(call)

        async def run() -> ToolAnswer:
            self.running += 1
            try:
                await asyncio.sleep(30 if "slow" in call.arguments else 0)
            finally:
                self.running -= 1
            return ToolAnswer("found")

        return Prepared(run)


@pytest.fixture
async def it() -> AsyncIterator[World]:
    async with world() as it:
        yield it


@pytest.fixture
def tools(it: World) -> Tools:
    tools = Tools()
    it.controller._services = replace(it.controller._services, tools=tools)
    return tools


async def test_tools_are_opened_before_the_answer_and_closed_at_the_end(
    it: World, tools: Tools
) -> None:
    it.answers = lambda messages: (
        "There." if messages[-1].role == "tool" else [ToolCall("t", "find", "{}")]
    )
    await it.pbx.call("c")
    await it.greeted()
    assert (tools.opened, tools.closed) == (1, 0)
    (subject,) = tools.subjects
    assert (subject.direction, subject.status) == ("inbound", "in-progress")
    it.stt.say("find it")
    await until(lambda: it.of(TurnRecord)[-1].heard_text == "There.")
    assert it.of(TurnRecord)[-1].tool_calls[0]["result"] == '"found"'
    await it.pbx.hang_up("c")
    await it.all_ended()
    assert tools.closed == 1


async def test_a_call_whose_tools_are_needed_and_gone_is_not_answered(
    it: World, tools: Tools
) -> None:
    tools.fault = OutgoingFailed("the assistant needs the MCP server CRM: it is gone")
    await it.pbx.call("c")
    await it.all_ended()
    assert it.end == (CallStatus.REJECTED, EndReason.REJECTED)
    assert not it.of(CallAnswered)
    assert tools.closed == 1


async def test_a_hang_up_while_a_tool_runs_leaves_nothing(it: World, tools: Tools) -> None:
    it.answers = lambda _: [ToolCall("t", "find", '{"how": "slow"}')]
    await it.pbx.call("c")
    await it.greeted()
    it.stt.say("find it")
    await until(lambda: tools.running)
    await it.pbx.hang_up("c")
    await it.all_ended()
    assert (tools.running, tools.closed) == (0, 1)
    assert it.of(TurnRecord)[-1].tool_calls[0]["failed"]
