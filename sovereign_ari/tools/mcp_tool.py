"""A tool of an MCP server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sovereign_ari.conversation.tools import Prepared, ToolAnswer
from sovereign_ari.speech.base import ToolSpec
from sovereign_ari.tools.arguments import Arguments
from sovereign_ari.tools.mcp_link import McpLink


@dataclass(frozen=True, slots=True)
class McpTool:
    """One such tool.

    Attributes:
        spec: How it is offered; its name may differ from `name`.
        takes: What it takes.
        name: What its server calls it.
        link: The connection.
    """

    spec: ToolSpec
    takes: Arguments
    name: str
    link: McpLink

    def prepared(self, call_id: str, arguments: Mapping[str, Any]) -> Prepared:
        """See `Tool`."""

        async def run() -> ToolAnswer:
            return await self.link.use(self.name, arguments)

        return Prepared(run)
