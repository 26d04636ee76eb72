"""Outgoing calls: who may be called, from which number, and the request itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg

from db.journal import CHANGED, NOTIFY_ALL, storable
from db.numbers import NUMBERS
from sovereign_ari.domain.ids import CallId
from sovereign_ari.domain.permission import OutboundPermission
from sovereign_ari.domain.records import CallStatus, EndReason
from sovereign_ari.errors import Impossible

NOT_DIALLED = (
    "the call was not dialled: no node of this installation makes outgoing calls in this release"
)


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


async def request_call(
    connection: asyncpg.Connection, organisation_id: str, request: OutboundRequest
) -> None:
    """Hand a call to whoever dials.

    Nobody does yet, and the row of the call says so at once: it has failed.
    """
    await connection.fetch(
        f"""
        WITH changed AS (
            INSERT INTO calls (id, organisation_id, created_at, updated_at, ended_at, direction,
                               controller, caller, dialled, codec, number_id, assistant_id,
                               assistant_name, status, end_reason, error)
            VALUES ($1, $2, $3, $3, $3, 'outbound', '', $4, $5, '', $6, $7, $8, $9, $10, $11)
            {CHANGED}
        ) {NOTIFY_ALL}
        """,
        request.call_id, organisation_id, request.at, request.number.phone_number,
        request.destination, request.number.id, request.assistant_id,
        storable(request.assistant_name), CallStatus.FAILED.value, EndReason.UNREACHABLE.value,
        NOT_DIALLED,
    )  # fmt: skip
