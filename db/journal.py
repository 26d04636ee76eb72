"""Writes what a controller posted about its calls. Redelivered entries change nothing.

What was erased of a call stays erased. Webhooks are queued by a trigger on the status of calls.

Channel `sovereign_calls` carries one JSON object per change of status, for status lines and
wake-ups: `call_id`, `status`, `dialled`, `assistant`, `duration_s` (since the answer, null before
it) and `end_reason`. It never carries who called, nor whom we called.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg

from sovereign_ari.domain.records import (
    CallAnswered,
    CallClosed,
    CallConfigured,
    CallNote,
    CallOpened,
    CallRinging,
    JournalEntry,
    TurnRecord,
)

CHANNEL = "sovereign_calls"
NOT_SEEN = "the controller of this call was not seen any more"
RESTARTED = "the controller of this call restarted"
GUESSES = (NOT_SEEN, RESTARTED)
"""Errors of calls that were closed because nobody minded them: who knows better may say so."""

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")

CHANGED = """RETURNING id, status, assistant_name, answered_at, ended_at, end_reason,
    CASE WHEN direction <> 'outbound' THEN dialled END AS dialled"""
"""Ends the statement `changed` that `NOTIFY` and `NOTIFY_ALL` tell about."""

_TELL = """pg_notify('sovereign_calls', json_build_object(
    'call_id', id, 'status', status, 'dialled', dialled, 'assistant', assistant_name,
    'duration_s', extract(epoch FROM greatest(ended_at, answered_at) - answered_at),
    'end_reason', end_reason)::text)"""
NOTIFY_ALL = f"SELECT id, {_TELL} FROM changed"

# One statement changes the row, tells who listens, and says whether the call is known at all.
_NOTIFY = f"""
SELECT EXISTS (SELECT FROM calls WHERE id = $1) AS known,
       (SELECT count({_TELL}) FROM changed)
