"""Removes one call with everything that was said in it, at somebody's request."""

from __future__ import annotations

import asyncpg

from sovereign_ari.errors import Conflict, NotFound


async def erase_call(connection: asyncpg.Connection, organisation_id: str, call_id: str) -> None:
    """Remove a call that has ended.

    Raises:
        NotFound: If the tenant has no such call.
        Conflict: If it still runs: its journal goes on writing.
    """
    row = await connection.fetchrow(
        """
        WITH found AS (
            SELECT id, ended_at FROM calls WHERE organisation_id = $1 AND id = $2
        ), gone AS (
            DELETE FROM calls USING found
             WHERE calls.id = found.id AND found.ended_at IS NOT NULL
        )
        SELECT ended_at FROM found
        """,
        organisation_id,
        call_id,
    )
    if row is None:
        raise NotFound(f"no call {call_id}")
    if row["ended_at"] is None:
        raise Conflict(f"the call {call_id} has not ended")
