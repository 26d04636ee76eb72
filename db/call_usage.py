"""What calls used, and what it cost: one row for each call, kind, provider, model and unit.

Rows are written in the transaction that marks the work they belong to, by whoever has taken the
call last: so each thing is counted once, wherever a worker stops.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import asyncpg

from sovereign_ari.domain.agent import Config
from sovereign_ari.domain.usage import SIDE_WORK, CallUsage, Charged, Kind, TurnUsage, Unit


@dataclass(frozen=True, slots=True)
class UsageRow:
    """One thing that a call used; `cost` is in milli-credits, None when there is no price."""

    kind: Kind
    provider: str
    model: str
    unit: Unit
    quantity: Decimal
    cost: Decimal | None


@dataclass(frozen=True, slots=True)
class UsageTotal:
    """The same of many calls; `cost` is None when that of any of them is."""

    kind: Kind
    provider: str
    model: str
    unit: Unit
    quantity: Decimal
    cost: Decimal | None
    calls: int


async def read_usage(
    connection: asyncpg.Connection, call_id: str, assistant: Config
) -> CallUsage | None:
    """What is stored of a call to an assistant; None when it was removed."""
    row = await connection.fetchrow(
        "SELECT direction, answered_at, ended_at FROM calls WHERE id = $1", call_id
    )
    if row is None:
        return None
    turns = await connection.fetch(
        "SELECT at, models, usage FROM turns WHERE call_id = $1 ORDER BY number", call_id
    )
    beside = await connection.fetch(
        """
        SELECT at, coalesce(detail -> 'models', '{}') AS models,
               coalesce(detail -> 'usage', '{}') AS usage
          FROM call_notes WHERE call_id = $1 AND kind = $2 ORDER BY at, digest
        """,
        call_id,
        SIDE_WORK,
    )
    return CallUsage(
        **row,
        turns=[TurnUsage(**turn) for turn in turns],
        assistant=assistant,
        beside=[TurnUsage(**work) for work in beside],
    )


async def count(
    connection: asyncpg.Connection,
    call_id: str,
    taken: int,
    used: Sequence[Charged],
) -> bool:
    """Write what a conversation used, once.

    Args:
        connection: Where to write.
        call_id: The call.
        taken: Which taking of it this is.
        used: Of the conversation.

    Returns:
        False when somebody else has taken the call meanwhile; then nothing is written.
    """
    async with connection.transaction():
        await hold(connection, call_id)
        status = await connection.execute(
            "UPDATE call_reports SET counted_at = now()"
            " WHERE (call_id, taken) = ($1, $2) AND state = 'due' AND counted_at IS NULL",
            call_id,
            taken,
        )
        if status == "UPDATE 0":
            return False
        await add(connection, call_id, used)
    return True


async def hold(connection: asyncpg.Connection, call_id: str) -> None:
    """Keep a call from being removed until the transaction ends: calls come before reports."""
    await connection.execute("SELECT FROM calls WHERE id = $1 FOR NO KEY UPDATE", call_id)


async def add(connection: asyncpg.Connection, call_id: str, used: Sequence[Charged]) -> None:
    """Add to what a call used, in a transaction of the caller's that marks why."""
    await connection.executemany(
        """
        INSERT INTO call_usage AS u (call_id, kind, provider, model, unit, quantity, cost)
        VALUES ($1, $2, $3, $4, $5, $6, $7)
        ON CONFLICT (call_id, kind, provider, model, unit) DO UPDATE
           SET quantity = u.quantity + excluded.quantity, cost = u.cost + excluded.cost
        """,
        [
            (call_id, u.kind, u.provider, u.model, u.unit, u.quantity, each.cost)
            for each in used
            for u in (each.used,)
        ],
    )


async def list_call_usage(
    connection: asyncpg.Connection, organisation_id: str, call_id: str
) -> list[UsageRow]:
    """What one call used, as far as it is counted; telephony first."""
    rows = await connection.fetch(
        """
        SELECT u.kind, u.provider, u.model, u.unit, u.quantity, u.cost
          FROM call_usage AS u JOIN calls AS c ON c.id = u.call_id
         WHERE c.organisation_id = $1 AND u.call_id = $2
         ORDER BY array_position(ARRAY['telephony', 'stt', 'llm', 'tts', 'postcall'], u.kind),
                  u.provider, u.model, u.unit
        """,
        organisation_id,
        call_id,
    )
    return [UsageRow(**row) for row in rows]


async def sum_call_usage(
    connection: asyncpg.Connection,
    organisation_id: str,
    span: tuple[datetime | None, datetime | None],
) -> list[UsageTotal]:
    """What all calls of a span used together, by their first ring; reads every row of them."""
    rows = await connection.fetch(
        """
        SELECT u.kind, u.provider, u.model, u.unit, sum(u.quantity) AS quantity,
               CASE WHEN count(u.cost) = count(*) THEN sum(u.cost) END AS cost,
               count(*) AS calls
          FROM call_usage AS u JOIN calls AS c ON c.id = u.call_id
         WHERE c.organisation_id = $1
           AND ($2::timestamptz IS NULL OR c.created_at >= $2)
           AND ($3::timestamptz IS NULL OR c.created_at < $3)
         GROUP BY u.kind, u.provider, u.model, u.unit
         ORDER BY array_position(ARRAY['telephony', 'stt', 'llm', 'tts', 'postcall'], u.kind),
                  u.provider, u.model, u.unit
        """,
        organisation_id,
        *span,
    )
    return [UsageTotal(**row) for row in rows]
