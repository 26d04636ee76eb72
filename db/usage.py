"""What calls used: one line per answered call that has ended, and sums over all of them.

Seconds are whole, from the answer to the end; the database works them out when a call ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

_USED = """
organisation_id = $1 AND answered_at IS NOT NULL AND ended_at IS NOT NULL
   AND ($2::timestamptz IS NULL OR created_at >= $2)
   AND ($3::timestamptz IS NULL OR created_at < $3)
"""


@dataclass(frozen=True, slots=True)
class UsageRecord:
    """One call. `phone_number` is ours, as the call's number is named today."""

    id: str
    duration_s: int
    direction: str
    number_id: str | None
    phone_number: str | None
    assistant_id: str | None
    assistant_name: str | None
    business_name: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class UsageSums:
    """All calls together."""

    calls: int
    seconds: int


async def sum_usage(
    connection: asyncpg.Connection,
    organisation_id: str,
    from_at: datetime | None,
    before_at: datetime | None,
) -> UsageSums:
    """Count calls by their first ring, from an index alone."""
    row = await connection.fetchrow(
        f"""
        SELECT count(*) AS calls, coalesce(sum(used_s), 0)::bigint AS seconds
          FROM calls WHERE {_USED}
        """,
        organisation_id,
        from_at,
        before_at,
    )
    return UsageSums(**row)


async def list_usage(
    connection: asyncpg.Connection,
    organisation_id: str,
    span: tuple[datetime | None, datetime | None],
    *,
    limit: int,
    offset: int,
) -> list[UsageRecord]:
    """One page, newest first by first ring and then id; skipped calls are read in an index.

    Args:
        connection: Where to read.
        organisation_id: Whose calls.
        span: The earliest first ring, and the first that is too late; None is open.
        limit: Calls on a page.
        offset: Calls before it.
    """
    rows = await connection.fetch(
        f"""
        WITH page AS MATERIALIZED (
            SELECT id FROM calls WHERE {_USED}
             ORDER BY created_at DESC, id DESC LIMIT $4 OFFSET $5
        )
        SELECT c.id, c.used_s AS duration_s, c.direction, c.number_id,
               n.phone_number, c.assistant_id, c.assistant_name, a.business_name, c.created_at
          FROM page JOIN calls AS c ON c.id = page.id
          LEFT JOIN phone_numbers AS n ON (n.id, n.organisation_id) = (c.number_id, $1)
          LEFT JOIN assistants AS a ON (a.id, a.organisation_id) = (c.assistant_id, $1)
         WHERE c.organisation_id = $1
         ORDER BY c.created_at DESC, c.id DESC
        """,
        organisation_id,
        *span,
        limit,
        offset,
    )
    return [_record(row) for row in rows]


def _record(row: asyncpg.Record) -> UsageRecord:
    values: dict[str, Any] = {
        name: str(value) if isinstance(value, UUID) else value for name, value in row.items()
    }
    return UsageRecord(**values)
