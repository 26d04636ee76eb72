"""What clients send and see of campaigns and their leads."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from datetime import time
from importlib.resources import files
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
)

from api.bodies import Body, without_defaults
from api.kinds import E164, Line, Name, Text, Timestamp, Uuid
from api.views import View
from db.campaigns import CampaignRecord

MOST_LEADS = 5000  # of one request: with their names and variables they fit into a body
MOST_VARIABLES = 100
TIMEZONES = tuple(files("tzdata").joinpath("zones").read_text(encoding="ascii").split())
"""Every name of the IANA time zone database that comes with us."""

_CLOCK = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?")


def _clock(value: Any) -> time:
    if isinstance(value, time):
        return value
    if not isinstance(value, str) or _CLOCK.fullmatch(value) is None:
        raise ValueError("is not a time of day from 00:00:00 to 23:59:59, as HH:MM:SS or HH:MM")
    return time.fromisoformat(value)


def _timezone(name: str) -> str:
    if name in TIMEZONES:
        return name
    folded = {known.lower(): known for known in TIMEZONES}
    close = difflib.get_close_matches(name.lower(), folded, n=1, cutoff=0.5)
    hint = f"; did you mean {folded[close[0]]}?" if close else ", such as Europe/Amsterdam"
    raise ValueError(f"is not the name of an IANA time zone{hint}")


ClockTime = Annotated[
    time,
    BeforeValidator(_clock),
    PlainSerializer(lambda value: value, return_type=time),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?$",
            "description": "Of the day in the campaign's time zone; HH:MM is accepted too.",
        },
    ),
]
Timezone = Annotated[
    str,
    Field(max_length=64),
    AfterValidator(_timezone),
    WithJsonSchema({"type": "string", "enum": list(TIMEZONES)}),
]
Variables = Annotated[dict[Line, Text], Field(max_length=MOST_VARIABLES)]


class NewLead(Body):
    """Somebody to be called. `variables` fill the campaign's template."""

    aliases: ClassVar[Mapping[str, str]] = {"number": "phone_number"}
    example: ClassVar[Mapping[str, Any]] = {
        "phone_number": "+31612345678",
        "name": "Anna de Vries",
        "variables": {"first_name": "Anna", "appointment": "Tuesday at ten"},
    }

    phone_number: E164 = Field(description="E.164, once in a campaign; `number` is accepted too.")
    name: Line | None = None
    variables: Variables = Field(default={})


class CreateCampaign(Body):
    """A campaign. Its hours end later on the same day than they begin."""

    aliases: ClassVar[Mapping[str, str]] = {"agent_id": "assistant_id"}
    example: ClassVar[Mapping[str, Any]] = {
        "name": "Reminders for May",
        "assistant_id": "6f1c2a52-3b0e-4a55-9f0b-0c8f3f2f1d10",
        "status": "draft",
        "system_message_template": "You call {{first_name}} about {{appointment}}.",
        "schedule_start_time": "09:00:00",
        "schedule_end_time": "17:00:00",
        "timezone": "Europe/Amsterdam",
        "leads": [dict(NewLead.example)],
    }

    name: Name
    assistant_id: Uuid = Field(description="Who calls; `agent_id` is accepted too.")
    status: Literal["draft", "scheduled"] = "draft"
    system_message_template: Text | None = None
    schedule_start_time: ClockTime = time(9)
    schedule_end_time: ClockTime = time(17)
    timezone: Timezone = "Europe/Amsterdam"
    leads: Annotated[list[NewLead], Field(max_length=MOST_LEADS)] = Field(default=[])


class UpdateCampaign(Body):
    """Changes of a campaign: only what is named."""

    model_config = ConfigDict(json_schema_extra=without_defaults)
    example: ClassVar[Mapping[str, Any]] = {
        "name": "Reminders for June",
        "status": "scheduled",
        "system_message_template": "You call {{first_name}} about {{appointment}}.",
        "schedule_start_time": "10:00:00",
        "schedule_end_time": "16:30:00",
        "timezone": "Europe/London",
    }

    name: Name = ""
    status: Literal["draft", "scheduled", "paused", "cancelled"] = "draft"
    system_message_template: Text | None = None
    schedule_start_time: ClockTime = time(9)
    schedule_end_time: ClockTime = time(17)
    timezone: Timezone = "Europe/Amsterdam"


class CampaignView(View):
    """A campaign, under the keys of every generation of clients."""

    example: ClassVar[Mapping[str, Any]] = {
        "id": "0a6d2b1e-5f0c-4a7e-8a39-3a1f5f1f7c55",
        "name": "Reminders for May",
        "assistant_id": "6f1c2a52-3b0e-4a55-9f0b-0c8f3f2f1d10",
        "assistant_name": "Reception",
        "agent_id": "6f1c2a52-3b0e-4a55-9f0b-0c8f3f2f1d10",
        "agent_name": "Reception",
        "status": "draft",
        "system_message_template": "You call {{first_name}} about {{appointment}}.",
        "schedule_start_time": "09:00:00",
        "schedule_end_time": "17:00:00",
        "timezone": "Europe/Amsterdam",
        "total_leads": 120,
        "completed_leads": 0,
        "failed_leads": 0,
        "created_at": "2026-05-01T08:30:00.000Z",
        "updated_at": "2026-05-01T08:30:00.000Z",
    }

    id: Uuid
    name: str
    assistant_id: Uuid | None
    assistant_name: str | None
    agent_id: Uuid | None
    agent_name: str | None
    status: Literal["draft", "scheduled", "paused", "completed", "cancelled"]
    system_message_template: str | None
    schedule_start_time: ClockTime
    schedule_end_time: ClockTime
    timezone: str
    total_leads: int
    completed_leads: int
    failed_leads: int
    created_at: Timestamp
    updated_at: Timestamp

    @classmethod
    def of(cls, record: CampaignRecord) -> Self:
        """Show a row."""
        return cls.showing(record, agent_id=record.assistant_id, agent_name=record.assistant_name)


class LeadView(View):
    """A lead, and what became of it."""

    example: ClassVar[Mapping[str, Any]] = {
        "id": "f4a0c7de-0c39-4f0c-9b5e-3f4b9f0a2c11",
        "campaign_id": "0a6d2b1e-5f0c-4a7e-8a39-3a1f5f1f7c55",
        "phone_number": "+31612345678",
        "name": "Anna de Vries",
        "variables": {"first_name": "Anna", "appointment": "Tuesday at ten"},
        "status": "pending",
        "call_id": None,
        "attempts": 0,
        "last_attempt_at": None,
        "created_at": "2026-05-01T08:30:00.000Z",
    }

    id: Uuid
    campaign_id: Uuid
    phone_number: str
    name: str | None
    variables: dict[str, str]
    status: Literal["pending", "calling", "completed", "failed", "skipped"]
    call_id: str | None
    attempts: int
    last_attempt_at: Timestamp | None
    created_at: Timestamp
