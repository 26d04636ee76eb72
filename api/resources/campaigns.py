"""`/campaigns`: people to be called, by whom and when. This part of the product calls nobody."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import time
from typing import Any

from api.bodies import refusal
from api.endpoints import Deleted, Endpoints
from api.parts import Asked
from api.resources.campaign_bodies import (
    CampaignView,
    CreateCampaign,
    LeadView,
    NewLead,
    UpdateCampaign,
)
from db import campaigns as table
from sovereign_ari.domain.campaign import CampaignStatus, change, hours_fault, is_finished
from sovereign_ari.errors import Conflict, Impossible

campaigns = Endpoints("Campaigns")


async def _view(asked: Asked, campaign_id: str) -> CampaignView:
    return CampaignView.of(
        await table.get_campaign(asked.connection, asked.organisation_id, campaign_id)
    )


def _check_hours(start: time, end: time) -> None:
    if (fault := hours_fault(start, end)) is not None:
        raise refusal([f"schedule_end_time: {fault}"])


def _check_numbers(leads: Sequence[NewLead]) -> None:
    """A number stands once in a campaign."""
    first: dict[str, int] = {}
    lines = []
    for index, lead in enumerate(leads):
        known = first.setdefault(lead.phone_number, index)
        if known != index:
            twice = f"{lead.phone_number} stands at leads[{known}] already"
            lines.append(f"leads[{index}].phone_number: {twice}")
    if lines:
        raise refusal(lines)


async def _check_ready(asked: Asked, assistant_id: str) -> None:
    """A campaign is scheduled only where it could call."""
    lacks = await table.missing_to_call(asked.connection, asked.organisation_id, assistant_id)
    if lacks:
        raise Impossible(
            f"the campaign cannot be scheduled: {'; '.join(lacks)}",
            code="campaign_not_ready",
            param="status",
        )


@campaigns.add("GET", "/campaigns", "List campaigns, newest first", envelope="campaigns")
async def list_campaigns(asked: Asked) -> list[CampaignView]:
    """All of the organisation."""
    records = await table.list_campaigns(asked.connection, asked.organisation_id)
    return [CampaignView.of(record) for record in records]


@campaigns.add(
    "POST", "/campaigns", "Create a campaign", envelope="campaign", status=201, also=(404, 422)
)
async def create_campaign(asked: Asked, body: CreateCampaign) -> CampaignView:
    """All of its leads are taken, or nothing is.

    A status of `scheduled` needs an active assistant, and an active number with a SIP trunk.
    """
    _check_hours(body.schedule_start_time, body.schedule_end_time)
    _check_numbers(body.leads)
    values = body.given()
    leads: list[dict[str, Any]] = values.pop("leads", [])
    campaign_id = await table.create_campaign(asked.connection, asked.organisation_id, values)
    if CampaignStatus(body.status) is CampaignStatus.SCHEDULED:
        await _check_ready(asked, body.assistant_id)
    if leads:
        await table.add_leads(asked.connection, asked.organisation_id, campaign_id, leads)
    return await _view(asked, campaign_id)


@campaigns.add("GET", "/campaigns/{campaign_id}", "Read a campaign", envelope="campaign")
async def show_campaign(asked: Asked, campaign_id: str) -> CampaignView:
    """One of the organisation."""
    return await _view(asked, campaign_id)


@campaigns.add(
    "PATCH", "/campaigns/{campaign_id}", "Change a campaign", envelope="campaign", also=(409, 422)
)
async def update_campaign(asked: Asked, campaign_id: str, body: UpdateCampaign) -> CampaignView:
    """A status of `scheduled` starts it and `paused` stops it.

    A campaign that is completed or cancelled can no longer be changed.
    """
    values = body.given()
    stored = await table.CAMPAIGNS.get(
        asked.connection, asked.organisation_id, campaign_id, lock=True
    )
    wanted = CampaignStatus(values["status"]) if "status" in values else None
    change(CampaignStatus(stored.status), wanted)
    _check_hours(
        values.get("schedule_start_time", stored.schedule_start_time),
        values.get("schedule_end_time", stored.schedule_end_time),
    )
    if wanted is CampaignStatus.SCHEDULED:
        assert stored.assistant_id is not None  # of a campaign that is not finished
        await _check_ready(asked, stored.assistant_id)
    await table.CAMPAIGNS.update(asked.connection, asked.organisation_id, campaign_id, values)
    return await _view(asked, campaign_id)


@campaigns.add("DELETE", "/campaigns/{campaign_id}", "Delete a campaign", also=(409,))
async def delete_campaign(asked: Asked, campaign_id: str) -> Deleted:
    """Its leads go too; its calls stay. Refused while one of its leads is being called."""
    await table.delete_campaign(asked.connection, asked.organisation_id, campaign_id)
    return Deleted()


@campaigns.add(
    "GET", "/campaigns/{campaign_id}/leads", "List leads, oldest first", envelope="leads"
)
async def list_leads(asked: Asked, campaign_id: str) -> list[LeadView]:
    """All of the campaign."""
    await table.CAMPAIGNS.get(asked.connection, asked.organisation_id, campaign_id)
    leads = await table.list_leads(asked.connection, asked.organisation_id, campaign_id)
    return [LeadView.showing(lead) for lead in leads]


@campaigns.add(
    "POST", "/campaigns/{campaign_id}/leads", "Add a lead", envelope="lead", status=201,
    also=(409,),
)  # fmt: skip
async def add_lead(asked: Asked, campaign_id: str, body: NewLead) -> LeadView:
    """A number stands once in a campaign. One that is completed or cancelled takes no more."""
    status = await table.lock_campaign(asked.connection, asked.organisation_id, campaign_id)
    if is_finished(status):
        raise Conflict(f"the campaign is {status}: it takes no more leads")
    (lead,) = await table.add_leads(
        asked.connection, asked.organisation_id, campaign_id, [body.given()]
    )
    return LeadView.showing(lead)


@campaigns.add("DELETE", "/campaigns/{campaign_id}/leads/{lead_id}", "Remove a lead", also=(409,))
async def remove_lead(asked: Asked, campaign_id: str, lead_id: str) -> Deleted:
    """Its call stays. Refused while it is being called."""
    await table.CAMPAIGNS.get(asked.connection, asked.organisation_id, campaign_id)
    await table.delete_lead(asked.connection, asked.organisation_id, campaign_id, lead_id)
    return Deleted()
