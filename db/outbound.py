"""Outgoing calls: who may be called, from which number, and the request itself."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import asyncpg

from db.journal import CHANGED, NOTIFY_ALL, storable
from db.numbers import NUMBERS
from sovereign_ari.domain.ids import CallId
from sovereign_ari.domain.permission import OutboundPermission
from sovereign_ari.domain.records import CallStatus
from sovereign_ari.errors import Impossible, RateLimited

REQUESTS = "sovereign_outbound"
"""The channel that wakes the controllers."""

CONCURRENCY_LOCK = 0x4F757462  # any constant that nobody else uses

LEG_LEASE = timedelta(seconds=60)
"""How long the second leg of a transferred call counts when no controller sees it any more."""


@dataclass(frozen=True, slots=True)
class OutboundNumber:
    """The number that a call shows, and the trunk it leaves by."""

    id: str
    phone_number: str
    trunk_id: str


@dataclass(frozen=True, slots=True)
class OutboundRequest:
    """A call to be made, checked.

    Attributes:
        call_id: Chosen by whoever asks.
        at: When it was asked for.
        destination: E.164. *Personal.*
        number: Whom the called person sees.
        assistant_id: The stored assistant that talks, None when the call brings its own.
        assistant_name: Its name.
        config: The call's own assistant, or what replaces fields of the stored one.
        first_message: In the place of the assistant's own.
        context: What the model is told of this call.
        ring_s: How long it may ring, None for the platform's default.
        withheld: Whether the called person is to see no number.
    """

    call_id: CallId
    at: datetime
    destination: str
    number: OutboundNumber
    assistant_id: str | None = None
    assistant_name: str | None = None
    config: Mapping[str, Any] | None = None
    first_message: str | None = None
    context: str | None = None
    ring_s: float | None = None
    withheld: bool = False


async def permission_of(
    connection: asyncpg.Connection, organisation_id: str
) -> OutboundPermission:
    """What an organisation may call."""
    row = await connection.fetchrow(
        """
        SELECT outbound_allowed_prefixes AS allowed_prefixes,
               outbound_refused_prefixes AS refused_prefixes,
               outbound_concurrency AS concurrency,
               outbound_calls_per_second AS calls_per_second
          FROM organisations WHERE id = $1
        """,
        organisation_id,
    )
    return OutboundPermission(**row)


async def choose_number(
    connection: asyncpg.Connection, organisation_id: str, number_id: str | None
) -> OutboundNumber:
    """Check the number that a client chose, or take the oldest that can call.

    A number can call when it is active and has a SIP trunk (`transfer_trunk_id`) that is active.

    Raises:
        NotFound: If the tenant has no such number.
        Impossible: If it cannot call, or none of the tenant's can.
    """
    rows = await connection.fetch(
        """
        SELECT n.id, n.phone_number, n.is_active, n.transfer_trunk_id, t.name AS trunk,
               t.is_active AS trunk_active
          FROM phone_numbers AS n
          LEFT JOIN sip_trunks AS t
            ON (t.id, t.organisation_id) = (n.transfer_trunk_id, n.organisation_id)
         WHERE n.organisation_id = $1 AND ($2::uuid IS NULL OR n.id = $2)
           AND ($2::uuid IS NOT NULL OR (n.is_active AND t.is_active))
         ORDER BY n.created_at, n.id
         LIMIT 1
        """,
        organisation_id,
        number_id,
    )
    if not rows and number_id is not None:
        raise NUMBERS.missing(number_id, param="number_id")
    why = _fault(rows[0]) if rows else "the organisation has no active number with a SIP trunk"
    if why is not None:
        raise Impossible(
            f"there is no number to call from: {why}", code="no_outbound_number", param="number_id"
        )
    return OutboundNumber(
        str(rows[0]["id"]), rows[0]["phone_number"], str(rows[0]["transfer_trunk_id"])
    )


def _fault(row: asyncpg.Record) -> str | None:
    """Why a number cannot call."""
    if not row["is_active"]:
        return f"{row['phone_number']} is not active"
    if row["transfer_trunk_id"] is None:
        return f"{row['phone_number']} has no SIP trunk; set its transfer_trunk_id"
    if not row["trunk_active"]:
        return f"the SIP trunk {row['trunk']} of {row['phone_number']} is not active"
    return None


async def take_place_to_call(
    connection: asyncpg.Connection, organisation_id: str, permission: OutboundPermission
) -> None:
    """Count one more call, if the organisation may place one now.

    Requests of one organisation wait for each other here until their transactions end, so that
    any number of them at once cannot get past the limit.

    Raises:
        Impossible: If it may place none at all.
        RateLimited: If it has too many live ones, or began too many just now.
    """
    if permission.concurrency == 0:
        raise Impossible(
            "destination: the organisation may not call anybody",
            code="destination_not_allowed",
            param="destination",
        )
    await connection.execute(
        "SELECT pg_advisory_xact_lock($1, hashtext($2))", CONCURRENCY_LOCK, organisation_id
    )
    live = await connection.fetchval(
        """
        SELECT (SELECT count(*) FROM calls
                 WHERE organisation_id = $1 AND ended_at IS NULL AND direction = 'outbound')
             + (SELECT count(*) FROM outbound_legs
                 WHERE organisation_id = $1 AND renewed_at > clock_timestamp() - $2::interval)
        """,
        organisation_id,
        LEG_LEASE,
    )
    if live >= permission.concurrency:
        raise RateLimited(
            f"the organisation has {live} outgoing calls, and may have {permission.concurrency}",
            retry_after_s=1,
            code="too_many_calls",
        )
    allowed, period_s = permission.window
    row = await connection.fetchrow(
        "SELECT granted, frees_at - clock_timestamp() AS wait FROM take_place($1, $2, $3)",
        f"outbound:{organisation_id}",
        allowed,
        timedelta(seconds=period_s),
    )
    if not row["granted"]:
        raise RateLimited(
            "the organisation may begin"
            f" {permission.calls_per_second:g} outgoing calls per second",
            retry_after_s=max(1, math.ceil(row["wait"].total_seconds())),
            code="too_many_calls_per_second",
        )


async def request_call(
    connection: asyncpg.Connection, organisation_id: str, request: OutboundRequest
) -> None:
    """Hand a call to the controllers, both when the transaction ends: one of them takes it."""
    own = request.config or {}
    await connection.fetch(
        f"""
        WITH changed AS (
            INSERT INTO calls (id, organisation_id, created_at, direction, controller, caller,
                               dialled, codec, number_id, assistant_id, assistant_name, status,
                               metadata)
            VALUES ($1, $2, $3, 'outbound', '', $4, $5, '', $6, $7, $8, $9,
                    CASE WHEN $10 THEN $11::jsonb
                         ELSE (SELECT metadata FROM assistants
                                WHERE id = $7 AND organisation_id = $2) END)
            {CHANGED}
        ) {NOTIFY_ALL}
        """,
        request.call_id, organisation_id, request.at, request.number.phone_number,
        request.destination, request.number.id, request.assistant_id,
        storable(request.assistant_name), CallStatus.CONNECTING.value,
        "metadata" in own, storable(own.get("metadata")),
    )  # fmt: skip
    await connection.fetch(
        """
        WITH asked AS (
            INSERT INTO outbound_requests (call_id, organisation_id, trunk_id, config,
                                           first_message, context, ring_s, withheld)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING call_id
        ) SELECT pg_notify($9, '') FROM asked
        """,
        request.call_id, organisation_id, request.number.trunk_id, storable(request.config),
        storable(request.first_message), storable(request.context), request.ring_s,
        request.withheld, REQUESTS,
    )  # fmt: skip
