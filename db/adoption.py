"""Calls whose controller died: exactly one other takes each, with all it needs to go on."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import asyncpg

from db.controllers import IS_ALIVE
from db.journal import CHANGED, GUESSES, NOTIFY_ALL
from sovereign_ari.domain.adoption import FoundCall, NotAdopted, Past, PastTurn, broken_transfer
from sovereign_ari.domain.agent import Route
from sovereign_ari.domain.ids import CallId
from sovereign_ari.domain.kept import KeptFault, restore
from sovereign_ari.domain.owner import Owner
from sovereign_ari.domain.webhook import Webhook

DEAD_AFTER = timedelta(seconds=5)  # two and a half heartbeats of one whose connection stands
FORGOTTEN_AFTER = timedelta(minutes=10)

log = logging.getLogger(__name__)

# Of several that try at once, the second finds the name of the first in the row. A controller may
# take what its own last life left at once, for of one name only one lives.
_TAKE = f"""
WITH old AS MATERIALIZED (
    SELECT c.id, c.controller, o.seen_at
      FROM calls AS c LEFT JOIN controllers AS o ON o.name = c.controller
     WHERE c.id = $1
), changed AS (
    UPDATE calls AS c
       SET controller = $2, updated_at = now(), status = 'in-progress',
           answered_at = coalesce(answered_at, now()),
           ended_at = NULL, end_reason = NULL, error = NULL, cause = NULL
      FROM old
     WHERE c.id = old.id AND c.controller = old.controller
       AND (c.ended_at IS NULL OR c.error = ANY($3))
       AND (old.controller = $2 OR old.seen_at IS NULL
            OR old.seen_at < clock_timestamp() - $4::interval
            OR NOT {IS_ALIVE.format("old.controller")})
       AND EXISTS (SELECT FROM call_reports AS r WHERE r.call_id = c.id AND r.kept IS NOT NULL)
    RETURNING c.id, c.status, c.assistant_name, c.answered_at, c.ended_at, c.end_reason,
              CASE WHEN c.direction <> 'outbound' THEN c.dialled END AS dialled
), told AS ({NOTIFY_ALL})
SELECT (SELECT count(*) FROM told) > 0 AS taken, old.controller, old.seen_at,
       EXISTS (SELECT FROM calls AS c JOIN call_reports AS r ON r.call_id = c.id
                WHERE c.id = $1 AND r.kept IS NOT NULL
                  AND (c.ended_at IS NULL OR c.error = ANY($3))) AS may_be
  FROM old
"""

_READ = """
SELECT c.our_number, c.their_number, c.codec, c.number_id::text, c.organisation_id::text,
       c.answered_at, r.kept, r.assistant AS shown, r.number_name,
       r.webhook_url, r.webhook_secret, r.webhook_events,
       owner.webhook_url AS account_url, owner.webhook_secret AS account_secret,
       owner.webhook_events AS account_events,
       ARRAY(SELECT (provider, secret) FROM byok_keys
              WHERE organisation_id = c.organisation_id) AS sealed_keys
  FROM calls AS c
  JOIN call_reports AS r ON r.call_id = c.id
  JOIN organisations AS owner ON owner.id = c.organisation_id
 WHERE c.id = $1
"""


async def adopt(
    connection: asyncpg.Connection, call: CallId, controller: str
) -> FoundCall | NotAdopted:
    """Write this controller's name into the row of a call, and read what the call runs on.

    A call that was closed by a guess is open again. One that another release left, of which we
    cannot read what it runs on, stays as it is.
    """
    try:
        async with connection.transaction():
            return await _adopt(connection, call, controller)
    except KeptFault as fault:
        log.error("cannot read what the call %s runs on: %s", call, fault)  # noqa: TRY400
        return NotAdopted.NEVER


async def _adopt(
    connection: asyncpg.Connection, call: CallId, controller: str
) -> FoundCall | NotAdopted:
    row = await connection.fetchrow(_TAKE, call, controller, GUESSES, DEAD_AFTER)
    if row is None or not row["may_be"]:
        return NotAdopted.NEVER
    if not row["taken"]:
        return NotAdopted.LATER
    # What is reported of it already is reported again at its true end.
    await connection.execute(
        "UPDATE call_reports SET state = 'open', due_at = NULL, summary = NULL,"
        " analysis = NULL, tries = 0, taken = taken + 1"
        " WHERE call_id = $1 AND state <> 'open'",
        call,
    )
    found = await connection.fetchrow(_READ, call)
    turns = await connection.fetch(
        "SELECT number, user_text, heard_text, tool_calls, reply_ended_ms IS NOT NULL AS"
        " finished FROM turns WHERE call_id = $1 ORDER BY number",
        call,
    )
    steps = await connection.fetch(
        "SELECT detail FROM call_notes WHERE call_id = $1 AND kind = 'transfer' ORDER BY at", call
    )
    transfer = broken_transfer([step["detail"] for step in steps])
    made = _found(call, found, turns, row["seen_at"])
    return replace(made, past=replace(made.past, transfer=transfer))


def _found(
    call: CallId,
    row: asyncpg.Record,
    turns: list[asyncpg.Record],
    last_seen_at: datetime | None,
) -> FoundCall:
    keys: dict[str, bytes] = dict(row["sealed_keys"])
    account: dict[str, Any] = {
        name: row[name] for name in ("account_url", "account_secret", "account_events")
    }
    webhook = None
    if row["webhook_url"] is not None:
        events = frozenset(row["webhook_events"])
        webhook = Webhook(row["webhook_url"], row["webhook_secret"], events)
    route = Route(
        organisation_id=row["organisation_id"],
        number_id=row["number_id"],
        assistant=restore(row["kept"], shown=row["shown"], webhook=webhook, sealed_keys=keys),
        number_name=row["number_name"],
        owner=Owner(row["organisation_id"], account, keys),
    )
    past = Past(
        turns=tuple(
            PastTurn(
                turn["user_text"], turn["heard_text"], tuple(turn["tool_calls"]), turn["finished"]
            )
            for turn in turns
        ),
        next_number=turns[-1]["number"] + 1 if turns else 0,
        answered_at=row["answered_at"],
    )
    return FoundCall(
        call_id=call,
        ours=row["our_number"],
        theirs=row["their_number"],
        codec=row["codec"],
        route=route,
        past=past,
        last_seen_at=last_seen_at,
    )


async def close_transferred(connection: asyncpg.Connection, call: str) -> None:
    """Close a call whose caller the PBX has joined with somebody else, if it is open."""
    await connection.execute(
        f"""
        WITH changed AS (
            UPDATE calls SET ended_at = now(), status = 'transferred', updated_at = now(),
                   end_reason = 'transferred'
             WHERE id = $1 AND ended_at IS NULL
            {CHANGED}
        ) {NOTIFY_ALL}
        """,
        call,
    )


async def last_seen(connection: asyncpg.Connection, controller: str) -> datetime | None:
    """When a controller of this name last said that it lives."""
    seen: datetime | None = await connection.fetchval(
        "SELECT seen_at FROM controllers WHERE name = $1", controller
    )
    return seen


async def forget_kept(connection: asyncpg.Connection) -> None:
    """Remove what calls ran on that are over for good."""
    await connection.execute(
        """
        UPDATE call_reports AS r SET kept = NULL FROM calls AS c
         WHERE c.id = r.call_id AND r.kept IS NOT NULL
           AND c.ended_at < clock_timestamp() - $1::interval
        """,
        FORGOTTEN_AFTER,
    )
