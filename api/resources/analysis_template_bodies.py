"""What clients send and see of an analysis template, under the keys of every generation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Self

from pydantic import ConfigDict, Field
from pydantic.config import JsonDict

from api.bodies import Body, without_defaults
from api.json_schemas import JsonSchema
from api.kinds import Name, Text, Timestamp, Uuid
from api.resources.speech_bodies import PlanMessage
from api.views import View
from db.templates import AnalysisTemplateRecord

_EXAMPLE: dict[str, Any] = {
    "name": "Satisfaction",
    "description": "Was the caller helped?",
    "system_prompt": "You judge telephone calls.",
    "user_prompt": "Read this call and fill the schema: {transcript}",
    "schema": {
        "type": "object",
        "properties": {"satisfied": {"type": "boolean"}},
        "required": ["satisfied"],
    },
    "min_messages_threshold": 4,
}


class _Common(Body):
    description: Text | None = None
    system_prompt: Text | None = Field(
        default=None, description="The first system message of `messages`."
    )
    user_prompt: Text | None = Field(
        default=None,
        description="The first user message of `messages`. It may hold {transcript}, {summary},"
        " {duration} and {caller_number}, in single or double braces.",
    )
    json_schema: JsonSchema | None = Field(default=None, alias="schema")
    messages: Annotated[list[PlanMessage], Field(max_length=50)] | None = Field(
        default=None, description="Another way to write the two prompts."
    )
    min_messages_threshold: Annotated[int, Field(ge=0, le=10_000)] | None = None


def _one_way(schema: JsonDict) -> None:
    """Say that prompts and messages go together only when they agree."""
    without_defaults(schema)
    schema["anyOf"] = [
        {"properties": {"messages": {"type": "null"}}},
        {"properties": {name: {"type": "null"} for name in ("system_prompt", "user_prompt")}},
    ]


class CreateAnalysisTemplate(_Common):
    """A new template. Only the name is required."""

    model_config = ConfigDict(json_schema_extra=_one_way)
    example: ClassVar[Mapping[str, Any]] = _EXAMPLE

    name: Name


class UpdateAnalysisTemplate(_Common):
    """Changes of a template: only what is named; null clears."""

    model_config = ConfigDict(json_schema_extra=_one_way)
    example: ClassVar[Mapping[str, Any]] = {"user_prompt": "Was the caller helped? {transcript}"}

    name: Name = ""


class AnalysisTemplateView(View):
    """An analysis template."""

    example: ClassVar[Mapping[str, Any]] = {
        "id": "3f1f7d0e-56c5-4f5e-8a4b-0f8d1d3c7a11",
        "org_id": "0f8fad5b-d9cb-469f-a165-70867728950e",
        **_EXAMPLE,
        "messages": [
            {"role": "system", "content": _EXAMPLE["system_prompt"]},
            {"role": "user", "content": _EXAMPLE["user_prompt"]},
        ],
        "created_at": "2026-03-17T09:30:00.000Z",
        "updated_at": "2026-03-17T09:30:00.000Z",
    }

    id: Uuid
    org_id: Uuid
    name: str
    description: str | None
    system_prompt: str | None
    user_prompt: str | None
    json_schema: dict[str, Any] | None = Field(alias="schema")
    messages: list[dict[str, Any]] | None
    min_messages_threshold: int | None
    created_at: Timestamp
    updated_at: Timestamp

    @classmethod
    def of(cls, record: AnalysisTemplateRecord) -> Self:
        """Show a row."""
        return cls.showing(record, org_id=record.organisation_id, json_schema=record.schema)
