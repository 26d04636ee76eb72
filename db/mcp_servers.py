"""MCP servers: where the tools of assistants and workflows come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

import asyncpg

from db.table import Table, named
from sovereign_ari.errors import Conflict


@dataclass(frozen=True, slots=True)
class McpServerRecord:
    """One row of `mcp_servers`, without the values of its headers."""

    id: str
    organisation_id: str
    name: str
    url: str
    transport: str
    header_names: list[str]
    timeout_seconds: int
    created_at: datetime
    updated_at: datetime


MCP_SERVERS = Table("mcp_servers", McpServerRecord, "MCP server", writable=("headers",))


def bound_to(organisation_id: str, server_id: str) -> str:
    """What the headers of a server are sealed for."""
    return f"mcp_server:{organisation_id}:{server_id}"


async def create_server(
    connection: asyncpg.Connection, organisation_id: str, values: Mapping[str, Any]
) -> McpServerRecord:
    """Add a server.

    Raises:
        Conflict: If the tenant has one of this name.
    """
    try:
        return await MCP_SERVERS.create(connection, organisation_id, values)
    except asyncpg.UniqueViolationError as error:
        raise _taken(values) from error


async def update_server(
    connection: asyncpg.Connection,
    organisation_id: str,
    server_id: str,
    values: Mapping[str, Any],
) -> McpServerRecord:
    """Change the named columns.

    Raises:
        NotFound: If the tenant has no such server.
        Conflict: If it has another one of this name.
    """
    try:
        return await MCP_SERVERS.update(connection, organisation_id, server_id, values)
    except asyncpg.UniqueViolationError as error:
        raise _taken(values) from error


async def servers_of(
    connection: asyncpg.Connection, organisation_id: str, server_ids: Sequence[str]
) -> list[tuple[McpServerRecord, bytes | None]]:
    """Read these servers of a tenant with their sealed headers; one that is gone is left out."""
    names = [field.name for field in fields(McpServerRecord)]
    rows = await connection.fetch(
        f"SELECT {', '.join(names)}, headers FROM mcp_servers"
        " WHERE organisation_id = $1 AND id = ANY($2::uuid[])",
        organisation_id,
        list(server_ids),
    )
    return [
        (MCP_SERVERS.read({name: row[name] for name in names}), row["headers"]) for row in rows
    ]


async def delete_server(
    connection: asyncpg.Connection, organisation_id: str, server_id: str
) -> None:
    """Remove a server that nothing uses.

    Raises:
        NotFound: If the tenant has no such server.
        Conflict: If assistants or workflows use it; the message names them.
    """
    async with connection.transaction():
        # The lock makes who is about to use this server wait, or us wait for them.
        server = await MCP_SERVERS.get(connection, organisation_id, server_id, lock=True)
        users = [
            *await _users(connection, organisation_id, server_id, "assistant"),
            *await _users(connection, organisation_id, server_id, "workflow"),
        ]
        if users:
            raise Conflict(
                f"the MCP server {server.name} is used by {named(users)};"
                " take its tools out there first"
            )
        await MCP_SERVERS.delete(connection, organisation_id, server_id)


async def _users(
    connection: asyncpg.Connection, organisation_id: str, server_id: str, kind: str
) -> list[str]:
    """Name the assistants or workflows that use a server."""
    rows = await connection.fetch(
        f"SELECT user_of.name FROM {kind}_mcp_servers AS link"
        f" JOIN {kind}s AS user_of ON user_of.id = link.{kind}_id"
        " WHERE link.organisation_id = $1 AND link.mcp_server_id = $2 ORDER BY user_of.name",
        organisation_id,
        server_id,
    )
    return [f"the {kind} {row['name']}" for row in rows]


def _taken(values: Mapping[str, Any]) -> Conflict:
    return Conflict(f"there is an MCP server with the name {values['name']} already")
