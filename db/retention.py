"""Erases what organisations no longer keep, a batch of calls at a time.

Content (turns, what was made of them, and the details of notes that may repeat what was said or
pressed) goes first; metadata (the person's number, what an integrator said of the call, notes,
deliveries of webhooks and what they would say, links to leads) goes later. The call itself stays,
for what it used was charged. Age counts from the end of the call.

Each batch is one statement: it commits whole or not at all, holds the rows of its own calls and
no others, and leaves calls that somebody else holds for the next one. The call remembers what was
erased of it, so that nothing is looked at twice and any pass can go on where another stopped.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import asyncpg

PLAIN_NOTES = (
    "provider_fault", "provider_retry", "provider_fallback", "provider_hedge", "circuit_open",
    "fallback_unusable", "false_interruption", "speculation", "summary", "analysis", "usage",
)  # fmt: skip
"""Kinds of notes whose details hold nothing that a caller said or pressed."""

_DUE = """
    SELECT c.id
      FROM calls AS c JOIN organisations AS o ON o.id = c.organisation_id
     WHERE c.organisation_id = $1 AND c.ended_at IS NOT NULL AND c.{what}_erased_at IS NULL
       AND c.ended_at < now() - make_interval(days => o.{what}_retention_days)
     ORDER BY c.ended_at
     LIMIT $2
       FOR NO KEY UPDATE OF c SKIP LOCKED
"""
_OLD = """
    SELECT FROM calls AS c
     WHERE c.organisation_id = o.id AND c.ended_at IS NOT NULL AND c.{what}_erased_at IS NULL
       AND c.ended_at < now() - make_interval(days => o.{what}_retention_days)
"""
_CONTENT = f"""
WITH due AS MATERIALIZED ({_DUE.format(what="content")}),
turns_gone AS (
    DELETE FROM turns USING due WHERE call_id = due.id RETURNING 1
), details_gone AS (
    UPDATE call_notes SET detail = '{{}}' FROM due
     WHERE call_id = due.id AND kind <> ALL($3) AND detail <> '{{}}' RETURNING 1
), marked AS (
    UPDATE calls SET content_erased_at = now(), summary = NULL, analysis_result = NULL
      FROM due WHERE calls.id = due.id
)
SELECT (SELECT count(*) FROM due) AS contents,
       (SELECT count(*) FROM turns_gone) AS turns,
       (SELECT count(*) FROM details_gone) AS details
"""
_METADATA = f"""
WITH due AS MATERIALIZED ({_DUE.format(what="metadata")}),
notes_gone AS (
    DELETE FROM call_notes USING due WHERE call_id = due.id RETURNING 1
), deliveries_gone AS (
    DELETE FROM webhook_deliveries USING due WHERE call_id = due.id RETURNING 1
), reports_gone AS (
    DELETE FROM call_reports USING due WHERE call_id = due.id
), leads_unlinked AS (
    UPDATE leads SET call_id = NULL FROM due WHERE call_id = due.id RETURNING 1
), marked AS (
    UPDATE calls
       SET metadata_erased_at = now(), metadata = NULL,
           caller = CASE direction WHEN 'outbound' THEN caller END,
           dialled = CASE direction WHEN 'outbound' THEN NULL ELSE dialled END
      FROM due WHERE calls.id = due.id
)
SELECT (SELECT count(*) FROM due) AS numbers,
       (SELECT count(*) FROM notes_gone) AS notes,
       (SELECT count(*) FROM deliveries_gone) AS deliveries,
       (SELECT count(*) FROM leads_unlinked) AS leads
"""


@dataclass(frozen=True, slots=True)
class Erased:
    """How much was erased.

    Attributes:
        contents: Calls whose content went.
        turns: Turns of theirs.
        details: Details of notes of theirs.
        numbers: Calls whose metadata went, the person's number with it.
        notes: Notes of theirs.
        deliveries: Webhooks of theirs.
        leads: Leads that no longer name their call.
    """

    contents: int = 0
    turns: int = 0
    details: int = 0
    numbers: int = 0
    notes: int = 0
    deliveries: int = 0
    leads: int = 0

    def __add__(self, other: Erased) -> Erased:
        sums = {f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)}
        return Erased(**sums)


async def find_due(connection: asyncpg.Connection) -> list[str]:
    """The organisations that have something to erase now."""
    rows = await connection.fetch(
        f"""
        SELECT id FROM organisations AS o
         WHERE content_retention_days IS NOT NULL
           AND (EXISTS ({_OLD.format(what="content")}) OR EXISTS ({_OLD.format(what="metadata")}))
        """
    )
    return [str(row["id"]) for row in rows]


async def erase_batch(
    connection: asyncpg.Connection, organisation_id: str, *, limit: int
) -> Erased:
    """Erase content of up to `limit` calls and metadata of as many, the oldest first."""
    content = await connection.fetchrow(_CONTENT, organisation_id, limit, list(PLAIN_NOTES))
    metadata = await connection.fetchrow(_METADATA, organisation_id, limit)
    return Erased(**content) + Erased(**metadata)


async def erase_content(connection: asyncpg.Connection, call_id: str) -> None:
    """Erase the content of one call now, in a transaction of the caller's.

    The call is held first: a journal that still writes to it waits, and finds it erased.
    """
    await connection.execute(
        "UPDATE calls SET content_erased_at = now(), summary = NULL, analysis_result = NULL"
        " WHERE id = $1 AND content_erased_at IS NULL",
        call_id,
    )
    await connection.execute("DELETE FROM turns WHERE call_id = $1", call_id)
    await connection.execute(
        "UPDATE call_notes SET detail = '{}'"
        " WHERE call_id = $1 AND kind <> ALL($2) AND detail <> '{}'",
        call_id,
        list(PLAIN_NOTES),
    )


async def purge_tickets(connection: asyncpg.Connection) -> int:
    """Forget the tickets of browsers that expired over an hour ago; return how many."""
    status = await connection.execute(
        "DELETE FROM web_calls WHERE expires_at < now() - interval '1 hour'"
    )
    return int(status.split()[-1])
