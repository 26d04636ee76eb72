"""`/tool-templates`."""

from __future__ import annotations

from dataclasses import replace

from api.endpoints import Deleted, Endpoints
from api.parts import Asked
from api.resources.tool_template_bodies import (
    CreateToolTemplate,
    ToolTemplateView,
    UpdateToolTemplate,
)
from api.resources.tool_template_reading import read_template
from api.resources.tools import without_secret
from db.templates import TOOL_TEMPLATES, ToolTemplateRecord

ONE = {"envelope": "tool_template", "older_envelope": "toolTemplate"}
MANY = {"envelope": "tool_templates", "older_envelope": "toolTemplates"}
tool_templates = Endpoints("Tool templates")


def _view(asked: Asked, record: ToolTemplateRecord) -> ToolTemplateView:
    if not asked.sees_secrets:
        record = replace(record, tool_config=without_secret(record.tool_config))
    return ToolTemplateView.of(record)


@tool_templates.add("GET", "/tool-templates", "List tool templates, newest first", **MANY)
async def list_tool_templates(asked: Asked) -> list[ToolTemplateView]:
    """All of the organisation, under both spellings of the envelope."""
    records = await TOOL_TEMPLATES.list(asked.connection, asked.organisation_id)
    return [_view(asked, record) for record in records]


@tool_templates.add("POST", "/tool-templates", "Create a tool template", status=201, **ONE)
async def create_tool_template(asked: Asked, body: CreateToolTemplate) -> ToolTemplateView:
    """Assistants take copies of it: `tool_config` goes into `llm_config.tools`."""
    values = read_template(body, None, asked.parts.outgoing)
    return _view(
        asked, await TOOL_TEMPLATES.create(asked.connection, asked.organisation_id, values)
    )


@tool_templates.add("GET", "/tool-templates/{template_id}", "Read a tool template", **ONE)
async def show_tool_template(asked: Asked, template_id: str) -> ToolTemplateView:
    """One of the organisation."""
    return _view(
        asked, await TOOL_TEMPLATES.get(asked.connection, asked.organisation_id, template_id)
    )


@tool_templates.add("PATCH", "/tool-templates/{template_id}", "Change a tool template", **ONE)
async def update_tool_template(
    asked: Asked, template_id: str, body: UpdateToolTemplate
) -> ToolTemplateView:
    """Only named fields change; assistants that copied the template keep what they have."""
    place = (asked.connection, asked.organisation_id, template_id)
    stored = await TOOL_TEMPLATES.get(*place, lock=True)
    values = read_template(body, stored, asked.parts.outgoing)
    return _view(asked, await TOOL_TEMPLATES.update(*place, values))


@tool_templates.add("DELETE", "/tool-templates/{template_id}", "Delete a tool template")
async def delete_tool_template(asked: Asked, template_id: str) -> Deleted:
    """Assistants that copied it keep what they have."""
    await TOOL_TEMPLATES.delete(asked.connection, asked.organisation_id, template_id)
    return Deleted()
