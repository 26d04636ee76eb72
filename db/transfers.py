"""What the calls to a number may be transferred over."""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg

from sovereign_ari.domain.permission import OutboundPermission
from sovereign_ari.domain.transfer import TransferLine

_LINE = """
SELECT trunk.id::text AS trunk_id, coalesce(trunk.addresses, '{}') AS addresses, trunk.called,
       EXISTS (SELECT FROM phone_numbers
                WHERE organisation_id = $1 AND phone_number = $3 AND is_active)
       OR EXISTS (SELECT FROM extensions
                   WHERE organisation_id = $1 AND extension = $3) AS is_ours,
       o.outbound_allowed_prefixes AS allowed, o.outbound_refused_prefixes AS refused
  FROM organisations AS o
  LEFT JOIN (SELECT t.id, t.addresses, t.organisation_id, n.phone_number AS called
               FROM phone_numbers AS n
               JOIN sip_trunks AS t
                 ON (t.id, t.organisation_id) = (n.transfer_trunk_id, n.organisation_id)
              WHERE t.is_active
                AND n.id = coalesce($2::uuid, (SELECT number_id FROM calls WHERE id = $4))
            ) AS trunk ON trunk.organisation_id = o.id
 WHERE o.id = $1
"""


async def find_line(
    connection: asyncpg.Connection,
    organisation_id: str,
    destination: str,
    *,
    number_id: str | None = None,
    call_id: str | None = None,
) -> TransferLine:
    """Look up what a call may be transferred over: one question, for somebody waits.

    Args:
        connection: Where to look.
        organisation_id: Whose call it is.
        destination: A number, an extension, or a SIP URI.
        number_id: The number that was called, None for an extension.
        call_id: Instead: the call that came in on it.
    """
    row = await connection.fetchrow(_LINE, organisation_id, number_id, destination, call_id)
    if row is None:
        return TransferLine(None)
    permission = OutboundPermission(row["allowed"], row["refused"])
    return TransferLine(
        row["trunk_id"], tuple(row["addresses"]), permission, row["is_ours"], called=row["called"]
    )


async def is_anothers_trunk(
    connection: asyncpg.Connection, organisation_id: str, hosts: Sequence[str]
) -> bool:
    """Whether the trunk of another organisation leads to one of these hosts.

    Args:
        connection: Where to look; of somebody who sees all organisations.
        organisation_id: Whose call it is.
        hosts: Names in lower case, and addresses.
    """
    found: bool = await connection.fetchval(
        """
        SELECT EXISTS (
            SELECT FROM sip_trunks AS t, unnest(t.addresses) AS address
             WHERE t.organisation_id <> $1
               AND btrim(regexp_replace(address, ':[0-9]+$', ''), '[]') = ANY($2))
        """,
        organisation_id,
        hosts,
    )
    return found
