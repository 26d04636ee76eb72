"""Rows and journal entries that tests of the database and the API begin with."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg

from db.assistants import ASSISTANTS, AssistantRecord
from db.organisations import ensure_operator_organisation
from sovereign_ari.domain.ids import CallId, call_id
from sovereign_ari.domain.records import (
    CallAnswered,
    CallClosed,
    CallOpened,
    CallStatus,
    EndReason,
    TurnRecord,
)

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def later(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def a_call_id(number: int = 1) -> CallId:
    return call_id("inbound", 1_767_268_800_000 + number, number)


def opened(organisation_id: str, call: CallId | None = None, **changes: Any) -> CallOpened:
    values: dict[str, Any] = {
        "call_id": call or a_call_id(),
        "at": NOON,
        "direction": "inbound",
        "controller": "sovereign-1",
        "caller": "+31612345678",
        "dialled": "+31201234567",
        "codec": "ulaw",
        "organisation_id": organisation_id,
    }
    return CallOpened(**(values | changes))


def answered(call: CallId | None = None, after_s: float = 1) -> CallAnswered:
    return CallAnswered(call or a_call_id(), later(after_s))


def closed(call: CallId | None = None, after_s: float = 61, **changes: Any) -> CallClosed:
    values: dict[str, Any] = {
        "call_id": call or a_call_id(),
        "at": later(after_s),
        "status": CallStatus.ENDED,
        "end_reason": EndReason.USER_HANGUP,
        "cause": 16,
    }
    return CallClosed(**(values | changes))


def turn(number: int, user: str | None, agent: str, **changes: Any) -> TurnRecord:
    values: dict[str, Any] = {
        "call_id": a_call_id(),
        "number": number,
        "at": later(number + 1),
        "user_text": user,
        "agent_text": agent,
        "heard_text": agent,
    }
    return TurnRecord(**(values | changes))


async def an_assistant(
    connection: asyncpg.Connection, organisation_id: str | None = None, **values: Any
) -> AssistantRecord:
    owner = organisation_id or await ensure_operator_organisation(connection)
    return await ASSISTANTS.create(connection, owner, {"name": "Reception", **values})
