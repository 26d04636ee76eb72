"""Calls that were asked for: exactly one controller takes each, and none is lost without a word.

Whoever takes a call removes its request and writes its own name into the row of the call, in one
statement. From then on the call is closed as every call whose controller dies is closed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

import asyncpg

from db.journal import CHANGED, NOTIFY_ALL
from db.listening import FAULTS, listening
from db.outbound import REQUESTS
from sovereign_ari.domain.agent import Config, Route
from sovereign_ari.domain.assistant_request import FIELDS
from sovereign_ari.domain.ids import CallId
from sovereign_ari.domain.outbound import CODEC, PlacedCall, Wishes, calling_assistant
from sovereign_ari.domain.owner import Owner
from sovereign_ari.domain.records import CallStatus, EndReason
from sovereign_ari.errors import DatabaseUnavailable

TAKEN_WITHIN = timedelta(seconds=5)
GIVEN_UP_WITHIN = timedelta(seconds=8)
LOOK_AGAIN_S = 1.0
AT_ONCE = 5  # so that controllers with room share what comes at once
NOT_TAKEN = "the call was not dialled: no controller had room for it within 5 s"

_TAKE = f"""
WITH wanted AS (
    SELECT call_id FROM outbound_requests
     WHERE (cancelled OR created_at <= clock_timestamp() - $2::interval) = $4
     ORDER BY created_at LIMIT $3 FOR UPDATE SKIP LOCKED
), taken AS (
    DELETE FROM outbound_requests AS r USING wanted AS w WHERE r.call_id = w.call_id
    RETURNING r.*
), owned AS (
    UPDATE calls AS c SET controller = $1, codec = $5, updated_at = now()
      FROM taken AS t WHERE c.id = t.call_id AND c.ended_at IS NULL
    RETURNING c.id, c.created_at, c.dialled, c.caller, c.number_id, c.assistant_id,
              c.organisation_id
)
SELECT c.id, c.created_at, c.dialled, c.caller, c.number_id::text, c.organisation_id::text,
       t.config, t.first_message AS greeting, t.context, t.ring_s, t.withheld, t.cancelled,
       t.trunk_id::text,
       n.name AS number_name, coalesce(trunk.addresses, '{{}}') AS addresses,
       trunk.outbound_number, c.assistant_id::text, a.id IS NOT NULL AS is_stored,
       {", ".join(f"a.{name}" for name in FIELDS)},
       owner.webhook_url AS account_url, owner.webhook_secret AS account_secret,
       owner.webhook_events AS account_events,
       ARRAY(SELECT (provider, secret) FROM byok_keys
              WHERE organisation_id = c.organisation_id) AS sealed_keys
  FROM owned AS c
  JOIN taken AS t ON t.call_id = c.id
  JOIN organisations AS owner ON owner.id = c.organisation_id
  LEFT JOIN phone_numbers AS n ON n.id = c.number_id
  LEFT JOIN assistants AS a ON a.id = c.assistant_id AND a.organisation_id = c.organisation_id
  LEFT JOIN sip_trunks AS trunk
    ON trunk.id = t.trunk_id AND trunk.organisation_id = c.organisation_id AND trunk.is_active
 ORDER BY t.created_at
