"""Answers that are given again to a POST with the same `Idempotency-Key`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import asyncpg

KEPT_FOR = timedelta(hours=24)
UNDER_WAY_FOR = timedelta(minutes=2)  # then its process is taken for dead


@dataclass(frozen=True, slots=True)
class Stored:
    """What is known of a key. `answer` is sealed, and None while the work is under way."""

    fingerprint: bytes
    answer: bytes | None


def bound_to(organisation_id: str, key: str) -> str:
    """What an answer is sealed for."""
    return f"idempotency:{organisation_id}:{key}"


async def claim(
    connection: asyncpg.Connection, organisation_id: str, key: str, fingerprint: bytes
) -> bool:
    """Take a key, unless it was taken within 24 hours; wait for a transaction that takes it."""
    taken = await connection.fetchval(
        """
        INSERT INTO idempotent_requests AS r (organisation_id, key, fingerprint)
        VALUES ($1, $2, $3)
        ON CONFLICT (organisation_id, key) DO UPDATE
           SET fingerprint = $3, status = NULL, answer = NULL, created_at = now()
         WHERE r.created_at <= now() - $4::interval
            OR (r.answer IS NULL AND r.created_at <= now() - $5::interval)
        RETURNING true
        """,
        organisation_id,
        key,
        fingerprint,
        KEPT_FOR,
        UNDER_WAY_FOR,
    )
    return taken is not None


async def find(connection: asyncpg.Connection, organisation_id: str, key: str) -> Stored:
    """Read a key that was taken."""
    row = await connection.fetchrow(
        "SELECT fingerprint, answer FROM idempotent_requests"
        " WHERE organisation_id = $1 AND key = $2",
        organisation_id,
        key,
    )
    return Stored(row["fingerprint"], row["answer"])


async def keep(
    connection: asyncpg.Connection, organisation_id: str, key: str, status: int, answer: bytes
) -> None:
    """Write the answer down."""
    await connection.execute(
        "UPDATE idempotent_requests SET status = $3, answer = $4"
        " WHERE organisation_id = $1 AND key = $2",
        organisation_id,
        key,
        status,
        answer,
    )


async def forget(connection: asyncpg.Connection, organisation_id: str, key: str) -> None:
    """Give a key back after work that failed."""
    await connection.execute(
        "DELETE FROM idempotent_requests WHERE organisation_id = $1 AND key = $2",
        organisation_id,
        key,
    )


async def purge(connection: asyncpg.Connection) -> int:
    """Remove what is older than 24 hours, of every tenant; return how many."""
    status = await connection.execute(
        "DELETE FROM idempotent_requests WHERE created_at <= now() - $1::interval", KEPT_FOR
    )
    return int(status.split()[-1])
