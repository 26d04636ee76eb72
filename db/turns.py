"""Turns and notes of calls, as the journal wrote them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg


@dataclass(frozen=True, slots=True)
class TurnRow:
    """One exchange. The fields are those of `domain.records.TurnRecord`."""

    call_id: str
    number: int
    at: datetime
    user_text: str | None
    agent_text: str
    heard_text: str
    interrupted: bool
    tool_calls: list[dict[str, Any]]
    user_stopped_ms: int | None
    turn_ended_ms: int | None
    stt_final_ms: int | None
    llm_first_token_ms: int | None
    first_sentence_ms: int | None
    tts_first_byte_ms: int | None
    first_packet_ms: int | None
    reply_ended_ms: int | None
    models: dict[str, str]
    usage: dict[str, float]
    error: str | None


@dataclass(frozen=True, slots=True)
class NoteRow:
    """Something that happened outside a turn."""

    at: datetime
    kind: str
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Said:
    """What the transcript needs of a turn."""

    user_text: str | None
    heard_text: str


async def list_turns(
    connection: asyncpg.Connection, organisation_id: str, call_id: str
) -> list[TurnRow]:
    """The turns of one call in their order."""
    rows = await connection.fetch(
        """
        SELECT t.* FROM turns AS t JOIN calls AS c ON c.id = t.call_id
         WHERE c.organisation_id = $1 AND c.id = $2
         ORDER BY t.number
        """,
        organisation_id,
        call_id,
    )
    return [TurnRow(**row) for row in rows]


async def list_notes(
    connection: asyncpg.Connection, organisation_id: str, call_id: str
) -> list[NoteRow]:
    """The notes of one call in the order of their times."""
    rows = await connection.fetch(
        """
        SELECT n.at, n.kind, n.detail FROM call_notes AS n JOIN calls AS c ON c.id = n.call_id
         WHERE c.organisation_id = $1 AND c.id = $2
         ORDER BY n.at, n.kind, n.digest
        """,
        organisation_id,
        call_id,
    )
    return [NoteRow(**row) for row in rows]


async def list_said(
    connection: asyncpg.Connection, organisation_id: str, call_ids: Sequence[str]
) -> dict[str, list[Said]]:
    """The transcripts of several calls, by call, each in its order."""
    rows = await connection.fetch(
        """
        SELECT c.id, array_agg(t.user_text ORDER BY t.number) AS user_texts,
               array_agg(t.heard_text ORDER BY t.number) AS heard_texts
          FROM calls AS c JOIN turns AS t ON t.call_id = c.id
         WHERE c.organisation_id = $1 AND c.id = ANY($2)
         GROUP BY c.id
        """,
        organisation_id,
        list(call_ids),
    )
    said: dict[str, list[Said]] = {call_id: [] for call_id in call_ids}
    for call_id, user_texts, heard_texts in rows:
        said[call_id] = [Said(*texts) for texts in zip(user_texts, heard_texts, strict=True)]
    return said