"""


async def write_entries(connection: asyncpg.Connection, entries: Sequence[JournalEntry]) -> int:
    """Write entries in their order, all or nothing.

    Returns:
        How many of them named a call that was never opened; those are dropped.
    """
    lost = 0
    async with connection.transaction():
        for entry in entries:
            lost += not await _write(connection, entry)
    return lost


async def _write(connection: asyncpg.Connection, entry: JournalEntry) -> bool:
    """Write one entry; False when its call has no row."""
    match entry:
        case CallOpened():
            await _open(connection, entry)
            return True
        case CallConfigured():
            return await _configure(connection, entry)
        case CallRinging():
            return await _ring(connection, entry)
        case CallAnswered():
            return await _answer(connection, entry)
        case CallClosed():
            return await _close(connection, entry)
        case TurnRecord():
            return await _turn(connection, entry)
        case CallNote():
            return await _note(connection, entry)


async def _open(connection: asyncpg.Connection, entry: CallOpened) -> None:
    await connection.execute(
        f"""
        WITH changed AS (
            INSERT INTO calls (id, created_at, direction, controller, caller, dialled, codec,
                               organisation_id, number_id, assistant_id, assistant_name, metadata,
                               status)
            VALUES ($1, $2, $3, $4, $5, $6, $7,
                    coalesce(nullif($8, '')::uuid,
                             (SELECT id FROM organisations WHERE is_operator)),
                    $9, $10, $11, $12, 'ringing')
            ON CONFLICT (id) DO NOTHING
            {CHANGED}
        ) {_NOTIFY}
        """,
        entry.call_id, entry.at, entry.direction, entry.controller, storable(entry.caller),
        storable(entry.dialled), entry.codec, entry.organisation_id, entry.number_id,
        entry.assistant_id, storable(entry.assistant_name), _metadata(entry),
    )  # fmt: skip
    if entry.shown or entry.webhook is not None:
        await _set_up(connection, entry)


async def _configure(connection: asyncpg.Connection, entry: CallConfigured) -> bool:
    """Keep who takes the call instead; after its end nothing is changed."""
    known: bool = await connection.fetchval(
        f"""
        WITH changed AS (
            UPDATE calls SET assistant_id = $2, assistant_name = $3, metadata = $4,
                             updated_at = now()
             WHERE id = $1 AND ended_at IS NULL
            {CHANGED}
        ) {_NOTIFY}
        """,
        entry.call_id, entry.assistant_id, storable(entry.assistant_name), _metadata(entry),
    )  # fmt: skip
    await _set_up(connection, entry)
    return known


def _metadata(entry: CallOpened | CallConfigured) -> Any:
    """What was said of the call, or of its assistant; None when nothing was."""
    metadata = entry.shown.get("metadata")
    return storable(metadata) if isinstance(metadata, Mapping) else None


async def _set_up(connection: asyncpg.Connection, entry: CallOpened | CallConfigured) -> None:
    """Keep what later webhooks of the call show and where they go."""
    webhook = entry.webhook
    again = (
        """
        UPDATE SET assistant = excluded.assistant, webhook_url = excluded.webhook_url,
                   webhook_secret = excluded.webhook_secret,
                   webhook_events = excluded.webhook_events, kept = excluded.kept
        """
        if isinstance(entry, CallConfigured)
        else "NOTHING"
    )
    await connection.execute(
        f"""
        INSERT INTO call_reports (call_id, number_name, assistant, webhook_url, webhook_secret,
                                  webhook_events, kept)
        SELECT id, $2, $3, $4, $5, $6, $7 FROM calls WHERE id = $1 AND ended_at IS NULL
        ON CONFLICT (call_id) DO {again}
        """,
        entry.call_id, storable(entry.number_name), storable(entry.shown),
        webhook and webhook.url, webhook and webhook.secret,
        sorted(webhook.events) if webhook else [], storable(entry.kept),
    )  # fmt: skip


async def _ring(connection: asyncpg.Connection, entry: CallRinging) -> bool:
    known: bool = await connection.fetchval(
        f"""
        WITH changed AS (
            UPDATE calls SET status = 'ringing', updated_at = now()
             WHERE id = $1 AND status = 'connecting'
            {CHANGED}
        ) {_NOTIFY}
        """,
        entry.call_id,
    )
    return known


async def _answer(connection: asyncpg.Connection, entry: CallAnswered) -> bool:
    """An answer that arrives after the end is kept, but reopens nothing."""
    known: bool = await connection.fetchval(
        f"""
        WITH changed AS (
            UPDATE calls
               SET answered_at = $2, updated_at = now(),
                   status = CASE WHEN ended_at IS NULL AND $3 THEN 'in-progress' ELSE status END
             WHERE id = $1 AND answered_at IS NULL
            {CHANGED}
        ) {_NOTIFY}
        """,
        entry.call_id, entry.at, entry.conversation,
    )  # fmt: skip
    return known


async def _close(connection: asyncpg.Connection, entry: CallClosed) -> bool:
    known: bool = await connection.fetchval(
        f"""
        WITH changed AS (
            UPDATE calls
               SET ended_at = $2, status = $3, end_reason = $4, cause = $5, error = $6,
                   media = $7, updated_at = now()
             WHERE id = $1 AND (ended_at IS NULL OR error = ANY($8))
            {CHANGED}
        ) {_NOTIFY}
        """,
        entry.call_id, entry.at, entry.status.value, entry.end_reason.value, entry.cause,
        storable(entry.error), storable(entry.media), GUESSES,
    )  # fmt: skip
    return known


async def _turn(connection: asyncpg.Connection, entry: TurnRecord) -> bool:
    known: bool = await connection.fetchval(
        """
        WITH written AS (
        INSERT INTO turns (call_id, number, at, user_text, agent_text, heard_text, interrupted,
                           tool_calls, user_stopped_ms, turn_ended_ms, stt_final_ms,
                           llm_first_token_ms, first_sentence_ms, tts_first_byte_ms,
                           first_packet_ms, reply_ended_ms, models, usage, error)
        SELECT id, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19
          FROM calls WHERE id = $1 AND content_erased_at IS NULL FOR SHARE
        ON CONFLICT (call_id, number) DO UPDATE
           SET at = excluded.at, user_text = excluded.user_text,
               agent_text = excluded.agent_text, heard_text = excluded.heard_text,
               interrupted = excluded.interrupted, tool_calls = excluded.tool_calls,
               user_stopped_ms = excluded.user_stopped_ms,
               turn_ended_ms = excluded.turn_ended_ms, stt_final_ms = excluded.stt_final_ms,
               llm_first_token_ms = excluded.llm_first_token_ms,
               first_sentence_ms = excluded.first_sentence_ms,
               tts_first_byte_ms = excluded.tts_first_byte_ms,
               first_packet_ms = excluded.first_packet_ms,
               reply_ended_ms = excluded.reply_ended_ms, models = excluded.models,
               usage = excluded.usage, error = excluded.error
        ) SELECT EXISTS (SELECT FROM calls WHERE id = $1)
        """,
        entry.call_id, entry.number, entry.at, storable(entry.user_text),
        storable(entry.agent_text), storable(entry.heard_text), entry.interrupted,
        storable(entry.tool_calls), entry.user_stopped_ms, entry.turn_ended_ms,
        entry.stt_final_ms, entry.llm_first_token_ms, entry.first_sentence_ms,
        entry.tts_first_byte_ms, entry.first_packet_ms, entry.reply_ended_ms,
        storable(entry.models), storable(entry.usage), storable(entry.error),
    )  # fmt: skip
    return known


async def _note(connection: asyncpg.Connection, entry: CallNote) -> bool:
    detail = storable(entry.detail)
    identity = json.dumps([entry.at.isoformat(), entry.kind, detail], sort_keys=True)
    known: bool = await connection.fetchval(
        """
        WITH written AS (
            INSERT INTO call_notes (call_id, digest, at, kind, detail)
            SELECT id, $2, $3, $4, $5 FROM calls
             WHERE id = $1 AND content_erased_at IS NULL FOR SHARE
            ON CONFLICT (call_id, digest) DO NOTHING
        ) SELECT EXISTS (SELECT FROM calls WHERE id = $1)
        """,
        entry.call_id, hashlib.sha256(identity.encode()).digest()[:16], entry.at, entry.kind,
        detail,
    )  # fmt: skip
    return known


def storable(value: Any) -> Any:
    """Make a value one that PostgreSQL takes, so that no transcript can stop the journal.

    NUL characters and lone surrogates become U+FFFD, numbers that are not finite become null.
    """
    match value:
        case str():
            return _UNSTORABLE.sub("\ufffd", value)
        case float() if not math.isfinite(value):
            return None
        case Mapping():
            return {storable(str(key)): storable(item) for key, item in value.items()}
        case list() | tuple():
            return [storable(item) for item in value]
        case _:
            return value
