"""What many short calls share: a number, its assistant, and everybody whom the product calls.

The assistant has a slow tool and somebody to put callers through to. What the caller says decides
what the model does: "tool", "through", "asked" (first), "elsewhere" (by REFER), "bye".
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg
from aiohttp import web

from tests.support.fake_openai import Call as ToolCall
from tests.support.platform import ApiClient, Json, Platform
from tests.support.sip_callee import Answers, Callee, Plan, Ringing
from tests.support.tool_server import ToolRequest, running_tools

CARRIER = "127.0.0.3"
DESK = "desk"
RINGS_S = 20
_POLL_S = 0.1
_SLOWEST_TOOL_S = 3.0
_DATABASE_BACK_WITHIN_S = 15.0
_AWAY = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
_numbers = itertools.count(1)


class Missed(Exception):
    """A call did not do what it should have; the message says what."""


def model(messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> Any:
    """Do what the caller says."""
    said = [m["content"] for m in messages if m["role"] == "user"]
    last = str(said[-1]) if said else ""
    if messages[-1]["role"] == "tool":
        return [ToolCall("end_call")] if "bye" in last else "That is done"
    if "tool" in last:
        return [ToolCall("look_up")]
    for place, word in enumerate(("through", "asked", "elsewhere")):
        if word in last:
            told = json.dumps({"destination": _destination(tools, place)})
            return [ToolCall("transfer_call", told)]
    return ["So long", ToolCall("end_call")] if "bye" in last else "Yes"


def _destination(tools: list[dict[str, Any]], place: int) -> str:
    if not tools:
        return ""
    functions = (tool["function"] for tool in tools)
    (found,) = (one for one in functions if one["name"] == "transfer_call")
    return str(found["parameters"]["properties"]["destination"]["enum"][place])


@dataclass
class Hall:
    """See the module.

    Attributes:
        number: Ours, to call and to be called from.
        plans: What somebody does who is called, by his number, or by that of the caller who is
            put through to him; without one he answers.
        rung: Who was called, likewise.
        tools: Calls whose tool has been asked.
    """

    platform: Platform
    api: ApiClient
    rows: asyncpg.Pool
    chance: random.Random
    number: str
    callee: Callee
    assistant_id: str = ""
    number_id: str = ""
    plans: dict[str, Plan] = field(default_factory=dict)
    rung: dict[str, Ringing] = field(default_factory=dict)
    tools: set[str] = field(default_factory=set)

    async def follow(self, call: Ringing) -> None:
        """Do what is planned for a call to somebody."""
        called = _user(call.invite.start_line.split()[1])
        who = _user(call.invite.header("From")) if called == DESK else called
        self.rung[who] = call
        await self.plans.get(who, Answers(0.2))(call)

    async def tool(self, request: ToolRequest) -> web.StreamResponse:
        """Answer a tool, after a while."""
        self.tools.add(str(request.message["call"]["id"]))
        await asyncio.sleep(self.chance.uniform(0.5, 1.0) * _SLOWEST_TOOL_S)
        return web.json_response({"result": "done"})

    def forget(self, who: str, call_id: str | None) -> None:
        """Keep nothing of a call that is over."""
        self.plans.pop(who, None)
        self.tools.discard(call_id or "")
        if (call := self.rung.pop(who, None)) is not None:
            call.rtp.close()
            self.callee.calls.remove(call)
            self.callee.rung.remove(call)

    async def look(self, query: str, *values: object) -> Any:
        """Read one row, or wait for a database that is away."""
        deadline_s = asyncio.get_running_loop().time() + _DATABASE_BACK_WITHIN_S
        while True:
            try:
                return await self.rows.fetchrow(query, *values)
            except _AWAY:
                if asyncio.get_running_loop().time() > deadline_s:
                    raise
                await asyncio.sleep(_POLL_S)

    async def row(self, who: str) -> Any:
        """Read the newest row of a call with a number."""
        return await self.look(
            "SELECT id, status, end_reason, error, ended_at FROM calls WHERE their_number = $1"
            " ORDER BY created_at DESC LIMIT 1",
            who,
        )

    async def story(self, who: str) -> str:
        """Tell what is known of the newest call with a number, for whoever looks for a fault."""
        if (row := await self.row(who)) is None:
            return f"{who} has no row"
        notes = await self.rows.fetch(
            "SELECT kind, detail FROM call_notes WHERE call_id = $1 ORDER BY at", row["id"]
        )
        told = [f"{note['kind']} {note['detail']}" for note in notes]
        return f"{dict(row)}: {'; '.join(told)}"

    async def has_ended(self, who: str) -> Any:
        """Read the row of a call with a number if it has ended; None before."""
        row = await self.row(who)
        return row if row is not None and row["ended_at"] is not None else None

    async def channel_of(self, who: str, row_id: str) -> str:
        """Name the channel of whoever talks with us; empty when there is none."""
        listed = await self.platform.asterisk_cli("core show channels concise")
        for line in listed.splitlines():
            name, *fields = line.split("!")
            if not name.startswith("PJSIP/") or len(fields) < 7:
                continue
            # Whoever is put through is shown the caller's number, on a channel named by us.
            called_us = fields[6] == who and not fields[-1].startswith("call-")
            if called_us or fields[-1] == f"{row_id}-line":
                return name
        return ""

    async def place(self, who: str) -> None:
        """Have somebody called, as soon as that is allowed.

        Raises:
            Missed: If it is refused.
        """
        body: Json = {
            "destination": who,
            "assistant_id": self.assistant_id,
            "number_id": self.number_id,
            "ring_timeout_seconds": RINGS_S,
        }
        while (asked := await self.api.request("POST", "/calls/outbound", body)).status == 429:  # noqa: ASYNC110
            await asyncio.sleep(float(asked.body["retry_after"]))
        if asked.status != 201:
            raise Missed(f"the call was not placed: {asked}")

    async def hang_up_by_hand(self, who: str) -> None:
        """Do what an operator does in the console."""
        row = await self.row(who)
        if name := await self.channel_of(who, row["id"] if row else ""):
            await self.platform.asterisk_cli(f"channel request hangup {name}")


async def until(what: str, found: Callable[[], Awaitable[Any]], within_s: float) -> Any:
    """Wait until something is found; gives it.

    Raises:
        Missed: If it does not happen in time.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within_s
    while not (value := await found()):
        if loop.time() > deadline:
            raise Missed(f"not within {within_s:g} s: {what}")
        await asyncio.sleep(_POLL_S)
    return value


