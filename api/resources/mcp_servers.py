"""`/mcp-servers`."""

from __future__ import annotations

from api.endpoints import Endpoints

mcp_servers = Endpoints("MCP servers")
