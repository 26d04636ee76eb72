"""`/organizations`, and `/account`, its older name."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from api.bodies import refusal
from api.endpoints import Endpoints
from api.parts import Asked
from api.resources.organisation_bodies import (
    RETENTIONS,
    UNMETERED_MINUTES,
    AccountView,
    ChildView,
    CreateOrganisation,
    NewOrganisationView,
    OrganisationQuery,
    OrganisationView,
    ParentView,
    UpdateOrganisation,
)
from db import organisations as table
from sovereign_ari.errors import Impossible, NotFound

organisations = Endpoints("Organisation")


def _counts(totals: table.Totals) -> dict[str, Any]:
    return {
        "monthly_usage_minutes": round(totals.used_s / 60, 2),
        "active_numbers": totals.active_numbers,
        "active_agents": totals.active_assistants,
        "active_assistants": totals.active_assistants,
        "active_calls": totals.active_calls,
    }


def month_of(moment: datetime) -> datetime:
    """The first of its month, 00:00 UTC."""
    return moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


async def _read(asked: Asked) -> tuple[dict[str, Any], list[ChildView]]:
    """What the views show of the caller's organisation, and of its children."""
    record = await table.get_organisation(asked.connection, asked.organisation_id)
    now = asked.parts.now()
    totals = await table.read_totals(asked.connection, month_of(now), now)
    own = totals.pop(record.id)
    shown = {
        "parent_org_id": record.parent_id,
        "minutes_balance": UNMETERED_MINUTES,
        "is_metered": False,
        "has_local_models_access": True,
        **_counts(own),
    }
    shown |= {name: getattr(record, name) for name in table.SHOWN}
    if not asked.sees_secrets:
        shown["webhook_secret"] = None
    return shown, [ChildView.showing(child, **_counts(child)) for child in totals.values()]


@organisations.add("GET", "/organizations", "Read the organisation of the key")
async def show_organisation(asked: Asked, query: OrganisationQuery) -> ParentView:
    """With `include_children`, also its children's totals: never their content."""
    shown, children = await _read(asked)
    return ParentView.showing(None, **shown, children=children if query.include_children else None)


@organisations.add("GET", "/account", "Read the organisation of the key", deprecated=True)
async def show_account(asked: Asked) -> AccountView:
    """Older name of `/organizations`."""
    shown, _ = await _read(asked)
    return AccountView.showing(None, **shown, email=None, company_name=shown["name"])


@organisations.add(
    "POST", "/organizations", "Create a child organisation", status=201, also=(404, 422)
)
async def create_organisation(asked: Asked, body: CreateOrganisation) -> NewOrganisationView:
    """It is made with its first key, which is in this answer and nowhere else."""
    parent_id = body.parent_org_id
    if parent_id not in (None, asked.organisation_id):
        now = asked.parts.now()
        if parent_id in await table.read_totals(asked.connection, now, now):
            raise Impossible(
                f"the organisation {parent_id} is a child itself, and children have none",
                code="organisation_too_deep",
                param="parent_org_id",
            )
        raise NotFound(
            f"no organisation {parent_id}; name the key's own or none", param="parent_org_id"
        )
    return NewOrganisationView.of(
        await table.add_child(asked.connection, asked.organisation_id, body.name)
    )


@organisations.add("PATCH", "/organizations", "Change the organisation of the key")
async def update_organisation(asked: Asked, body: UpdateOrganisation) -> OrganisationView:
    """Both retentions or neither. What is older goes within minutes, and does not come back."""
    values = body.given()
    if lines := _faults(asked, values):
        raise refusal(lines)
    await table.update_organisation(asked.connection, asked.organisation_id, values)
    shown, _ = await _read(asked)
    return OrganisationView.showing(None, **shown)


def _faults(asked: Asked, values: Mapping[str, Any]) -> list[str]:
    """What no single field can say."""
    lines = []
    if not values or any(name in values for name in RETENTIONS):
        lines = [f"{name}: is required" for name in RETENTIONS if name not in values]
    if not lines and RETENTIONS[0] in values:
        content, metadata = (values[name] for name in RETENTIONS)
        if content > metadata:
            lines.append(
                f"content_retention_days: {content} is longer than metadata_retention_days,"
                f" {metadata}; content may not outlive metadata"
            )
    if (url := values.get("webhook_url")) is not None:
        fault = asked.parts.outgoing.fault(url)
        lines += [f"webhook_url: {fault}"] if fault is not None else []
    return lines