def _user(value: str) -> str:
    return value.partition("sip:")[2].partition("@")[0]


def new_number() -> str:
    """Make up a number that nobody else of this process has."""
    return f"+316{10000000 + next(_numbers)}"


@asynccontextmanager
async def open_hall(
    platform: Platform,
    api: ApiClient,
    number: str,
    chance: random.Random,
    **assistant: object,
) -> AsyncIterator[Hall]:
    """Prepare number, assistant, trunk and telephones. The vendor must answer as `model` does.

    Args:
        platform: The product.
        api: A key of the organisation that will own all of it.
        number: To make.
        chance: Decides how long things take.
        assistant: Further fields.
    """
    async with AsyncExitStack() as stack:
        callee = await stack.enter_async_context(await Callee.open(CARRIER))
        rows = await asyncpg.create_pool(platform.ready["database_url"], min_size=1, max_size=2)
        stack.push_async_callback(rows.close)
        hall = Hall(platform, api, rows, chance, number, callee)
        callee.plan = hall.follow
        tools = await stack.enter_async_context(running_tools(hall.tool))
        await _furnish(hall, tools.url(), assistant)
        yield hall


async def _furnish(hall: Hall, tool_url: str, assistant: Json) -> None:
    host, port = hall.callee.address
    desk = {"type": "sip", "number": f"sip:{DESK}@{host}:{port}", "description": "The desk"}
    asked, elsewhere = desk | {"mode": "warm"}, desk | {"mode": "refer"}
    tools: list[Json] = [
        {"type": "end_call"},
        {"name": "look_up", "description": "Looks something up", "url": tool_url},
        {"type": "transfer_call", "destinations": [desk, asked, elsewhere]},
    ]
    llm = {"provider": "openai", "model": "gpt-5.4", "tools": tools}
    body = {"name": "Hall", "first_message": "Hello", "llm_config": llm, **assistant}
    hall.assistant_id = (await hall.api.create("/assistants", body))["assistant"]["id"]
    trunk = {"name": "Carrier", "provider": "tests", "address": f"{host}:{port}"}
    trunk_id = (await hall.api.create("/sip-trunks", trunk))["trunk"]["id"]
    ours: Json = {"phone_number": hall.number, "assistant_id": hall.assistant_id}
    ours["transfer_trunk_id"] = trunk_id
    hall.number_id = (await hall.api.create("/numbers", ours))["number"]["id"]
