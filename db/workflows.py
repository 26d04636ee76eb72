"""Workflows: graphs that drive the calls of numbers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg

from db.table import Table
from sovereign_ari.errors import Conflict


@dataclass(frozen=True, slots=True)
class WorkflowRecord:
    """One row of `workflows`."""

    id: str
    name: str
    is_active: bool
    definition: dict[str, Any]
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class WorkflowSummaryRecord:
    """One row of `workflows`, with the size of its definition in its place."""

    id: str
    name: str
    is_active: bool
    entry_node: str | None
    node_count: int
    edge_count: int
    created_at: datetime
    updated_at: datetime


WORKFLOWS = Table("workflows", WorkflowRecord, "workflow")
_SUMMARIES = Table("workflows", WorkflowSummaryRecord, "workflow")


async def list_workflows(
    connection: asyncpg.Connection, organisation_id: str
) -> list[WorkflowSummaryRecord]:
    """All of a tenant, newest first."""
    rows = await connection.fetch(
        """
        SELECT id, name, is_active, definition ->> 'entry_node' AS entry_node,
               jsonb_array_length(definition -> 'nodes') AS node_count,
               jsonb_array_length(definition -> 'edges') AS edge_count, created_at, updated_at
          FROM workflows
         WHERE organisation_id = $1
         ORDER BY created_at DESC, id DESC
        """,
        organisation_id,
    )
    return [_SUMMARIES.read(row) for row in rows]


async def delete_workflow(
    connection: asyncpg.Connection, organisation_id: str, workflow_id: str
) -> None:
    """Remove a workflow.

    Raises:
        NotFound: If the tenant has no such workflow.
        Conflict: If numbers have it.
    """
    # The lock makes a number that is being given this workflow wait, or us wait for it.
    await WORKFLOWS.get(connection, organisation_id, workflow_id, lock=True)
    attached = await connection.fetchval(
        "SELECT count(*) FROM phone_numbers WHERE organisation_id = $1 AND workflow_id = $2",
        organisation_id,
        workflow_id,
    )
    if attached:
        raise Conflict(
            f"Workflow is attached to {attached} phone numbers. Detach it first"
            " (PATCH /numbers/{id} with workflow_id: null)."
        )
    await WORKFLOWS.delete(connection, organisation_id, workflow_id)


async def use_mcp_servers(
    connection: asyncpg.Connection,
    organisation_id: str,
    workflow_id: str,
    server_ids: Collection[str],
) -> None:
    """Write down which MCP servers a workflow names; they exist and are kept."""
    await connection.execute(
        "DELETE FROM workflow_mcp_servers WHERE organisation_id = $1 AND workflow_id = $2",
        organisation_id,
        workflow_id,
    )
    await connection.execute(
        "INSERT INTO workflow_mcp_servers (organisation_id, workflow_id, mcp_server_id)"
        " SELECT $1, $2, unnest($3::uuid[])",
        organisation_id,
        workflow_id,
        list(server_ids),
    )


async def create_workflow(
    connection: asyncpg.Connection,
    organisation_id: str,
    values: Mapping[str, Any],
    server_ids: Collection[str],
) -> WorkflowRecord:
    """Add a workflow, whose tools name these MCP servers."""
    record = await WORKFLOWS.create(connection, organisation_id, values)
    await use_mcp_servers(connection, organisation_id, record.id, server_ids)
    return record
