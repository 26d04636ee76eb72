"""The rules that stand in the schema: one violation of each is refused by PostgreSQL itself."""

from __future__ import annotations

from enum import StrEnum

import asyncpg
import pytest

from db.journal import write_entries
from db.organisations import create_organisation, ensure_operator_organisation
from sovereign_ari.domain.records import CallStatus, EndReason
from tests.support.rows import a_call_id, an_assistant, closed, opened

ASSISTANT = "UPDATE assistants SET "
CALL = "UPDATE calls SET "
TURN = (
    "INSERT INTO turns (call_id, number, at, agent_text, heard_text, interrupted, tool_calls,"
    " models, usage) SELECT id, {}, now(), '', '', false, {}, {}, {} FROM calls"
)


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO organisations (name) VALUES ('')",
        "INSERT INTO organisations (name, is_operator) VALUES ('second', true)",
        "INSERT INTO api_keys (organisation_id, name, prefix, secret_sha256)"
        " SELECT id, 'k', 'fl_', 'short' FROM organisations",
        ASSISTANT + "name = ''",
        ASSISTANT + "max_duration_seconds = 9",
        ASSISTANT + "max_duration_seconds = 14401",
        ASSISTANT + "silence_timeout_seconds = 1.9",
        ASSISTANT + "silence_timeout_seconds = 601",
        ASSISTANT + "silence_timeout_seconds = 'NaN'",
        ASSISTANT + "notification_emails = ARRAY['a','b','c','d','e','f']",
        ASSISTANT + "webhook_events = ARRAY['call-ended']",
        ASSISTANT + "analysis_plan = '[]'",
        ASSISTANT + "stt_config = '[]'",
        ASSISTANT + "llm_config = '1'",
        ASSISTANT + """tts_config = '"x"'""",
        ASSISTANT + "speech_config = 'null'",
        ASSISTANT + "recording_consent = '[]'",
        "INSERT INTO phone_numbers (organisation_id, phone_number)"
        " SELECT id, '0201234567' FROM organisations",
        "INSERT INTO extensions (organisation_id, extension) SELECT id, '1' FROM organisations",
        CALL + "id = 'call-sideways-00000000000000000000000000'",
        CALL + "direction = 'sideways'",
        CALL + "status = 'ended'",
        CALL + "status = 'sleeping'",
        CALL + "status = 'in-progress'",
        CALL + "end_reason = 'user_hangup'",
        CALL + "status = 'ended', ended_at = now(), end_reason = 'boredom'",
        CALL + "cause = 128",
        CALL + "media = '[]'",
        TURN.format(-1, "'[]'", "'{}'", "'{}'"),
        TURN.format(1, "'{}'", "'{}'", "'{}'"),
        TURN.format(1, "'[]'", "'[]'", "'{}'"),
        TURN.format(1, "'[]'", "'{}'", "'[]'"),
        "INSERT INTO call_notes SELECT id, '\\x00', now(), 'dtmf', '{}' FROM calls",
        "INSERT INTO call_notes SELECT id, decode(md5(''), 'hex'), now(), '', '{}' FROM calls",
        "INSERT INTO call_notes SELECT id, decode(md5(''), 'hex'), now(), 'a', '[]' FROM calls",
        "INSERT INTO controllers (name, node, capacity) VALUES ('a', 'b', -1)",
    ],
)
async def test_the_schema_refuses(connection: asyncpg.Connection, statement: str) -> None:
    assistant = await an_assistant(connection)
    await write_entries(connection, [opened(assistant.organisation_id)])
    with pytest.raises(asyncpg.IntegrityConstraintViolationError):
        await connection.execute(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO phone_numbers (organisation_id, phone_number, assistant_id)"
        " VALUES ($1, '+31201234567', $2)",
        "INSERT INTO extensions (organisation_id, extension, assistant_id)"
        " VALUES ($1, '1000', $2)",
    ],
    ids=["number", "extension"],
)
async def test_a_number_cannot_name_the_assistant_of_another_organisation(
    connection: asyncpg.Connection, statement: str
) -> None:
    theirs = await an_assistant(connection)
    ours = await create_organisation(connection, "Ours")
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        await connection.execute(statement, ours, theirs.id)


async def test_a_number_exists_once_in_the_whole_installation(
    connection: asyncpg.Connection,
) -> None:
    add = "INSERT INTO phone_numbers (organisation_id, phone_number) VALUES ($1, '+31201234567')"
    await connection.execute(add, await ensure_operator_organisation(connection))
    with pytest.raises(asyncpg.UniqueViolationError):
        await connection.execute(add, await create_organisation(connection, "Other"))


@pytest.mark.parametrize("status", [s for s in CallStatus if s not in ("connecting", "ringing")])
async def test_every_status_of_the_domain_is_storable(
    connection: asyncpg.Connection, status: StrEnum
) -> None:
    organisation = await ensure_operator_organisation(connection)
    await write_entries(connection, [opened(organisation)])
    if status == "in-progress":
        await connection.execute("UPDATE calls SET status = $1, answered_at = now()", status)
    else:
        assert await write_entries(connection, [closed(status=status)]) == 0
    assert await connection.fetchval("SELECT status FROM calls") == status


@pytest.mark.parametrize("reason", list(EndReason))
async def test_every_end_reason_of_the_domain_is_storable(
    connection: asyncpg.Connection, reason: EndReason
) -> None:
    organisation = await ensure_operator_organisation(connection)
    await write_entries(connection, [opened(organisation), closed(end_reason=reason)])
    stored = await connection.fetchval("SELECT end_reason FROM calls WHERE id = $1", a_call_id())
    assert stored == reason
