"""Campaigns and their leads.

Whoever begins to call a lead must set its status to `calling` in a statement that checks that
the lead is still there; campaigns and leads being called are not deleted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time
from typing import Any

import asyncpg

from db.table import Table
from sovereign_ari.domain.campaign import CampaignStatus
from sovereign_ari.errors import Conflict, NotFound


@dataclass(frozen=True, slots=True)
class CampaignRow:
    """One row of `campaigns`. Times are of the day in `timezone`."""

    id: str
    name: str
    assistant_id: str | None
    status: str
    system_message_template: str | None
    schedule_start_time: time
    schedule_end_time: time
    timezone: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class CampaignRecord(CampaignRow):
    """A campaign, with its assistant's name and how far its leads are."""

    assistant_name: str | None
    total_leads: int
    completed_leads: int
    failed_leads: int


@dataclass(frozen=True, slots=True)
class LeadRecord:
    """One row of `leads`: somebody to be called, whose number, name and variables are personal."""

    id: str
    campaign_id: str
    phone_number: str
    name: str | None
    variables: dict[str, str]
    status: str
    call_id: str | None
    attempts: int
    last_attempt_at: datetime | None
    created_at: datetime


CAMPAIGNS = Table("campaigns", CampaignRow, "campaign")
_COUNTED = Table("campaigns", CampaignRecord, "campaign")
LEADS = Table("leads", LeadRecord, "lead")
_SELECT = """
SELECT c.id, c.name, c.assistant_id, c.status, c.system_message_template, c.schedule_start_time,
       c.schedule_end_time, c.timezone, c.created_at, c.updated_at, a.name AS assistant_name,
       l.total_leads, l.completed_leads, l.failed_leads
  FROM campaigns AS c
  LEFT JOIN assistants AS a ON (a.id, a.organisation_id) = (c.assistant_id, $1)
 CROSS JOIN LATERAL (
       SELECT count(*) AS total_leads,
              count(*) FILTER (WHERE status = 'completed') AS completed_leads,
              count(*) FILTER (WHERE status = 'failed') AS failed_leads
         FROM leads WHERE campaign_id = c.id) AS l
 WHERE c.organisation_id = $1
"""
_LEAD = (
    "id, campaign_id, phone_number, name, variables, status, call_id, attempts, last_attempt_at,"
    " created_at"
)


async def create_campaign(
    connection: asyncpg.Connection, organisation_id: str, values: Mapping[str, Any]
) -> str:
    """Add a campaign and return its id.

    Raises:
        NotFound: If the tenant has no such assistant.
    """
    try:
        row = await CAMPAIGNS.create(connection, organisation_id, values)
    except asyncpg.ForeignKeyViolationError as error:
        raise NotFound(f"no assistant {values['assistant_id']}", param="assistant_id") from error
    return row.id


async def get_campaign(
    connection: asyncpg.Connection, organisation_id: str, campaign_id: str
) -> CampaignRecord:
    """Read one.

    Raises:
        NotFound: If the tenant has no such campaign.
    """
    row = await connection.fetchrow(f"{_SELECT} AND c.id = $2", organisation_id, campaign_id)
    if row is None:
        raise CAMPAIGNS.missing(campaign_id)
    return _COUNTED.read(row)


async def list_campaigns(
    connection: asyncpg.Connection, organisation_id: str
) -> list[CampaignRecord]:
    """All of a tenant, newest first."""
    rows = await connection.fetch(
        f"{_SELECT} ORDER BY c.created_at DESC, c.id DESC", organisation_id
    )
    return [_COUNTED.read(row) for row in rows]


async def delete_campaign(
    connection: asyncpg.Connection, organisation_id: str, campaign_id: str
) -> None:
    """Remove a campaign with its leads.

    Raises:
        NotFound: If the tenant has no such campaign.
        Conflict: If a lead is being called; nothing is removed once the caller rolls back.
    """
    await CAMPAIGNS.get(connection, organisation_id, campaign_id, lock=True)
    # A lead that somebody begins to call meanwhile is looked at again, and stays.
    await connection.execute(
        "DELETE FROM leads"
        " WHERE organisation_id = $1 AND campaign_id = $2 AND status <> 'calling'",
        organisation_id,
        campaign_id,
    )
    calling = await connection.fetchval(
        "SELECT count(*) FROM leads WHERE organisation_id = $1 AND campaign_id = $2",
        organisation_id,
        campaign_id,
    )
    if calling:
        raise Conflict(
            f"the campaign is calling {calling} of its leads: delete it when they have ended"
        )
    await CAMPAIGNS.delete(connection, organisation_id, campaign_id)


