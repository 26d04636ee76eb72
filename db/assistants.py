"""Assistants: who answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

import asyncpg

from sovereign_ari.errors import NotFound


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
    webhook_secret: str | None
    webhook_events: list[str] | None
    analysis_plan: dict[str, Any] | None
    stt_config: dict[str, Any] | None
    llm_config: dict[str, Any] | None
    tts_config: dict[str, Any] | None
    speech_config: dict[str, Any] | None
    recording_consent: dict[str, Any] | None
    created_at: datetime
    updated_at: datetime


_ALL = tuple(field.name for field in fields(AssistantRecord))
_COLUMNS = ", ".join(_ALL)
WRITABLE = frozenset(_ALL) - {"id", "organisation_id", "created_at", "updated_at"}


def _record(row: asyncpg.Record) -> AssistantRecord:
    return AssistantRecord(
        **{**row, "id": str(row["id"]), "organisation_id": str(row["organisation_id"])}
    )


def _named(values: Mapping[str, Any]) -> list[str]:
    """The column names of `values`. They go into the statement's text, so they are checked."""
    assert values.keys() <= WRITABLE, f"not columns to write: {values.keys() - WRITABLE}"
    return list(values)


async def create_assistant(
    connection: asyncpg.Connection, organisation_id: str, values: Mapping[str, Any]
) -> AssistantRecord:
    """Add an assistant. `values` needs a `name`; what it leaves out keeps the column's default."""
    names = _named(values)
    places = ", ".join(f"${n}" for n in range(2, len(names) + 2))
    row = await connection.fetchrow(
        f"""
        INSERT INTO assistants (organisation_id, {", ".join(names)}) VALUES ($1, {places})
        RETURNING {_COLUMNS}
        """,
        organisation_id,
        *values.values(),
    )
    return _record(row)


async def get_assistant(
    connection: asyncpg.Connection, organisation_id: str, assistant_id: str
) -> AssistantRecord:
    """Read one.

    Raises:
        NotFound: If the tenant has no such assistant.
    """
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM assistants WHERE organisation_id = $1 AND id = $2",
        organisation_id,
        assistant_id,
    )
    if row is None:
        raise NotFound(f"no assistant {assistant_id}")
    return _record(row)


async def list_assistants(
    connection: asyncpg.Connection, organisation_id: str
) -> list[AssistantRecord]:
    """All of a tenant, newest first."""
    rows = await connection.fetch(
        f"""
        SELECT {_COLUMNS} FROM assistants WHERE organisation_id = $1
        ORDER BY created_at DESC, id DESC
        """,
        organisation_id,
    )
    return [_record(row) for row in rows]


async def update_assistant(
    connection: asyncpg.Connection,
    organisation_id: str,
    assistant_id: str,
    values: Mapping[str, Any],
) -> AssistantRecord:
    """Change the named columns. A call that runs keeps the assistant it began with.

    Raises:
        NotFound: If the tenant has no such assistant.
    """
    changes = [f"{name} = ${n}" for n, name in enumerate(_named(values), start=3)]
    row = await connection.fetchrow(
        f"""
        UPDATE assistants SET {", ".join([*changes, "updated_at = now()"])}
         WHERE organisation_id = $1 AND id = $2
        RETURNING {_COLUMNS}
        """,
        organisation_id,
        assistant_id,
        *values.values(),
    )
    if row is None:
        raise NotFound(f"no assistant {assistant_id}")
    return _record(row)


async def delete_assistant(
    connection: asyncpg.Connection, organisation_id: str, assistant_id: str
) -> None:
    """Remove an assistant. Its numbers and extensions stay, without one; its calls stay too.

    Raises:
        NotFound: If the tenant has no such assistant.
    """
    async with connection.transaction():
        # The lock makes a number that is being given this assistant wait, or us wait for it.
        found = await connection.fetchval(
            "SELECT id FROM assistants WHERE organisation_id = $1 AND id = $2 FOR UPDATE",
            organisation_id,
            assistant_id,
        )
        if found is None:
            raise NotFound(f"no assistant {assistant_id}")
        for table in ("phone_numbers", "extensions"):
            await connection.execute(
                f"UPDATE {table} SET assistant_id = NULL"
                " WHERE organisation_id = $1 AND assistant_id = $2",
                organisation_id,
                assistant_id,
            )
        await connection.execute(
            "DELETE FROM assistants WHERE organisation_id = $1 AND id = $2",
            organisation_id,
            assistant_id,
        )
