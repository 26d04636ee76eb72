"""Assistants: who answers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg

from db.table import Table


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
    recording_enabled: bool
    postcall_stt: dict[str, Any] | None
    postcall_llm: dict[str, Any] | None
    metadata: dict[str, Any] | None
    created_at: datetime
    updated_at: datetime


ASSISTANTS = Table("assistants", AssistantRecord, "assistant")


async def delete_assistant(
    connection: asyncpg.Connection, organisation_id: str, assistant_id: str
) -> None:
    """Remove an assistant. Its numbers and extensions stay, without one; its calls stay too.

    Raises:
        NotFound: If the tenant has no such assistant.
    """
    async with connection.transaction():
        # The lock makes a number that is being given this assistant wait, or us wait for it.
        await ASSISTANTS.get(connection, organisation_id, assistant_id, lock=True)
        for table in ("phone_numbers", "extensions"):
            await connection.execute(
                f"UPDATE {table} SET assistant_id = NULL"
                " WHERE organisation_id = $1 AND assistant_id = $2",
                organisation_id,
                assistant_id,
            )
        await ASSISTANTS.delete(connection, organisation_id, assistant_id)
