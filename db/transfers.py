"""What the calls to a number may be transferred over."""

from __future__ import annotations

import asyncpg

from db.outbound import permission_of
from sovereign_ari.domain.transfer import TransferLine


async def find_line(
    connection: asyncpg.Connection, organisation_id: str, number_id: str | None, destination: str
) -> TransferLine:
    """Look up what a call may be transferred over.

    Args:
        connection: Where to look.
        organisation_id: Whose call it is.
        number_id: The number that was called, None for an extension.
        destination: A number, an extension, or a SIP URI.
    """
    row = await connection.fetchrow(
        """
        SELECT trunk.id::text AS trunk_id, coalesce(trunk.addresses, '{}') AS addresses,
               EXISTS (SELECT FROM phone_numbers
                        WHERE organisation_id = $1 AND phone_number = $3 AND is_active)
               OR EXISTS (SELECT FROM extensions
                           WHERE organisation_id = $1 AND extension = $3) AS is_ours
          FROM (SELECT) AS one
          LEFT JOIN (SELECT t.id, t.addresses
                       FROM phone_numbers AS n
                       JOIN sip_trunks AS t
                         ON (t.id, t.organisation_id) = (n.transfer_trunk_id, n.organisation_id)
                      WHERE n.organisation_id = $1 AND n.id = $2 AND t.is_active) AS trunk ON true
        """,
        organisation_id,
        number_id,
        destination,
    )
    permission = await permission_of(connection, organisation_id)
    return TransferLine(row["trunk_id"], tuple(row["addresses"]), permission, row["is_ours"])


async def number_of(connection: asyncpg.Connection, call_id: str) -> str | None:
    """Find the number that a call came in on, or went out from; None for an extension."""
    found = await connection.fetchval("SELECT number_id::text FROM calls WHERE id = $1", call_id)
    return None if found is None else str(found)
