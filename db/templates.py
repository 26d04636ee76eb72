"""Templates of tools and of analyses: assistants take copies of them, not references."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from db.table import Table


@dataclass(frozen=True, slots=True)
class ToolTemplateRecord:
    """One row of `tool_templates`.

    Attributes:
        tool_config: Canonical. Of a function: `name`, `description`, `parameters`, `url`,
            `server`, `async`, `async_response`, `message`, all optional; of a transfer:
            `destinations`; of `end_call`: nothing.
    """

    id: str
    organisation_id: str
    name: str
    description: str | None
    tool_type: str
    tool_config: dict[str, Any] = field(repr=False)
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class AnalysisTemplateRecord:
    """One row of `analysis_templates`.

    Attributes:
        messages: `{role, content}` each; the prompts are the first of either role.
        schema: JSON Schema of what is extracted.
    """

    id: str
    organisation_id: str
    name: str
    description: str | None
    system_prompt: str | None
    user_prompt: str | None
    schema: dict[str, Any] | None
    messages: list[dict[str, Any]] | None
    min_messages_threshold: int | None
    created_at: datetime
    updated_at: datetime


TOOL_TEMPLATES = Table("tool_templates", ToolTemplateRecord, "tool template")
ANALYSIS_TEMPLATES = Table("analysis_templates", AnalysisTemplateRecord, "analysis template")
