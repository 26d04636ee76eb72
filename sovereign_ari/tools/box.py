"""The tools of one call: read from its assistant, offered to its model, checked and run."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from sovereign_ari.conversation.terms import Transfers
from sovereign_ari.conversation.tools import (
    END_CALL,
    Patience,
    Prepared,
    ToolAnswer,
    failure,
    may_hang_up,
    unknown,
)
from sovereign_ari.errors import OutgoingFailed, TryAgain
from sovereign_ari.outgoing.mcp import ToolInfo
from sovereign_ari.outgoing.policy import OutgoingPolicy
from sovereign_ari.speech.base import ToolCall, ToolSpec
from sovereign_ari.tools.arguments import Arguments, ArgumentsFault, SchemaFault, check_schema
from sovereign_ari.tools.mcp_link import McpLink, StoredServer
from sovereign_ari.tools.mcp_tool import McpTool
from sovereign_ari.tools.names import offered_name
from sovereign_ari.tools.tool import Tool
from sovereign_ari.tools.transfer import NAME as TRANSFER
from sovereign_ari.tools.transfer import read_transfer_tool
from sovereign_ari.tools.webhook import WebhookCall, read_webhook_tool

MOST_TOOLS = 128  # what vendors take in one request
REQUIRED_WITHIN_S = 5.0  # while the caller hears ringing
OPTIONAL_WITHIN_S = 2.5
_LONGEST_DESCRIPTION_CHARS = 1000  # of a stranger's tool


class McpServers(Protocol):
    """Knows the MCP servers that organisations configured."""

    async def find(
        self, organisation_id: str, server_ids: Sequence[str]
    ) -> Mapping[str, StoredServer | str]:
        """Read these; a text says why one cannot be used. One that is gone is left out.

        Raises:
            TryAgain: If they cannot be read now.
        """


class CallToolBox:
    """A `conversation.tools.ToolBox`, and `control.ports.CallTools`.

    Args:
        of: What the tools of the call share; its assistant has them.
        transfers: Puts the caller through.
        servers: Knows MCP servers.
        policy: Where connections may go.
        patience: How long a tool may run in silence.
    """

    def __init__(
        self,
        of: WebhookCall,
        transfers: Transfers,
        servers: McpServers,
        policy: OutgoingPolicy,
        patience: Patience,
    ) -> None:
        self.patience = patience
        self._of = of
        self._servers = servers
        self._policy = policy
        self._stored = [_canonical(tool) for tool in of.assistant.llm.get("tools") or ()]
        self._hangs_up = may_hang_up(self._stored)
        self._tools: dict[str, Tool] = {}
        self._links: list[McpLink] = []
        for stored in self._stored:
            self._add(stored, transfers)

    @property
    def specs(self) -> list[ToolSpec]:
        """What the model is offered besides hanging up."""
        return [tool.spec for tool in self._tools.values()]

    def prepare(self, call: ToolCall) -> Prepared | ToolAnswer:
        """See `ToolBox`: arguments that do not fit go back to the model, and nowhere else."""
        tool = self._tools.get(call.name)
        if tool is None:
            return unknown(call)
        try:
            arguments = tool.takes.read(call.arguments)
        except ArgumentsFault as fault:
            return failure(str(fault))
        return tool.prepared(call.id, arguments)

    async def open(self) -> None:
        """Connect to the MCP servers of the assistant.

        Raises:
            OutgoingFailed: If one that the assistant needs cannot be used.
        """
        wanted: dict[str, list[Mapping[str, Any]]] = {}
        for tool in self._stored:
            if tool.get("type") == "mcp":
                wanted.setdefault(tool["mcp_server_id"], []).append(tool)
        if not wanted:
            return
        found = await self._found(list(wanted))
        listed = await asyncio.gather(
            *(self._listed(found.get(id_, "it is gone"), tools) for id_, tools in wanted.items())
        )
        for (server_id, tools), result in zip(wanted.items(), listed, strict=True):
            if isinstance(result, str):
                self._missing(server_id, found.get(server_id), tools, result)
            else:
                self._offer(*result, tools)

    async def close(self) -> None:
        """Part from the MCP servers."""
        await asyncio.gather(*(link.close() for link in self._links))

    def _taken(self) -> set[str]:
        return {*self._tools, *([END_CALL.name] if self._hangs_up else [])}

    def _add(self, stored: Mapping[str, Any], transfers: Transfers) -> None:
        match stored.get("type", "function"):
            case "function":
                name = (stored.get("function") or stored)["name"]
                tool = read_webhook_tool(stored, offered_name(name, self._taken()), self._of)
                if tool is None:
                    why = "neither it nor its assistant has a server for tool calls"
                    self._of.note("tool_left_out", {"name": name, "reason": why})
                else:
                    self._tools[tool.spec.name] = tool
            case "transfer_call":
                chosen = offered_name(TRANSFER, self._taken())
                self._tools[chosen] = read_transfer_tool(stored, chosen, transfers)
            case _:  # the dialogue hangs up by itself; servers are asked in `open`
                pass

    async def _found(self, server_ids: list[str]) -> Mapping[str, StoredServer | str]:
        try:
            return await self._servers.find(self._of.assistant.organisation_id, server_ids)
        except TryAgain as error:
            return dict.fromkeys(server_ids, str(error))

    async def _listed(
        self, stored: StoredServer | str, tools: Sequence[Mapping[str, Any]]
    ) -> tuple[McpLink, list[ToolInfo]] | str:
        if isinstance(stored, str):
            return stored
        link = McpLink(stored, self._policy)
        self._links.append(link)
        limit_s = REQUIRED_WITHIN_S if _any_required(tools) else OPTIONAL_WITHIN_S
        try:
            return link, await link.list_tools(min(limit_s, stored.timeout_s))
        except OutgoingFailed as error:
            return str(error)

    def _missing(
        self,
        server_id: str,
        stored: StoredServer | str | None,
        tools: Sequence[Mapping[str, Any]],
        reason: str,
    ) -> None:
        """Note that a server cannot be used; it does not matter where none of it is required."""
        name = stored.name if isinstance(stored, StoredServer) else server_id
        required = _any_required(tools)
        facts = {"server": name, "error": reason, "required": required}
        self._of.note("mcp_server_unavailable", facts)
        if required:
            raise OutgoingFailed(f"the assistant needs the MCP server {name}: {reason}")

    def _offer(
        self, link: McpLink, infos: Sequence[ToolInfo], tools: Sequence[Mapping[str, Any]]
    ) -> None:
        by_name = {info.name: info for info in infos}
        allowed = dict.fromkeys(name for tool in tools for name in tool.get("allowed_tools") or ())
        for name in allowed:
            reason = self._offer_one(link, by_name.get(name))
            if reason is not None:
                facts = {"server": link.stored.name, "name": name, "reason": reason}
                self._of.note("tool_left_out", facts)

    def _offer_one(self, link: McpLink, info: ToolInfo | None) -> str | None:
        """Offer a tool of a server, or say why not."""
        if info is None:
            return "its server does not have it"
        if len(self._tools) >= MOST_TOOLS:
            return f"there are {MOST_TOOLS} tools already"
        try:
            check_schema(info.input_schema)
        except SchemaFault as fault:
            return str(fault)
        chosen = offered_name(info.name, self._taken(), link.stored.name)
        takes = Arguments(info.input_schema)
        description = (info.description or "")[:_LONGEST_DESCRIPTION_CHARS]
        self._tools[chosen] = McpTool(
            ToolSpec(chosen, description, takes.schema), takes, info.name, link
        )
        return None


def _canonical(tool: Mapping[str, Any]) -> Mapping[str, Any]:
    """Read older spellings, which transient assistants may still have."""
    spelled = {"transferCall": "transfer_call", "endCall": "end_call"}
    kind = tool.get("type")
    return {**tool, "type": spelled[kind]} if kind in spelled else tool


def _any_required(tools: Sequence[Mapping[str, Any]]) -> bool:
    return any(tool.get("required", True) for tool in tools)
