"""SIP trunks as the nodes work with them: what is to be in every PBX, and how it fares there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

import asyncpg

from sovereign_ari.domain.trunk_state import TrunkState

CHANGES = "sovereign_trunks"
"""Notified when a trunk is made, changed or removed."""

STALE_AFTER = timedelta(seconds=15)
_LOCK = 0x54726E6B  # "Trnk": one holder for each node


@dataclass(frozen=True, slots=True)
class StoredTrunk:
    """An active trunk; the password is sealed.

    Attributes:
        is_operators: Whether it is the operator's own.
    """

    id: str
    organisation_id: str
    is_operators: bool
    addresses: list[str]
    inbound_addresses: list[str]
    outbound_number: str | None
    transport: str
    auth_username: str | None
    auth_password: bytes | None
    register: bool | None
    inbound_auth: bool
    media_encryption: str | None


@dataclass(frozen=True, slots=True)
class SeenTrunk:
    """How a trunk fares on one node, as its controller wrote last.

    Attributes:
        addresses: Objects of `address`, `reachable` and `latency_ms`.
        fresh: Whether the node has looked lately.
    """

    trunk_id: str
    node: str
    registration: str
    addresses: list[dict[str, Any]]
    calls: int
    error: str | None
    error_at: datetime | None
    seen_at: datetime
    fresh: bool


async def is_ours_to_mind(connection: asyncpg.Connection, node: str) -> bool:
    """Become the one that minds the trunks of a node, as long as the connection lasts."""
    taken: bool = await connection.fetchval(
        "SELECT pg_try_advisory_lock($1, hashtext($2))", _LOCK, node
    )
    return taken


async def active_trunks(connection: asyncpg.Connection) -> list[StoredTrunk]:
    """All of all organisations, in a fixed order."""
    rows = await connection.fetch(
        """
        SELECT t.id::text, t.organisation_id::text, o.is_operator AS is_operators,
               t.addresses, t.inbound_addresses, t.outbound_number, t.transport,
               t.auth_username, t.auth_password, t.register, t.inbound_auth, t.media_encryption
          FROM sip_trunks AS t
          JOIN organisations AS o ON o.id = t.organisation_id
         WHERE t.is_active
         ORDER BY t.id
        """
    )
    return [StoredTrunk(**row) for row in rows]


async def write_shared(
    connection: asyncpg.Connection, node: str, trunks: Sequence[str], shared: Mapping[str, str]
) -> None:
    """Say which trunks share an endpoint of the PBX, before it has that endpoint.

    Args:
        connection: Where to write.
        node: The PBX.
        trunks: Ids of all active trunks; what is said of others is removed.
        shared: Endpoints by the ids of trunks.
    """
    async with connection.transaction():
        await connection.execute(
            """
            INSERT INTO trunk_states (trunk_id, node, shared)
            SELECT t.id, $1, said.shared
              FROM unnest($2::uuid[], $3::text[]) AS said (id, shared)
              JOIN sip_trunks AS t USING (id)
            ON CONFLICT (trunk_id, node) DO UPDATE SET shared = excluded.shared
             WHERE trunk_states.shared IS DISTINCT FROM excluded.shared
            """,
            node,
            list(trunks),
            [shared.get(trunk) for trunk in trunks],
        )
        await connection.execute(
            "DELETE FROM trunk_states WHERE node = $1 AND trunk_id <> ALL($2)", node, list(trunks)
        )


async def write_states(
    connection: asyncpg.Connection, node: str, states: Mapping[str, TrunkState]
) -> None:
    """Write how trunks fare; an error of before stays until there is another one."""
    await connection.executemany(
        """
        UPDATE trunk_states
           SET registration = $3, addresses = $4, calls = $5, seen_at = now(),
               error_at = CASE WHEN $6::text IS NULL OR error = $6 THEN error_at ELSE now() END,
               error = coalesce($6, error)
         WHERE trunk_id = $1 AND node = $2
        """,
        [
            (
                trunk,
                node,
                state.registration.value,
                [asdict(address) for address in state.addresses],
                state.calls,
                state.fault,
            )
            for trunk, state in states.items()
        ],
    )


async def seen_trunks(
    connection: asyncpg.Connection, organisation_id: str, trunk_id: str | None = None
) -> list[SeenTrunk]:
    """How the trunks of a tenant fare, or one of them, on every node that has looked."""
    rows = await connection.fetch(
        """
        SELECT s.trunk_id::text, s.node, s.registration, s.addresses, s.calls, s.error, s.error_at,
               s.seen_at, s.seen_at > now() - $3::interval AS fresh
          FROM trunk_states AS s
          JOIN sip_trunks AS t ON t.id = s.trunk_id
         WHERE t.organisation_id = $1 AND ($2::uuid IS NULL OR t.id = $2)
           AND s.seen_at IS NOT NULL
         ORDER BY s.node
        """,
        organisation_id,
        trunk_id,
        STALE_AFTER,
    )
    return [SeenTrunk(**row) for row in rows]
