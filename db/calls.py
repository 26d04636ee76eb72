"""Calls, read. They are written by the journal and, when a controller dies, by `controllers`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg

from db.call_counts import CallFilter, locate
from sovereign_ari.domain.ids import Direction
from sovereign_ari.errors import NotFound


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One row of `calls`, with what is known of its number and assistant today.

    `media` is None in lists: nobody reads it there, and to decode it takes long.
    """

    id: str
    organisation_id: str
    direction: Direction
    status: str
    end_reason: str | None
    caller: str | None
    dialled: str | None
    codec: str
    controller: str
    cause: int | None
    error: str | None
    media: dict[str, float] | None
    number_id: str | None
    phone_number: str | None
    assistant_id: str | None
    assistant_name: str | None
    business_name: str | None
    created_at: datetime
    answered_at: datetime | None
    ended_at: datetime | None
    updated_at: datetime
    content_erased_at: datetime | None
    summary: str | None
    analysis_result: dict[str, Any] | None
    metadata: dict[str, Any] | None


_SELECT = """
SELECT c.id, c.organisation_id::text, c.direction, c.status, c.end_reason, c.caller, c.dialled,
       c.codec, c.controller, c.cause, c.error, {media} AS media, c.number_id::text,
       n.phone_number, c.assistant_id::text, c.assistant_name, a.business_name, c.created_at,
       c.answered_at, c.ended_at, c.updated_at, c.content_erased_at, c.summary, c.analysis_result,
       c.metadata
  FROM calls AS c
  LEFT JOIN phone_numbers AS n ON (n.id, n.organisation_id) = (c.number_id, $1)
  LEFT JOIN assistants AS a ON (a.id, a.organisation_id) = (c.assistant_id, $1)
"""


async def see_one_moment(connection: asyncpg.Connection) -> None:
    """Let all statements of a transaction, which has just begun, see the same rows.

    Also compiles none of them: for the few rows of a page that takes longer than it saves.
    """
    await connection.execute(
        "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SET LOCAL jit = off"
    )


async def list_calls(
    connection: asyncpg.Connection,
    organisation_id: str,
    wanted: CallFilter,
    *,
    limit: int,
    offset: int,
) -> tuple[list[CallRecord], int]:
    """One page, newest first by first ring and then id, and how many there are in all."""
    ids, total = await locate(connection, organisation_id, wanted, limit=limit, offset=offset)
    if not ids:
        return [], total
    rows = await connection.fetch(
        _SELECT.format(media="NULL") + " WHERE c.organisation_id = $1 AND c.id = ANY($2)"
        " ORDER BY c.created_at DESC, c.id DESC",
        organisation_id,
        ids,
    )
    return [CallRecord(**row) for row in rows], total


async def get_call(
    connection: asyncpg.Connection, organisation_id: str, call_id: str
) -> CallRecord:
    """Read one.

    Raises:
        NotFound: If the tenant has no such call.
    """
    row = await connection.fetchrow(
        _SELECT.format(media="c.media") + " WHERE c.organisation_id = $1 AND c.id = $2",
        organisation_id,
        call_id,
    )
    if row is None:
        raise NotFound(f"no call {call_id}")
    return CallRecord(**row)
