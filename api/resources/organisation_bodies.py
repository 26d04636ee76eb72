"""What clients send and see of an organisation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import ConfigDict, Field
from pydantic.config import JsonDict

from api.bodies import Body, without_defaults
from api.kinds import HttpUrl, Line, Name, Timestamp, Uuid
from api.queries import Query, Truth
from api.resources.assistant_bodies import WebhookEvent
from api.views import View
from db import organisations as table

CONTENT_DAYS = (30, 90, 180, 365)
METADATA_DAYS = (30, 90, 180, 365, 730)
RETENTIONS = ("content_retention_days", "metadata_retention_days")
UNMETERED_MINUTES = 1_000_000_000


class OrganisationQuery(Query):
    """Whether children are listed."""

    include_children: Truth = False


class CreateOrganisation(Body):
    """A child of the caller's organisation; it has none of its own."""

    example: ClassVar[Mapping[str, Any]] = {
        "name": "Bakery De Vries",
        "parent_org_id": "7b0d3c1e-5a52-4c8e-9d0e-2f6a1b3c4d5e",
    }

    name: Name
    parent_org_id: Uuid | None = Field(
        default=None, description="The caller's own organisation, which is also the default."
    )


def _retention_rules(schema: JsonDict) -> None:
    """State what holds between the two retentions: both or neither, content not the longer."""
    content, metadata = RETENTIONS
    schema["minProperties"] = 1
    schema["dependentRequired"] = {content: [metadata], metadata: [content]}
    schema["allOf"] = [
        {
            "if": {"properties": {content: {"const": days}}, "required": [content]},
            "then": {"properties": {metadata: {"enum": [m for m in METADATA_DAYS if m >= days]}}},
        }
        for days in CONTENT_DAYS[1:]
    ]
    without_defaults(schema)


class UpdateOrganisation(Body):
    """Changes of the caller's organisation: only what is named; null clears a webhook field."""

    model_config = ConfigDict(json_schema_extra=_retention_rules)
    example: ClassVar[Mapping[str, Any]] = {
        "content_retention_days": 90,
        "metadata_retention_days": 365,
        "webhook_url": "https://example.com/hooks/calls",
        "webhook_secret": "wh_3f9a1c77",
        "webhook_events": ["end-of-call-report"],
    }

    content_retention_days: Literal[30, 90, 180, 365] = Field(
        default=30,
        description="How long transcripts, summaries, analyses and recordings stay, from the end"
        " of the call. Needs `metadata_retention_days` beside it, which is not shorter.",
    )
    metadata_retention_days: Literal[30, 90, 180, 365, 730] = Field(
        default=30, description="How long callers' numbers, events and campaign links stay."
    )
    name: Name = ""
    webhook_url: HttpUrl | None = Field(
        default=None, description="Of calls whose assistant names none."
    )
    webhook_secret: Line | None = None
    webhook_events: Annotated[list[WebhookEvent], Field(max_length=16)] | None = Field(
        default=None, description="Null means all."
    )


_ID = "7b0d3c1e-5a52-4c8e-9d0e-2f6a1b3c4d5e"
_CREATED = "2026-03-17T09:30:00.000Z"
_COUNTS: dict[str, Any] = {
    "monthly_usage_minutes": 412.35,
    "active_numbers": 3,
    "active_agents": 5,
    "active_assistants": 5,
    "active_calls": 1,
}
_SHOWN: dict[str, Any] = {
    "id": _ID,
    "name": "Voice Agency",
    "parent_org_id": None,
    "minutes_balance": UNMETERED_MINUTES,
    "is_metered": False,
    **_COUNTS,
    "has_local_models_access": True,
    "content_retention_days": 90,
    "metadata_retention_days": 365,
    "webhook_url": "https://example.com/hooks/calls",
    "webhook_secret": "wh_3f9a1c77",
    "webhook_events": ["end-of-call-report"],
    "outbound_allowed_prefixes": ["+31", "+32"],
    "outbound_refused_prefixes": ["+3190"],
    "outbound_concurrency": 20,
    "outbound_calls_per_second": 5.0,
    "created_at": _CREATED,
    "updated_at": _CREATED,
}


class _Counted(View):
    """Totals of one organisation."""

    id: Uuid
    name: str
    monthly_usage_minutes: float
    active_numbers: int
    active_agents: int
    active_assistants: int
    active_calls: int
    created_at: Timestamp


class ChildView(_Counted):
    """A child: its totals, and nothing of what it does."""

    example: ClassVar[Mapping[str, Any]] = {
        "id": "1c2d3e4f-5a6b-4c7d-8e9f-0a1b2c3d4e5f",
        "name": "Bakery De Vries",
        **_COUNTS,
        "created_at": _CREATED,
    }


class OrganisationView(_Counted):
    """An organisation.

    Minutes are not metered by this installation yet: `is_metered` is false, and the balance is a
    number that does not run out. Usage counts the seconds of answered calls since the first of
    the month, 00:00 UTC, those of calls in progress too. What may be called, `outbound_*`, the
    operator alone changes: `sovereign orgs permit`. Allowed prefixes of null mean every country.
    """

    example: ClassVar[Mapping[str, Any]] = _SHOWN

    parent_org_id: Uuid | None
    minutes_balance: float
    is_metered: bool
    has_local_models_access: bool
    content_retention_days: int | None
    metadata_retention_days: int | None
    webhook_url: str | None
    webhook_secret: str | None
    webhook_events: list[str] | None
    outbound_allowed_prefixes: list[str] | None
    outbound_refused_prefixes: list[str]
    outbound_concurrency: int
    outbound_calls_per_second: float
    updated_at: Timestamp


class ParentView(OrganisationView):
    """An organisation; with its children, newest first, when they were asked for."""

    example: ClassVar[Mapping[str, Any]] = {**_SHOWN, "children": [ChildView.example]}

    children: list[ChildView] | None = Field(
        default=None, exclude_if=lambda children: children is None
    )


class AccountView(OrganisationView):
    """An organisation under the keys of older clients too. There is no e-mail address."""

    example: ClassVar[Mapping[str, Any]] = {
        **_SHOWN,
        "email": None,
        "company_name": "Voice Agency",
    }

    email: str | None
    company_name: str


class NewOrganisationView(View):
    """A child with its key, shown this once."""

    example: ClassVar[Mapping[str, Any]] = {
        "id": "1c2d3e4f-5a6b-4c7d-8e9f-0a1b2c3d4e5f",
        "name": "Bakery De Vries",
        "parent_org_id": _ID,
        "api_key": "fl_live_EXAMPLE00000000000000000000000000000000",
        "created_at": _CREATED,
    }

    id: Uuid
    name: str
    parent_org_id: Uuid | None
    api_key: str
    created_at: Timestamp

    @classmethod
    def of(cls, made: table.NewOrganisation) -> Self:
        """Show what was made."""
        return cls.showing(made, parent_org_id=made.parent_id)
