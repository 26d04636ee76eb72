"""What was sent about a call, attempt by attempt."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import asyncpg


@dataclass(frozen=True, slots=True)
class AttemptRow:
    """One row of `webhook_attempts`. `status_code` is None when no answer came."""

    number: int
    attempt: int
    at: datetime
    duration_ms: int
    status_code: int | None
    error: str | None


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """One row of `webhook_deliveries`; `number` counts from 1 within the call."""

    id: str
    number: int
    event: str
    url: str
    state: str
    created_at: datetime
    attempts: list[AttemptRow]


async def list_deliveries(
    connection: asyncpg.Connection, organisation_id: str, call_id: str
) -> list[DeliveryRow]:
    """The deliveries of one call in their order, each with its attempts in theirs."""
    # Attempts first: each belongs to a delivery that is there by the time those are read.
    attempts: dict[int, list[AttemptRow]] = {}
    for row in await connection.fetch(
        """
        SELECT a.number, a.attempt, a.at, a.duration_ms, a.status_code, a.error
          FROM webhook_attempts AS a JOIN calls AS c ON c.id = a.call_id
         WHERE c.organisation_id = $1 AND c.id = $2
         ORDER BY a.number, a.attempt
        """,
        organisation_id,
        call_id,
    ):
        attempts.setdefault(row["number"], []).append(AttemptRow(**row))
    rows = await connection.fetch(
        """
        SELECT d.id::text, d.number, d.event, d.url, d.state, d.created_at
          FROM webhook_deliveries AS d JOIN calls AS c ON c.id = d.call_id
         WHERE c.organisation_id = $1 AND c.id = $2
         ORDER BY d.number
        """,
        organisation_id,
        call_id,
    )
    return [DeliveryRow(**row, attempts=attempts.get(row["number"], [])) for row in rows]
