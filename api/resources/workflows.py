"""`/workflows`: graphs that drive the calls of numbers. They are kept here, and not run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from api.bodies import refusal
from api.endpoints import Deleted, Endpoints
from api.parts import Asked
from api.resources.tools import without_secret
from api.resources.workflow_bodies import (
    CreateWorkflow,
    UpdateWorkflow,
    WorkflowSummary,
    WorkflowView,
)
from api.resources.workflow_reading import read_definition
from db import workflows as table
from db.assistants import missing_mcp_servers

REALTIME = "realtime_provider_not_allowed_per_node"
workflows = Endpoints("Workflows")


async def _read(asked: Asked, raw: Any) -> tuple[dict[str, Any], list[str]]:
    """Read a definition; give what is stored, and the MCP servers that it names.

    Raises:
        InvalidRequest: With one line per fault.
    """
    found = read_definition(raw, asked.parts.catalogue, asked.parts.outgoing)
    servers = list(found.mcp_servers)
    if servers:
        missing = await missing_mcp_servers(asked.connection, asked.organisation_id, servers)
        found.lines += [
            f"{path}: no MCP server {server}"
            for server, path in found.mcp_servers.items()
            if server in missing
        ]
    if found.realtime:  # first, for the error's code is about its first line
        raise refusal([*found.realtime, *found.lines], code=REALTIME)
    if found.lines:
        raise refusal(found.lines)
    return found.definition, servers


def without_secrets(definition: Mapping[str, Any]) -> dict[str, Any]:
    """A definition as those see it who may not know what signs the calls of its tools."""
    nodes = [
        {**node, "tools": [without_secret(tool) for tool in node["tools"]]}
        if node.get("tools")
        else node
        for node in definition["nodes"]
    ]
    return {**definition, "nodes": nodes}


@workflows.add("GET", "/workflows", "List workflows, newest first", envelope="workflows")
async def list_workflows(asked: Asked) -> list[WorkflowSummary]:
    """All of the organisation, each without its definition."""
    records = await table.list_workflows(asked.connection, asked.organisation_id)
    return [WorkflowSummary.showing(record) for record in records]


@workflows.add("POST", "/workflows", "Create a workflow", envelope="workflow", status=201)
async def create_workflow(asked: Asked, body: CreateWorkflow) -> WorkflowView:
    """`details` has a line for each fault of the definition.

    Circles of nodes are fine as long as one of them talks, and no node has to end the call.
    """
    values = body.given()
    values["definition"], servers = await _read(asked, body.definition)
    return WorkflowView.showing(
        await table.create_workflow(asked.connection, asked.organisation_id, values, servers)
    )


@workflows.add("GET", "/workflows/{workflow_id}", "Read a workflow", envelope="workflow")
async def show_workflow(asked: Asked, workflow_id: str) -> WorkflowView:
    """One of the organisation, with its definition."""
    record = await table.WORKFLOWS.get(asked.connection, asked.organisation_id, workflow_id)
    more = {} if asked.sees_secrets else {"definition": without_secrets(record.definition)}
    return WorkflowView.showing(record, **more)


@workflows.add("PATCH", "/workflows/{workflow_id}", "Change a workflow", envelope="workflow")
async def update_workflow(asked: Asked, workflow_id: str, body: UpdateWorkflow) -> WorkflowView:
    """The definition is replaced whole, from the next call on.

    With `is_active` false, numbers that have it fall back to their assistant.
    """
    values, servers = body.given(), None
    await table.WORKFLOWS.get(asked.connection, asked.organisation_id, workflow_id, lock=True)
    if "definition" in values:
        values["definition"], servers = await _read(asked, body.definition)
    changed = await table.WORKFLOWS.update(
        asked.connection, asked.organisation_id, workflow_id, values
    )
    if servers is not None:
        await table.use_mcp_servers(asked.connection, asked.organisation_id, workflow_id, servers)
    return WorkflowView.showing(changed)


@workflows.add("DELETE", "/workflows/{workflow_id}", "Delete a workflow", also=(409,))
async def delete_workflow(asked: Asked, workflow_id: str) -> Deleted:
    """Refused while numbers have it."""
    await table.delete_workflow(asked.connection, asked.organisation_id, workflow_id)
    return Deleted()
