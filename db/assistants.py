"""Assistants: who answers."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import asyncpg

from db.table import Table, named
from sovereign_ari.errors import Conflict


@dataclass(frozen=True, slots=True)
class AssistantRecord:
    """One row of `assistants`. A config block that is None follows the platform's default."""

    id: str
    organisation_id: str
    name: str
    business_name: str | None
    notification_email: str | None
    notification_emails: list[str] | None
    first_message: str | None
    is_active: bool
    max_duration_seconds: int | None
    autonomous_silence_handling: bool
    silence_timeout_seconds: float | None
    voicemail_detection: bool | None
    voicemail_message: str | None
    gdpr_mode: bool
    webhook_url: str | None
    webhook_secret: str | None = field(repr=False)
    webhook_events: list[str] | None
    analysis_plan: dict[str, Any] | None
    stt_config: dict[str, Any] | None
    llm_config: dict[str, Any] | None = field(repr=False)
    tts_config: dict[str, Any] | None
    speech_config: dict[str, Any] | None
    recording_consent: dict[str, Any] | None
    recording_enabled: bool
    postcall_stt: dict[str, Any] | None
    postcall_llm: dict[str, Any] | None
    metadata: dict[str, Any] | None
    created_at: datetime
    updated_at: datetime


ASSISTANTS = Table("assistants", AssistantRecord, "assistant")


FINISHED = ("completed", "cancelled")


async def missing_mcp_servers(
    connection: asyncpg.Connection, organisation_id: str, server_ids: Collection[str]
) -> set[str]:
    """Say which of these MCP servers the tenant does not have.

    The others cannot be deleted until the transaction ends.
    """
    rows = await connection.fetch(
        "SELECT id FROM mcp_servers WHERE organisation_id = $1 AND id = ANY($2::uuid[])"
        " ORDER BY id FOR KEY SHARE",
        organisation_id,
        list(server_ids),
    )
    return set(server_ids) - {str(row["id"]) for row in rows}


async def use_mcp_servers(
    connection: asyncpg.Connection,
    organisation_id: str,
    assistant_id: str,
    server_ids: Collection[str],
) -> None:
    """Record that an assistant uses these MCP servers, and no others.

    Raises:
        Conflict: If one of them was deleted meanwhile.
    """
    await connection.execute(
        "DELETE FROM assistant_mcp_servers WHERE organisation_id = $1 AND assistant_id = $2"
        " AND NOT mcp_server_id = ANY($3::uuid[])",
        organisation_id,
        assistant_id,
        list(server_ids),
    )
    try:
        await connection.execute(
            "INSERT INTO assistant_mcp_servers (organisation_id, assistant_id, mcp_server_id)"
            " SELECT $1, $2, unnest($3::uuid[]) ON CONFLICT DO NOTHING",
            organisation_id,
            assistant_id,
            list(server_ids),
        )
    except asyncpg.ForeignKeyViolationError as error:
        raise Conflict("an MCP server that the assistant was to use is gone") from error


async def delete_assistant(
    connection: asyncpg.Connection, organisation_id: str, assistant_id: str
) -> None:
    """Remove an assistant; its calls stay.

    Its numbers, extensions, chats and finished campaigns stay too, without one.

    Raises:
        NotFound: If the tenant has no such assistant.
        Conflict: If a campaign that is not finished calls with it.
    """
    async with connection.transaction():
        # The lock makes whatever is being given this assistant wait, or us wait for it.
        assistant = await ASSISTANTS.get(connection, organisation_id, assistant_id, lock=True)
        campaigns = await connection.fetch(
            "SELECT name, status FROM campaigns WHERE organisation_id = $1 AND assistant_id = $2"
            " ORDER BY name FOR UPDATE",
            organisation_id,
            assistant_id,
        )
        if unfinished := [row for row in campaigns if row["status"] not in FINISHED]:
            raise Conflict(_in_use(assistant, unfinished))
        for table in ("phone_numbers", "extensions", "chats", "campaigns"):
            await connection.execute(
                f"UPDATE {table} SET assistant_id = NULL"
                " WHERE organisation_id = $1 AND assistant_id = $2",
                organisation_id,
                assistant_id,
            )
        await ASSISTANTS.delete(connection, organisation_id, assistant_id)


def _in_use(assistant: AssistantRecord, campaigns: Sequence[asyncpg.Record]) -> str:
    shown = named([f"{row['name']} ({row['status']})" for row in campaigns])
    which = "campaign" if len(campaigns) == 1 else f"{len(campaigns)} campaigns"
    return (
        f"the assistant {assistant.name} is used by the {which} {shown};"
        " cancel or delete what uses it first"
    )
