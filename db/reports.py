"""Calls that ended and are to be reported on: taken by one worker at a time, step by step.

Each step is written with its outcome in one transaction, so that whoever goes on begins with the
first that has none. Only who took a call last may write.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import asyncpg

from db import call_usage
from db.deliveries import CHANNEL, REPORT
from db.journal import storable, write_entries
from db.retention import erase_content
from db.turns import Said, list_said
from sovereign_ari.domain.ids import CallId
from sovereign_ari.domain.records import CallNote
from sovereign_ari.domain.usage import Charged

Step = Literal["summary", "analysis"]
Outcome = Literal["written", "failed", "skipped"]
_COLUMNS: Mapping[Step, str] = {"summary": "summary", "analysis": "analysis_result"}


@dataclass(frozen=True, slots=True)
class TakenReport:
    """A call to report on.

    Attributes:
        taken: How often it was taken; tells takers apart.
        tries: Of the step in work, this one included.
        counted: Whether what the conversation used is written down.
        summary: What became of that step, None while it is to be done.
        analysis: Likewise.
        assistant: As it was at the call, complete, without secrets.
        wanted: Whether somebody gets the report.
    """

    call_id: str
    organisation_id: str
    taken: int
    tries: int
    counted: bool
    summary: Outcome | None
    analysis: Outcome | None
    assistant: dict[str, Any]
    wanted: bool


@dataclass(frozen=True, slots=True)
class CallContent:
    """What models are told of a call."""

    said: list[Said]
    answered_at: datetime | None
    ended_at: datetime
    end_reason: str
    person: str | None
    summary: str | None


async def take(
    connection: asyncpg.Connection, *, most: int, lasts_s: float, without: Sequence[str] = ()
) -> list[TakenReport]:
    """Take up to `most` calls that are due, for so many seconds, but none of some owners."""
    rows = await connection.fetch(
        """
        WITH due AS MATERIALIZED (
            SELECT r.call_id, c.organisation_id
              FROM call_reports AS r JOIN calls AS c ON c.id = r.call_id
             WHERE r.state = 'due' AND r.due_at <= now() AND c.organisation_id <> ALL($1::uuid[])
             ORDER BY r.due_at
             LIMIT $2
               FOR UPDATE OF r SKIP LOCKED
        )
        UPDATE call_reports AS r
           SET due_at = now() + make_interval(secs => $3), taken = r.taken + 1,
               tries = r.tries + 1
          FROM due WHERE r.call_id = due.call_id
        RETURNING r.call_id, due.organisation_id::text, r.taken, r.tries,
                  r.counted_at IS NOT NULL AS counted, r.summary, r.analysis, r.assistant,
                  $4 = ANY (r.webhook_events) AS wanted
        """,
        list(without),
        most,
        lasts_s,
        REPORT,
    )
    return [TakenReport(**row) for row in rows]


async def next_due_s(connection: asyncpg.Connection, without: Sequence[str] = ()) -> float | None:
    """Seconds until a call falls due, None when none waits."""
    seconds: float | None = await connection.fetchval(
        """
        SELECT extract(epoch FROM min(r.due_at) - now())::float8
          FROM call_reports AS r JOIN calls AS c ON c.id = r.call_id
         WHERE r.state = 'due' AND c.organisation_id <> ALL($1::uuid[])
        """,
        list(without),
    )
    return seconds


async def read_content(connection: asyncpg.Connection, report: TakenReport) -> CallContent | None:
    """What was said in a call, and how it went; None when the call was removed."""
    row = await connection.fetchrow(
        "SELECT answered_at, ended_at, end_reason, their_number AS person, summary"
        " FROM calls WHERE id = $1",
        report.call_id,
    )
    if row is None:
        return None
    said = await list_said(connection, report.organisation_id, [report.call_id])
    return CallContent(said[report.call_id], **row)


async def postpone(
    connection: asyncpg.Connection,
    report: TakenReport,
    in_s: float,
    used: Sequence[Charged] = (),
) -> None:
    """Let somebody try the step again later; `used` is what it took all the same."""
    async with connection.transaction():
        await call_usage.hold(connection, report.call_id)
        status = await connection.execute(
            "UPDATE call_reports SET due_at = now() + make_interval(secs => $3)"
            " WHERE (call_id, taken) = ($1, $2) AND state = 'due'",
            report.call_id,
            report.taken,
            in_s,
        )
        if status != "UPDATE 0":
            await call_usage.add(connection, report.call_id, used)


async def record(
    connection: asyncpg.Connection,
    report: TakenReport,
    step: Step,
    outcome: Outcome,
    *,
    value: Any = None,
    note: Mapping[str, Any] | None = None,
    used: Sequence[Charged] = (),
    at: datetime,
    lasts_s: float,
) -> bool:
    """Write what became of a step, and go on to the next.

    Args:
        connection: Where to write.
        report: As it was taken.
        step: Which.
        outcome: What became of it.
        value: What was made, when it was written.
        note: For the timeline; without content of the call.
        used: What it took.
        at: Time of the note.
        lasts_s: How long others leave the next step alone.

    Returns:
        False when somebody else has taken the call meanwhile; then nothing is written.
    """
    async with connection.transaction():
        await call_usage.hold(connection, report.call_id)
        status = await connection.execute(
            f"UPDATE call_reports SET {step} = $3, tries = 1,"
            "  due_at = now() + make_interval(secs => $4)"
            f" WHERE (call_id, taken) = ($1, $2) AND state = 'due' AND {step} IS NULL",
            report.call_id,
            report.taken,
            outcome,
            lasts_s,
        )
        if status == "UPDATE 0":
            return False
        await call_usage.add(connection, report.call_id, used)
        if outcome == "written":
            await connection.execute(
                f"UPDATE calls SET {_COLUMNS[step]} = $2, updated_at = now()"
                " WHERE id = $1 AND content_erased_at IS NULL",
                report.call_id,
                storable(value),
            )
        if note is not None:
            detail = {"outcome": outcome, **note}
            await write_entries(connection, [CallNote(CallId(report.call_id), at, step, detail)])
    return True


async def finish(connection: asyncpg.Connection, report: TakenReport) -> bool:
    """Queue the report of a call whose steps are done, if somebody wants it.

    Without anybody to get it, the content of a call in GDPR mode goes now.

    Returns:
        False when somebody else has taken the call meanwhile.
    """
    async with connection.transaction():
        # Numbers of webhooks are given out one call at a time.
        await call_usage.hold(connection, report.call_id)
        status = await connection.execute(
            "UPDATE call_reports SET state = 'done', due_at = NULL"
            " WHERE (call_id, taken) = ($1, $2) AND state = 'due'",
            report.call_id,
            report.taken,
        )
        if status == "UPDATE 0":
            return False
        if report.wanted:
            await connection.execute(
                """
                WITH queued AS (
                    INSERT INTO webhook_deliveries (call_id, number, event, url)
                    SELECT call_id, (SELECT coalesce(max(number), 0) + 1
                                       FROM webhook_deliveries WHERE call_id = $1),
                           $2, webhook_url
                      FROM call_reports WHERE call_id = $1
                    RETURNING 1
                ) SELECT pg_notify($3, '') FROM queued
                """,
                report.call_id,
                REPORT,
                CHANNEL,
            )
        elif report.assistant.get("gdpr_mode"):
            await erase_content(connection, report.call_id)
    return True
