"""Tools of MCP servers in calls: real servers, stored servers, servers that go away."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import ip_network
from typing import Any

import asyncpg
import pytest
from aiohttp import web
from mcp.types import (
    AudioContent,
    BlobResourceContents,
    CallToolResult,
    EmbeddedResource,
    ImageContent,
    TextContent,
    TextResourceContents,
)
from pydantic import AnyUrl

from db.mcp_servers import MCP_SERVERS, bound_to, create_server, update_server
from db.organisations import create_organisation
from sovereign_ari.call_tools import StoredMcpServers
from sovereign_ari.control.transfers import NoTransfers
from sovereign_ari.conversation.tools import Patience, Prepared, ToolAnswer
from sovereign_ari.domain.agent import Assistant
from sovereign_ari.domain.webhook import Subject
from sovereign_ari.errors import DatabaseUnavailable, OutgoingFailed
from sovereign_ari.outgoing.http import OutgoingHttp
from sovereign_ari.outgoing.mcp import McpServer, McpTransport
from sovereign_ari.outgoing.policy import OutgoingPolicy
from sovereign_ari.speech.base import ToolCall
from sovereign_ari.tools.box import CallToolBox
from sovereign_ari.tools.mcp_link import McpLink, StoredServer
from sovereign_ari.tools.mcp_results import read_result
from sovereign_ari.tools.source import CallToolSource, Outside
from sovereign_ari.vault import Vault
from tests.support.fake_mcp import FakeMcp, polite, rpc, running_bytes, running_mcp, running_rude

HERE = OutgoingPolicy([ip_network("127.0.0.0/8")])
SUBJECT = Subject("call-inbound-1", "inbound", "in-progress", None, "1000", None, None)
BOTH: list[McpTransport] = ["streamable_http", "sse"]


@dataclass
class Rig:
    """The servers of an organisation, and the notes of its calls."""

    servers: dict[str, StoredServer | str] = field(default_factory=dict)
    notes: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    fault: Exception | None = None
    looked_up: int = 0

    async def find(
        self, organisation_id: str, server_ids: Sequence[str]
    ) -> Mapping[str, StoredServer | str]:
        self.looked_up += 1
        if self.fault:
            raise self.fault
        return {id_: self.servers[id_] for id_ in server_ids if id_ in self.servers}

    def box(self, *tools: Mapping[str, Any]) -> CallToolBox:
        outside = Outside(OutgoingHttp(HERE), HERE, self)
        source = CallToolSource(outside, lambda: datetime.now(UTC), Patience())
        whom = Assistant("a", "o", "Ann", None, {"tools": list(tools)}, {}, {})
        return source.for_call(SUBJECT, whom, self._note, NoTransfers())

    def _note(self, kind: str, facts: Mapping[str, Any]) -> None:
        self.notes.append((kind, facts))


@asynccontextmanager
async def opened(box: CallToolBox) -> AsyncIterator[CallToolBox]:
    try:
        await box.open()
        yield box
    finally:
        await box.close()


def stored(url: str, transport: McpTransport = "streamable_http", **more: Any) -> StoredServer:
    return StoredServer("Weather", McpServer(url, transport), more.get("timeout_s", 5.0))


def mcp(*allowed: str, required: bool = True, server: str = "s") -> dict[str, Any]:
    return {
        "type": "mcp",
        "mcp_server_id": server,
        "allowed_tools": list(allowed),
        "required": required,
    }


async def use(box: CallToolBox, name: str, arguments: Mapping[str, Any]) -> ToolAnswer:
    prepared = box.prepare(ToolCall("t", name, json.dumps(arguments)))
    return await prepared.run() if isinstance(prepared, Prepared) else prepared


@pytest.mark.parametrize("transport", BOTH)
async def test_allowed_tools_are_offered_checked_and_used(transport: McpTransport) -> None:
    async with running_mcp(FakeMcp(tools=30)) as fake:
        rig = Rig({"s": stored(fake.url(transport), transport)})
        async with opened(rig.box(mcp("tool_7", "tool_2", "missing"))) as box:
            assert [spec.name for spec in box.specs] == ["tool_7", "tool_2"]
            answers = await asyncio.gather(
                *(use(box, "tool_7", {"city": f"c{n}"}) for n in range(5))
            )
            refused = await use(box, "tool_2", {})
            other = await use(box, "tool_3", {"city": "x"})
    assert [answer.value for answer in answers] == [f"{{'city': 'c{n}'}}" for n in range(5)]
    assert "'city' is a required property" in refused.value["error"]
    assert "there is no tool named tool_3" in other.value["error"]
    ((kind, facts),) = rig.notes
    assert (kind, facts["name"]) == ("tool_left_out", "missing")


async def test_the_session_lives_as_long_as_the_call() -> None:
    async with running_mcp(FakeMcp()) as fake:
        async with opened(Rig({"s": stored(fake.url("streamable_http"))}).box(mcp("tool_0"))):
            pass
    assert fake.methods.count("DELETE") == 1


async def test_tools_of_two_servers_with_one_name_are_told_apart() -> None:
    async with running_mcp(FakeMcp()) as one, running_mcp(FakeMcp()) as two:
        rig = Rig(
            {"s": stored(one.url("streamable_http")), "t": stored(two.url("streamable_http"))}
        )
        tools = mcp("tool_0"), mcp("tool_0", server="t"), mcp("tool_0", server="t")
        async with opened(rig.box(*tools)) as box:
            assert [spec.name for spec in box.specs] == ["tool_0", "Weather_tool_0"]
            assert not (await use(box, "Weather_tool_0", {"city": "x"})).failed


async def test_without_mcp_tools_nothing_is_looked_up() -> None:
    rig = Rig(fault=AssertionError())
    async with opened(rig.box({"type": "end_call"})) as box:
        assert not box.specs
    assert rig.looked_up == 0


@pytest.mark.parametrize("fault", ["closed", "hangs", "gone", "sealed", "database"])
async def test_a_required_server_that_cannot_be_used_stops_the_call(fault: str) -> None:
    async with running_bytes(b"", hang=fault == "hangs") as port:
        if fault == "hangs":
            rig = Rig({"s": stored(f"http://127.0.0.1:{port}/mcp", timeout_s=0.5)})
            await _cannot_open(rig)
            return
    rig = Rig({"s": stored(f"http://127.0.0.1:{port}/mcp")})
    if fault == "gone":
        rig.servers.clear()
    elif fault == "sealed":
        rig.servers["s"] = "its stored headers cannot be opened; store them again"
    elif fault == "database":
        rig.fault = DatabaseUnavailable("the database is away")
    await _cannot_open(rig)


async def _cannot_open(rig: Rig) -> None:
    begun_s = time.monotonic()
    box = rig.box(mcp("tool_0"))
    with pytest.raises(OutgoingFailed, match="the assistant needs the MCP server"):
        await box.open()
    await box.close()
    assert time.monotonic() - begun_s < 4
    optional = rig.box(mcp("tool_0", required=False))
    async with opened(optional):
        assert not optional.specs
    assert [kind for kind, _ in rig.notes] == ["mcp_server_unavailable"] * 2


async def test_a_server_that_died_is_an_error_and_one_that_is_back_is_used_again() -> None:
    hang = asyncio.Event()

    async def tools(asked: dict[str, Any]) -> web.StreamResponse:
        if asked["method"] == "tools/list":
            return web.json_response(
                rpc(asked, tools=[{"name": "find", "inputSchema": {"type": "object"}}])
            )
        if not hang.is_set():
            return web.Response(status=500)
        return web.json_response(rpc(asked, content=[{"type": "text", "text": "found"}]))

    async with running_rude(polite(tools)) as rude:
        rig = Rig({"s": stored(rude.url())})
        async with opened(rig.box(mcp("find"))) as box:
            broken = await use(box, "find", {})
            hang.set()
            again = await use(box, "find", {})
    assert broken.failed
    assert "500" in broken.value["error"]
    assert again == ToolAnswer("found")


async def test_a_tool_that_takes_too_long_is_given_up_once() -> None:
    used = 0

    async def tools(asked: dict[str, Any]) -> web.StreamResponse:
        nonlocal used
        if asked["method"] == "tools/list":
            return web.json_response(
                rpc(asked, tools=[{"name": "find", "inputSchema": {"type": "object"}}])
            )
        used += 1
        await asyncio.sleep(60)
        raise AssertionError

    async with running_rude(polite(tools)) as rude:
        async with opened(Rig({"s": stored(rude.url(), timeout_s=0.5)}).box(mcp("find"))) as box:
            answer = await use(box, "find", {})
    assert "no answer within 0.5 s" in answer.value["error"]
    assert used == 1


async def test_one_that_takes_too_long_takes_no_other_with_it() -> None:
    async def tools(asked: dict[str, Any]) -> web.StreamResponse:
        if asked["method"] == "tools/list":
            return web.json_response(
                rpc(asked, tools=[{"name": "find", "inputSchema": {"type": "object"}}])
            )
        seconds = asked["params"]["arguments"]["seconds"]
        await asyncio.sleep(seconds)
        return web.json_response(rpc(asked, content=[{"type": "text", "text": f"{seconds}"}]))

    async with running_rude(polite(tools)) as rude:
        async with opened(Rig({"s": stored(rude.url(), timeout_s=1.0)}).box(mcp("find"))) as box:
            slow = asyncio.create_task(use(box, "find", {"seconds": 30}))
            await asyncio.sleep(0.6)
            other = await use(box, "find", {"seconds": 0.7})
    assert (await slow).failed
    assert other == ToolAnswer("0.7")


@pytest.mark.parametrize(
    "schema", [{"type": "string"}, {"type": "object", "properties": {"a": {"type": "no"}}}]
)
async def test_a_tool_with_a_schema_that_models_refuse_is_left_out(
    schema: dict[str, Any],
) -> None:
    async def tools(asked: dict[str, Any]) -> web.StreamResponse:
        return web.json_response(rpc(asked, tools=[{"name": "find", "inputSchema": schema}]))

    async with running_rude(polite(tools)) as rude:
        rig = Rig({"s": stored(rude.url())})
        async with opened(rig.box(mcp("find"))) as box:
            assert not box.specs
    assert rig.notes[0][0] == "tool_left_out"


async def test_a_link_that_is_cancelled_while_it_opens_leaves_no_task() -> None:
    async with running_bytes(b"", hang=True) as port:
        link = McpLink(stored(f"http://127.0.0.1:{port}/mcp"), HERE)
        opening = asyncio.create_task(link.list_tools(5.0))
        await asyncio.sleep(0.1)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        await link.close()
        assert (await link.use("find", {})).failed


# Stored servers.


async def test_stored_servers_come_with_their_headers_and_to_their_tenant_only(
    pool: asyncpg.Pool,
) -> None:
    vault, other = Vault([b"k" * 32]), Vault([b"o" * 32])
    async with pool.acquire() as connection:
        mine = await create_organisation(connection, "Mine")
        theirs = await create_organisation(connection, "Theirs")
        values = {"url": "https://example.com/mcp", "transport": "sse", "timeout_seconds": 7}
        plain = await create_server(connection, mine, {"name": "Plain", **values})
        secret = await create_server(connection, mine, {"name": "Secret", **values})
        foreign = await create_server(connection, theirs, {"name": "Foreign", **values})
        sealed = vault.seal(b'{"Authorization": "Bearer x"}', bound_to(mine, secret.id))
        changes = {"headers": sealed, "header_names": ["Authorization"]}
        await update_server(connection, mine, secret.id, changes)
        shown = await MCP_SERVERS.get(connection, mine, secret.id)
        assert shown.header_names == ["Authorization"]
    ids = [plain.id, secret.id, foreign.id]
    found = await StoredMcpServers(pool, vault).find(mine, ids)
    assert found == {
        plain.id: StoredServer("Plain", McpServer("https://example.com/mcp", "sse"), 7.0),
        secret.id: StoredServer(
            "Secret",
            McpServer("https://example.com/mcp", "sse", {"Authorization": "Bearer x"}),
            7.0,
        ),
    }
    assert "Bearer" not in repr(found)
    found = await StoredMcpServers(pool, other).find(mine, [secret.id])
    assert found == {secret.id: "its stored headers cannot be opened; store them again"}


# Results.


def test_the_contents_of_a_result_become_words() -> None:
    content = [
        TextContent(type="text", text="It rains."),
        ImageContent(type="image", data="aaaa", mimeType="image/png"),
        AudioContent(type="audio", data="aaaa", mimeType="audio/wav"),
        EmbeddedResource(
            type="resource",
            resource=TextResourceContents(uri=AnyUrl("file:///a"), text="Take a coat."),
        ),
        EmbeddedResource(
            type="resource", resource=BlobResourceContents(uri=AnyUrl("file:///b"), blob="aaaa")
        ),
    ]
    text = "It rains.\n[an image]\n[a sound]\nTake a coat.\n[a resource: embedded]"
    assert read_result(CallToolResult(content=content)) == ToolAnswer(text)
    assert read_result(CallToolResult(content=[], structuredContent={"a": 1})).value == {"a": 1}
    failed = read_result(CallToolResult(content=content[:1], isError=True))
    assert failed == ToolAnswer({"error": "It rains."}, failed=True)
    silent = read_result(CallToolResult(content=[], isError=True))
    assert silent.failed
    assert silent.value["error"]
