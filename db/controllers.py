"""Controllers and their heartbeat, and the calls that one which died left open."""

from __future__ import annotations

import time
from collections.abc import Collection
from datetime import datetime, timedelta

import asyncpg

from db.journal import CHANGED, GUESSES, NOT_SEEN, NOTIFY_ALL, RESTARTED

_BROKEN = "CASE WHEN answered_at IS NULL THEN 'failed' ELSE 'ended-with-error' END"
"""As `domain.call.broken`."""

_LIVES = 0x50C5  # the first half of the key of an advisory lock; the second is the name's
SETTLED = "interval '5 s'"
"""After its start, the server knows nothing of controllers that have not connected again."""

IS_ALIVE = f"""(EXISTS (
    SELECT FROM pg_locks
     WHERE locktype = 'advisory' AND classid::bigint = {_LIVES} AND objsubid = 2
       AND objid::bigint = hashtext({{0}}) & x'ffffffff'::bigint
       AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
) OR pg_postmaster_start_time() > clock_timestamp() - {SETTLED})"""
"""Whether the controller of this name still has the connection of `show_life`."""


async def show_life(connection: asyncpg.Connection, name: str) -> None:
    """Have the server know that a controller lives for as long as this connection does.

    When the process is killed, its connection ends with it: others know at once.
    """
    await connection.execute(f"SELECT pg_advisory_lock_shared({_LIVES}, hashtext($1))", name)


async def beat(connection: asyncpg.Connection, name: str, *, node: str, capacity: int) -> None:
    """Say that a controller lives. The first beat of a name, or of a new process, registers it.

    Args:
        connection: Where to write.
        name: Its Stasis application, unique over the installation.
        node: The machine it runs on.
        capacity: Calls it may hold at once.
    """
    await connection.execute(
        """
        INSERT INTO controllers (name, node, capacity) VALUES ($1, $2, $3)
        ON CONFLICT (name) DO UPDATE
           SET node = excluded.node, capacity = excluded.capacity, seen_at = now()
        """,
        name,
        node,
        capacity,
    )


async def forget(connection: asyncpg.Connection, name: str) -> None:
    """Remove a controller that ends on purpose, after its last call."""
    await connection.execute("DELETE FROM controllers WHERE name = $1", name)


async def close_orphans(connection: asyncpg.Connection, *, older_than_s: float) -> list[str]:
    """End the calls whose controller was not seen for so long, and return their ids.

    While the server stood still, no controller could beat. So silence is measured up to a moment
    that the server tells beforehand, and the time it took to tell is forgiven: a statement that
    waits in a halted server, even one that nobody waits for any more, closes no call too many.
    """
    asked_s = time.monotonic()
    as_of = await connection.fetchval("SELECT clock_timestamp()")
    waited_s = time.monotonic() - asked_s
    rows = await connection.fetch(
        f"""
        WITH changed AS (
            UPDATE calls AS c
               SET ended_at = now(), status = {_BROKEN}, end_reason = 'error',
                   error = $2, updated_at = now()
             WHERE c.ended_at IS NULL AND c.updated_at < $1
               AND NOT EXISTS (SELECT FROM controllers AS o
                                WHERE o.name = c.controller AND o.seen_at >= $1)
            {CHANGED}
        ) {NOTIFY_ALL}
        """,
        as_of - timedelta(seconds=older_than_s + waited_s),
        NOT_SEEN,
    )
    return [row["id"] for row in rows]


async def find_left_over(connection: asyncpg.Connection, controller: str) -> list[str]:
    """List the calls that a controller left: open, or closed lately by a guess."""
    rows = await connection.fetch(
        """
        SELECT id FROM calls
         WHERE controller = $1
           AND (ended_at IS NULL OR (error = ANY($2) AND ended_at > now() - interval '1 hour'))
        """,
        controller,
        GUESSES,
    )
    return [row["id"] for row in rows]


async def close_ended_alone(
    connection: asyncpg.Connection, call: str, *, at: datetime, end_reason: str
) -> None:
    """Close a call that ended while no controller lived, now that one knows how from the PBX.

    What was only a guess gives way to it. A caller who hung up himself did not suffer an error.
    """
    await connection.execute(
        f"""
        WITH changed AS (
            UPDATE calls
               SET ended_at = greatest($2, answered_at, created_at), end_reason = $3,
                   (status, error) = (
                       SELECT 'ended', NULL WHERE $3 = 'user_hangup' UNION ALL
                       SELECT 'ended-with-error',
                              'its controller was gone, so the PBX ended the call'
                        WHERE $3 <> 'user_hangup'
                   ),
                   updated_at = now()
             WHERE id = $1 AND (ended_at IS NULL OR error = ANY($4))
            {CHANGED}
        ) {NOTIFY_ALL}
        """,
        call,
        at,
        end_reason,
        GUESSES,
    )


async def close_lost(
    connection: asyncpg.Connection, controller: str, calls: Collection[str]
) -> list[str]:
    """End those of these calls that are open: their controller restarted, their callers are gone.

    What another controller has adopted meanwhile is its own.

    Returns:
        Their ids.
    """
    rows = await connection.fetch(
        f"""
        WITH changed AS (
            UPDATE calls
               SET ended_at = now(), status = {_BROKEN}, end_reason = 'error',
                   error = $2, updated_at = now()
             WHERE ended_at IS NULL AND id = ANY($1) AND controller = $3
            {CHANGED}
        ) {NOTIFY_ALL}
        """,
        list(calls),
        RESTARTED,
        controller,
    )
    return [row["id"] for row in rows]