"""


class RequestBox:
    """The calls that a controller may take, as they are asked for. Made by `open_requests`."""

    def __init__(
        self,
        connection: asyncpg.Connection,
        controller: str,
        defaults: Mapping[str, Config],
        wake: asyncio.Event,
    ) -> None:
        self._connection = connection
        self._controller = controller
        self._defaults = defaults
        self._wake = wake

    async def take(self, room: Callable[[], int]) -> list[PlacedCall]:
        """Wait for calls and take them, no more at once than `room` tells.

        Those that nobody took in time, or that were cancelled, are taken too, to be closed.

        Raises:
            DatabaseUnavailable: If the connection is lost.
        """
        try:
            while True:
                self._wake.clear()
                limit = min(AT_ONCE, room())
                if limit > 0 and (placed := await self._take(limit, late=False)):
                    return placed
                if placed := await self._take(AT_ONCE, late=True):
                    return placed
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_AGAIN_S):
                        await self._wake.wait()
        except FAULTS as error:
            raise DatabaseUnavailable(f"{type(error).__name__}: {error}") from error

    async def _take(self, limit: int, *, late: bool) -> list[PlacedCall]:
        rows = await self._connection.fetch(
            _TAKE, self._controller, TAKEN_WITHIN, limit, late, CODEC
        )
        return [_placed(row, self._defaults, NOT_TAKEN if late else None) for row in rows]


async def cancel_untaken(
    connection: asyncpg.Connection, organisation_id: str, call_id: str
) -> bool:
    """Have a call closed instead of placed; False when a controller has taken it already."""
    cancelled = await connection.fetchval(
        """
        WITH cancelled AS (
            UPDATE outbound_requests SET cancelled = true
             WHERE organisation_id = $1 AND call_id = $2 RETURNING call_id
        ) SELECT call_id, pg_notify($3, '') FROM cancelled
        """,
        organisation_id,
        call_id,
        REQUESTS,
    )
    return cancelled is not None


async def close_untaken(connection: asyncpg.Connection) -> list[str]:
    """Close the calls that no controller took or gave up, for none lives; gives their ids."""
    rows = await connection.fetch(
        f"""
        WITH given_up AS (
            DELETE FROM outbound_requests WHERE created_at < clock_timestamp() - $1::interval
            RETURNING call_id, cancelled
        ), changed AS (
            UPDATE calls AS c
               SET ended_at = now(), updated_at = now(),
                   status = CASE WHEN g.cancelled THEN $5 ELSE $2 END,
                   end_reason = CASE WHEN g.cancelled THEN $6 ELSE $3 END,
                   error = CASE WHEN g.cancelled THEN NULL ELSE $4 END
              FROM given_up AS g WHERE c.id = g.call_id AND c.ended_at IS NULL
            {CHANGED}
        ) {NOTIFY_ALL}
        """,
        GIVEN_UP_WITHIN,
        CallStatus.FAILED.value,
        EndReason.UNREACHABLE.value,
        NOT_TAKEN,
        CallStatus.ENDED.value,
        EndReason.ASSISTANT_HANGUP.value,
    )
    return [row["id"] for row in rows]


def _placed(
    row: asyncpg.Record, defaults: Mapping[str, Config], refusal: str | None
) -> PlacedCall:
    owner = Owner(
        organisation_id=row["organisation_id"],
        account={name: row[name] for name in ("account_url", "account_secret", "account_events")},
        sealed_keys=dict(row["sealed_keys"]),
    )
    saved = {name: row[name] for name in FIELDS} if row["is_stored"] else None
    assistant = None
    if saved is None and row["assistant_id"] is not None:
        refusal = refusal or "the assistant of the call was deleted"
    else:
        wishes = Wishes(row["config"], row["greeting"], row["context"])
        assistant = calling_assistant(row["assistant_id"], saved, wishes, owner, defaults)
    return PlacedCall(
        call_id=CallId(row["id"]),
        at=row["created_at"],
        destination=row["dialled"],
        number=row["caller"],
        shown=row["outbound_number"] or row["caller"],
        withheld=row["withheld"],
        route=Route(
            organisation_id=owner.organisation_id,
            number_id=row["number_id"],
            assistant=assistant,
            number_name=row["number_name"],
            owner=owner,
            saved=saved,
        ),
        trunk_id=row["trunk_id"],
        addresses=tuple(row["addresses"]),
        ring_s=row["ring_s"],
        refusal=None if row["cancelled"] else refusal,
        cancelled=row["cancelled"],
    )


@asynccontextmanager
async def open_requests(
    pool: asyncpg.Pool, controller: str, defaults: Mapping[str, Config]
) -> AsyncIterator[RequestBox]:
    """Listen for calls that are asked for, those that were missed included.

    Raises:
        DatabaseUnavailable: If the database cannot be reached.
    """
    wake = asyncio.Event()
    try:
        async with listening(pool, REQUESTS, lambda _: wake.set()) as connection:
            yield RequestBox(connection, controller, defaults, wake)
    except FAULTS as error:
        raise DatabaseUnavailable(f"{type(error).__name__}: {error}") from error
