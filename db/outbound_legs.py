"""The second legs of transferred calls: how many an organisation has counts as its calls do."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta

import asyncpg

from db.outbound import LEG_LEASE, permission_of, take_place_to_call

SEEN_BEFORE = timedelta(seconds=10)
"""A leg gets its place before its channel exists, by so much at most."""


async def take_leg(
    connection: asyncpg.Connection, organisation_id: str, call_id: str, controller: str
) -> None:
    """Count the second leg of a call; one that counts already is only renewed.

    Args:
        connection: In a transaction.
        organisation_id: Whose call it is.
        call_id: The call.
        controller: Who dials, empty when it is not known yet.

    Raises:
        Impossible: If the organisation may place no calls.
        RateLimited: If it has too many, or began too many just now.
    """
    if await renew_leg(connection, organisation_id, call_id, controller):
        return
    permission = await permission_of(connection, organisation_id)
    await take_place_to_call(connection, organisation_id, permission)
    await connection.execute(
        """
        INSERT INTO outbound_legs (call_id, organisation_id, controller) VALUES ($2, $1, $3)
        ON CONFLICT (call_id) DO UPDATE
           SET controller = EXCLUDED.controller, renewed_at = EXCLUDED.renewed_at
        """,
        organisation_id,
        call_id,
        controller,
    )


async def renew_leg(
    connection: asyncpg.Connection, organisation_id: str, call_id: str, controller: str
) -> bool:
    """Go on counting a leg that counts already; False when it does not."""
    renewed = await connection.fetchval(
        """
        UPDATE outbound_legs
           SET renewed_at = clock_timestamp(), controller = coalesce(nullif($3, ''), controller)
         WHERE organisation_id = $1 AND call_id = $2
           AND renewed_at > clock_timestamp() - $4::interval
        RETURNING true
        """,
        organisation_id,
        call_id,
        controller,
        LEG_LEASE,
    )
    return bool(renewed)


async def drop_leg(connection: asyncpg.Connection, call_id: str) -> None:
    """Count the second leg of a call no more."""
    await connection.execute("DELETE FROM outbound_legs WHERE call_id = $1", call_id)


async def keep_legs(
    connection: asyncpg.Connection, controller: str, calls: Collection[str]
) -> None:
    """Renew the legs that live in the PBX, and drop what this controller dialled and is gone.

    Args:
        connection: Of somebody who sees all organisations.
        controller: Who looked.
        calls: Whose second legs were found.
    """
    await connection.execute(
        "UPDATE outbound_legs SET renewed_at = clock_timestamp() WHERE call_id = ANY($1)",
        list(calls),
    )
    await connection.execute(
        """
        DELETE FROM outbound_legs
         WHERE NOT call_id = ANY($1)
           AND ((controller = $2 AND renewed_at < clock_timestamp() - $3::interval)
                OR renewed_at < clock_timestamp() - $4::interval)
        """,
        list(calls),
        controller,
        SEEN_BEFORE,
        LEG_LEASE,
    )
