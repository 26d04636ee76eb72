"""`/analysis-templates`."""

from __future__ import annotations

from typing import Any

from api.bodies import refusal
from api.endpoints import Deleted, Endpoints
from api.parts import Asked
from api.resources.analysis_template_bodies import (
    AnalysisTemplateView,
    CreateAnalysisTemplate,
    UpdateAnalysisTemplate,
)
from db.templates import ANALYSIS_TEMPLATES, AnalysisTemplateRecord

ONE = {"envelope": "analysis_template", "older_envelope": "analysisTemplate"}
MANY = {"envelope": "analysis_templates", "older_envelope": "analysisTemplates"}
analysis_templates = Endpoints("Analysis templates")
PROMPTS = {"system_prompt": "system", "user_prompt": "user"}


def read_template(
    body: CreateAnalysisTemplate | UpdateAnalysisTemplate, stored: AnalysisTemplateRecord | None
) -> dict[str, Any]:
    """Give the columns that a body sets; prompts and messages say the same in the end.

    Raises:
        InvalidRequest: When they contradict each other.
    """
    values = body.given()
    if not values.keys() & {"messages", *PROMPTS}:
        return values
    messages = list(
        values["messages"] or [] if "messages" in values else (stored and stored.messages) or []
    )
    lines = []
    for field, role in PROMPTS.items():
        if field not in values:
            continue
        place = next((n for n, each in enumerate(messages) if each["role"] == role), None)
        said = None if place is None else messages[place]["content"]
        prompt = values[field]
        if values.get("messages") and prompt is not None and prompt != said:
            lines.append(f"{field}: messages and {field} have different values")
        elif not values.get("messages"):
            messages = _with_prompt(messages, role, place, prompt)
    if lines:
        raise refusal(lines)
    return {**values, "messages": messages or None, **_prompts(messages)}


def _with_prompt(
    messages: list[dict[str, Any]], role: str, place: int | None, prompt: str | None
) -> list[dict[str, Any]]:
    """Replace, add or take away the first message of a role; that of the system stands first."""
    if place is not None:
        new = [] if prompt is None else [{"role": role, "content": prompt}]
        return [*messages[:place], *new, *messages[place + 1 :]]
    if prompt is None:
        return messages
    message = {"role": role, "content": prompt}
    return [message, *messages] if role == "system" else [*messages, message]


def _prompts(messages: list[dict[str, Any]]) -> dict[str, str | None]:
    return {
        field: next((each["content"] for each in messages if each["role"] == role), None)
        for field, role in PROMPTS.items()
    }


@analysis_templates.add(
    "GET", "/analysis-templates", "List analysis templates, newest first", **MANY
)
async def list_analysis_templates(asked: Asked) -> list[AnalysisTemplateView]:
    """All of the organisation, under both spellings of the envelope."""
    records = await ANALYSIS_TEMPLATES.list(asked.connection, asked.organisation_id)
    return [AnalysisTemplateView.of(record) for record in records]


@analysis_templates.add(
    "POST", "/analysis-templates", "Create an analysis template", status=201, **ONE
)
async def create_analysis_template(
    asked: Asked, body: CreateAnalysisTemplate
) -> AnalysisTemplateView:
    """Prompts and messages are two ways to write the same."""
    values = read_template(body, None)
    return AnalysisTemplateView.of(
        await ANALYSIS_TEMPLATES.create(asked.connection, asked.organisation_id, values)
    )


@analysis_templates.add(
    "GET", "/analysis-templates/{template_id}", "Read an analysis template", **ONE
)
async def show_analysis_template(asked: Asked, template_id: str) -> AnalysisTemplateView:
    """One of the organisation."""
    return AnalysisTemplateView.of(
        await ANALYSIS_TEMPLATES.get(asked.connection, asked.organisation_id, template_id)
    )


@analysis_templates.add(
    "PATCH", "/analysis-templates/{template_id}", "Change an analysis template", **ONE
)
async def update_analysis_template(
    asked: Asked, template_id: str, body: UpdateAnalysisTemplate
) -> AnalysisTemplateView:
    """Only named fields change; assistants that copied the template keep what they have."""
    place = (asked.connection, asked.organisation_id, template_id)
    stored = await ANALYSIS_TEMPLATES.get(*place, lock=True)
    return AnalysisTemplateView.of(
        await ANALYSIS_TEMPLATES.update(*place, read_template(body, stored))
    )


@analysis_templates.add(
    "DELETE", "/analysis-templates/{template_id}", "Delete an analysis template"
)
async def delete_analysis_template(asked: Asked, template_id: str) -> Deleted:
    """Assistants that copied it keep what they have."""
    await ANALYSIS_TEMPLATES.delete(asked.connection, asked.organisation_id, template_id)
    return Deleted()
