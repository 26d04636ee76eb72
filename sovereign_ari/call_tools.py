"""The tools of calls, with MCP servers read from the database with their secret headers."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import cast

import asyncpg

from db.byok import Opens
from db.mcp_servers import McpServerRecord, bound_to, servers_of
from db.pool import UNAVAILABLE
from sovereign_ari.conversation.tools import Patience
from sovereign_ari.errors import DatabaseUnavailable, VaultClosed
from sovereign_ari.outgoing.mcp import McpServer, McpTransport
from sovereign_ari.outgoing.policy import OutgoingPolicy
from sovereign_ari.tools.mcp_link import StoredServer
from sovereign_ari.tools.source import CallToolSource, Outside
from sovereign_ari.tools.webhook import Sends

_log = logging.getLogger(__name__)


def call_tools(
    pool: asyncpg.Pool, vault: Opens, http: Sends, policy: OutgoingPolicy, patience: Patience
) -> CallToolSource:
    """Make the tools of all calls of a process."""
    outside = Outside(http, policy, StoredMcpServers(pool, vault))
    return CallToolSource(outside, lambda: datetime.now(UTC), patience)


class StoredMcpServers:
    """A `tools.box.McpServers`."""

    def __init__(self, pool: asyncpg.Pool, vault: Opens) -> None:
        self._pool = pool
        self._vault = vault

    async def find(
        self, organisation_id: str, server_ids: Sequence[str]
    ) -> Mapping[str, StoredServer | str]:
        """See `McpServers`."""
        try:
            async with self._pool.acquire() as connection:
                rows = await servers_of(connection, organisation_id, server_ids)
        except UNAVAILABLE as error:
            raise DatabaseUnavailable(f"{type(error).__name__}: {error}") from error
        return {record.id: self._opened(record, sealed) for record, sealed in rows}

    def _opened(self, record: McpServerRecord, sealed: bytes | None) -> StoredServer | str:
        headers: dict[str, str] = {}
        if sealed is not None:
            try:
                place = bound_to(record.organisation_id, record.id)
                headers = json.loads(self._vault.open(sealed, place))
            except VaultClosed as error:
                _log.error("headers of an MCP server cannot be opened: %s", error)
                return "its stored headers cannot be opened; store them again"
        transport = cast("McpTransport", record.transport)
        server = McpServer(record.url, transport, headers)
        return StoredServer(record.name, server, float(record.timeout_seconds))
