"""Webhooks that are queued: taken by one worker at a time, in order within a call, logged.

A delivery that is taken falls due again when its attempt must be over: so one whose worker died is
taken over by another. Only who took it last may say what became of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg

from db.retention import erase_content
from sovereign_ari.domain.ids import Direction

CHANNEL = "sovereign_work"
"""Is notified when there is something to deliver, or a call to report on."""

REPORT = "end-of-call-report"
GONE = "the worker was gone before an answer came"

# The earlier ones of a call come first, so one that waits for its next attempt holds them up.
_READY = """
    d.state = 'pending' AND c.organisation_id <> ALL($1::uuid[])
    AND NOT EXISTS (SELECT FROM webhook_deliveries AS e
                     WHERE e.call_id = d.call_id AND e.number < d.number AND e.state = 'pending')
"""


@dataclass(frozen=True, slots=True)
class TakenDelivery:
    """A delivery, for one attempt.

    Attributes:
        id: Its `X-Webhook-Id`.
        number: From 1 within the call.
        facts: What the event says beyond the call and the assistant.
        attempt: Which one this is, from 1, over all its life; tells takers apart.
        tries: Likewise, since it was queued or queued again.
        created_at: When the event happened.
    """

    id: str
    organisation_id: str
    call_id: str
    number: int
    event: str
    url: str
    facts: dict[str, Any]
    attempt: int
    tries: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class CallFacts:
    """What a webhook says of its call, as it was set up and as it went.

    Attributes:
        assistant: As webhooks show it.
        secret: Signs what is sent, None when there is none.
        person: The number of the other side.
        erased: Whether the content is gone.
    """

    direction: Direction
    status: str
    end_reason: str | None
    number_id: str | None
    number: str | None
    number_name: str | None
    person: str | None
    answered_at: datetime | None
    ended_at: datetime | None
    summary: str | None
    analysis: dict[str, Any] | None
    assistant: dict[str, Any]
    secret: str | None
    erased: bool


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request of ours. `status_code` is None when no answer came."""

    at: datetime
    duration_ms: int
    status_code: int | None
    error: str | None


async def take(
    connection: asyncpg.Connection,
    *,
    most: int,
    lasts_s: float,
    without: Sequence[str] = (),
) -> list[TakenDelivery]:
    """Take up to `most` deliveries that are due.

    Args:
        connection: Where to look.
        most: How many.
        lasts_s: After this others may take them.
        without: Organisations whose deliveries are left alone.
    """
    rows = await connection.fetch(
        f"""
        WITH due AS MATERIALIZED (
            SELECT d.call_id, d.number, c.organisation_id
              FROM webhook_deliveries AS d JOIN calls AS c ON c.id = d.call_id
             WHERE {_READY} AND d.due_at <= now()
             ORDER BY d.due_at
             LIMIT $2
               FOR UPDATE OF d SKIP LOCKED
        ), cut_off AS (
            INSERT INTO webhook_attempts (call_id, number, attempt, at, duration_ms, error)
            SELECT d.call_id, d.number, d.attempts, d.taken_at,
                   extract(epoch FROM now() - d.taken_at) * 1000, '{GONE}'
              FROM due JOIN webhook_deliveries AS d USING (call_id, number)
             WHERE d.attempts > 0
            ON CONFLICT (call_id, number, attempt) DO NOTHING
        )
        UPDATE webhook_deliveries AS d
           SET due_at = now() + make_interval(secs => $3), taken_at = now(),
               attempts = d.attempts + 1, tries = d.tries + 1
          FROM due WHERE (d.call_id, d.number) = (due.call_id, due.number)
        RETURNING d.id::text, due.organisation_id::text, d.call_id, d.number, d.event, d.url,
                  d.facts, d.attempts AS attempt, d.tries, d.created_at
        """,
        list(without),
        most,
        lasts_s,
    )
    return [TakenDelivery(**row) for row in rows]


async def next_due_s(connection: asyncpg.Connection, without: Sequence[str] = ()) -> float | None:
    """Seconds until a delivery falls due, None when none is queued."""
    seconds: float | None = await connection.fetchval(
        f"""
        SELECT extract(epoch FROM min(d.due_at) - now())::float8
          FROM webhook_deliveries AS d JOIN calls AS c ON c.id = d.call_id
         WHERE {_READY}
        """,
        list(without),
    )
    return seconds


async def read_call(connection: asyncpg.Connection, call_id: str) -> CallFacts | None:
    """What a webhook says of a call, None when the call was removed."""
    row = await connection.fetchrow(
        """
        SELECT c.direction, c.status, c.end_reason, c.number_id::text, c.our_number AS number,
               r.number_name, c.their_number AS person, c.answered_at, c.ended_at, c.summary,
               c.analysis_result AS analysis, coalesce(r.assistant, '{}') AS assistant,
               r.webhook_secret AS secret, c.content_erased_at IS NOT NULL AS erased
          FROM calls AS c LEFT JOIN call_reports AS r ON r.call_id = c.id
         WHERE c.id = $1
        """,
        call_id,
    )
    return None if row is None else CallFacts(**row)


async def finish(
    connection: asyncpg.Connection,
    delivery: TakenDelivery,
    attempt: Attempt,
    *,
    again_in_s: float | None,
) -> bool:
    """Log an attempt and say what becomes of the delivery.

    The content of a call in GDPR mode goes with the end of its report.

    Args:
        connection: Where to write.
        delivery: As it was taken.
        attempt: What happened; an answer with 2xx has delivered it.
        again_in_s: When to try again if not, None to give up.

    Returns:
        False when somebody else has taken it meanwhile; then only the attempt is logged.
    """
    delivered = attempt.error is None
    async with connection.transaction():
        ours: bool = await connection.fetchval(
            """
            WITH ended AS (
                UPDATE webhook_deliveries
                   SET state = $4, due_at = now() + make_interval(secs => $5)
                 WHERE (call_id, number, attempts) = ($1, $2, $3) AND state = 'pending'
                RETURNING 1
            ), logged AS (
                INSERT INTO webhook_attempts VALUES ($1, $2, $3, $6, $7, $8, $9)
                ON CONFLICT (call_id, number, attempt) DO NOTHING
            )
            SELECT EXISTS (SELECT FROM ended)
            """,
            delivery.call_id, delivery.number, delivery.attempt,
            "delivered" if delivered else "given_up" if again_in_s is None else "pending",
            again_in_s or 0.0,
            attempt.at, attempt.duration_ms, attempt.status_code, attempt.error,
        )  # fmt: skip
        if ours and delivery.event == REPORT and (delivered or again_in_s is None):
            await _let_go(connection, delivery.call_id)
    return ours


async def give_up(connection: asyncpg.Connection, delivery: TakenDelivery) -> None:
    """End a delivery without another attempt."""
    async with connection.transaction():
        status = await connection.execute(
            "UPDATE webhook_deliveries SET state = 'given_up'"
            " WHERE (call_id, number, attempts) = ($1, $2, $3) AND state = 'pending'",
            delivery.call_id,
            delivery.number,
            delivery.attempt,
        )
        if status == "UPDATE 1" and delivery.event == REPORT:
            await _let_go(connection, delivery.call_id)


async def _let_go(connection: asyncpg.Connection, call_id: str) -> None:
    """Erase what a call in GDPR mode kept for its report."""
    gdpr = await connection.fetchval(
        "SELECT assistant -> 'gdpr_mode' = 'true' FROM call_reports WHERE call_id = $1", call_id
    )
    if gdpr:
        await erase_content(connection, call_id)