async def list_leads(
    connection: asyncpg.Connection, organisation_id: str, campaign_id: str
) -> list[LeadRecord]:
    """All of a campaign, oldest first."""
    rows = await connection.fetch(
        f"SELECT {_LEAD} FROM leads WHERE organisation_id = $1 AND campaign_id = $2"
        " ORDER BY position",
        organisation_id,
        campaign_id,
    )
    return [LEADS.read(row) for row in rows]


async def add_leads(
    connection: asyncpg.Connection,
    organisation_id: str,
    campaign_id: str,
    leads: Sequence[Mapping[str, Any]],
) -> list[LeadRecord]:
    """Add leads in this order; each has `phone_number`, and may have `name` and `variables`.

    The caller keeps the campaign from being finished or deleted meanwhile, and rolls back when
    this raises.

    Raises:
        Conflict: If the campaign has a lead with one of these numbers.
    """
    rows = await connection.fetch(
        f"""
        INSERT INTO leads (organisation_id, campaign_id, phone_number, name, variables)
        SELECT $1, $2, phone_number, name, variables
          FROM unnest($3::text[], $4::text[], $5::jsonb[])
               WITH ORDINALITY AS new (phone_number, name, variables, number)
         ORDER BY number
            ON CONFLICT (campaign_id, phone_number) DO NOTHING
        RETURNING {_LEAD}
        """,
        organisation_id,
        campaign_id,
        [lead["phone_number"] for lead in leads],
        [lead.get("name") for lead in leads],
        [lead.get("variables", {}) for lead in leads],
    )
    added = {row["phone_number"] for row in rows}
    for lead in leads:
        if lead["phone_number"] not in added:
            raise Conflict(f"the campaign has a lead with {lead['phone_number']} already")
    return [LEADS.read(row) for row in rows]


async def delete_lead(
    connection: asyncpg.Connection, organisation_id: str, campaign_id: str, lead_id: str
) -> None:
    """Remove a lead.

    Raises:
        NotFound: If the campaign has no such lead.
        Conflict: If it is being called.
    """
    mine = "organisation_id = $1 AND campaign_id = $2 AND id = $3"
    key = (organisation_id, campaign_id, lead_id)
    status = await connection.execute(
        f"DELETE FROM leads WHERE {mine} AND status <> 'calling'", *key
    )
    if status != "DELETE 0":
        return
    if await connection.fetchval(f"SELECT EXISTS (SELECT FROM leads WHERE {mine})", *key):
        raise Conflict(f"the lead {lead_id} is being called: delete it when the call has ended")
    raise LEADS.missing(lead_id)


async def lock_campaign(
    connection: asyncpg.Connection, organisation_id: str, campaign_id: str
) -> CampaignStatus:
    """Keep a campaign as it is until the transaction ends; others may do so at the same time.

    Raises:
        NotFound: If the tenant has no such campaign.
    """
    status = await connection.fetchval(
        "SELECT status FROM campaigns WHERE organisation_id = $1 AND id = $2 FOR SHARE",
        organisation_id,
        campaign_id,
    )
    if status is None:
        raise CAMPAIGNS.missing(campaign_id)
    return CampaignStatus(status)


async def missing_to_call(
    connection: asyncpg.Connection, organisation_id: str, assistant_id: str
) -> list[str]:
    """Say what an organisation lacks to call with this assistant, a clause each."""
    row = await connection.fetchrow(
        """
        SELECT (SELECT is_active FROM assistants WHERE organisation_id = $1 AND id = $2)
                   AS assistant_is_active,
               EXISTS (SELECT FROM phone_numbers WHERE organisation_id = $1 AND is_active)
                   AS has_number,
               EXISTS (SELECT FROM phone_numbers AS n
                         JOIN sip_trunks AS t
                           ON (t.id, t.organisation_id) = (n.transfer_trunk_id, $1)
                        WHERE n.organisation_id = $1 AND n.is_active AND t.is_active)
                   AS has_line
        """,
        organisation_id,
        assistant_id,
    )
    lacks = []
    if not row["assistant_is_active"]:
        lacks.append(f"the assistant {assistant_id} is not active")
    if not row["has_number"]:
        lacks.append("the organisation has no active phone number")
    elif not row["has_line"]:
        lacks.append(
            "no active phone number has an active SIP trunk (PATCH /numbers/{id} with"
            " transfer_trunk_id)"
        )
    return lacks
