"""What was sent about a call, attempt by attempt."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import asyncpg

from db.deliveries import CHANNEL, REPORT
from sovereign_ari.errors import Conflict, NotFound


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


QUEUED = ("status-update", REPORT)
"""Events that are delivered by the worker; the answers to the others are waited for by calls."""


async def queue_again(
    connection: asyncpg.Connection, organisation_id: str, call_id: str, number: int
) -> DeliveryRow:
    """Deliver a webhook of a call once more, with as many attempts as the first time.

    Raises:
        NotFound: If the tenant has no such call, or the call no such webhook.
        Conflict: If it is on its way already, or cannot be sent any more.
    """
    row = await connection.fetchrow(
        """
        SELECT d.event, d.state, c.content_erased_at FROM webhook_deliveries AS d
          JOIN calls AS c ON c.id = d.call_id
         WHERE c.organisation_id = $1 AND c.id = $2 AND d.number = $3
           FOR UPDATE OF d
        """,
        organisation_id,
        call_id,
        number,
    )
    if row is None:
        raise NotFound(f"the call {call_id} has no webhook {number}")
    if row["event"] not in QUEUED:
        raise Conflict(f"a {row['event']} is sent while the call waits for it, and never again")
    if row["state"] == "pending":
        raise Conflict(f"the webhook {number} is on its way already")
    if row["event"] == REPORT and row["content_erased_at"] is not None:
        raise Conflict("the content of the call was erased, so there is nothing to report")
    await connection.execute(
        "WITH queued AS (UPDATE webhook_deliveries SET state = 'pending', tries = 0,"
        " due_at = now() WHERE (call_id, number) = ($1, $2) RETURNING 1)"
        " SELECT pg_notify($3, '') FROM queued",
        call_id,
        number,
        CHANNEL,
    )
    listed = await list_deliveries(connection, organisation_id, call_id)
    return next(delivery for delivery in listed if delivery.number == number)
