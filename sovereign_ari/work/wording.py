"""What a queued webhook says, written from what is stored of its call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import asyncpg

from db.deliveries import REPORT, CallFacts, TakenDelivery, read_call
from db.turns import Said, list_said
from sovereign_ari.domain.spoken import words_of
from sovereign_ari.domain.webhook import Subject, message, timestamp


async def write(
    connection: asyncpg.Connection, delivery: TakenDelivery
) -> tuple[bytes, str | None] | None:
    """Write the body of a delivery, the same at each attempt, and say what signs it.

    None when it can no longer be written, because its call or what was said in it is gone.
    """
    call = await read_call(connection, delivery.call_id)
    if call is None or (delivery.event == REPORT and call.erased):
        return None
    more: dict[str, Any]
    if delivery.event == REPORT:
        said = await list_said(connection, delivery.organisation_id, [delivery.call_id])
        more = _report(call, messages_of(said[delivery.call_id]))
    else:
        more = {name: value for name, value in delivery.facts.items() if name != "status"}
    subject = Subject(
        call_id=delivery.call_id,
        direction=call.direction,
        status=delivery.facts.get("status", call.status),
        number_id=call.number_id,
        number=None if call.direction == "web" else call.number,
        number_name=call.number_name,
        customer=None if call.direction == "web" else call.person,
    )
    body = message(delivery.event, delivery.created_at, subject, call.assistant, **more)
    return body, call.secret


def messages_of(said: Sequence[Said]) -> list[dict[str, str]]:
    """The transcript: a reply that was cut ends where it was cut, one nobody heard is absent."""
    messages = []
    for turn in said:
        if turn.user_text:
            messages.append({"role": "user", "content": turn.user_text})
        if turn.heard_text:
            messages.append({"role": "assistant", "content": turn.heard_text})
    return messages


def voicemail_summary(messages: Sequence[Mapping[str, str]], assistant: Mapping[str, Any]) -> str:
    """What a call came to that a voicemail answered, in the contract's words.

    Args:
        messages: The transcript.
        assistant: Its configuration, which says what was to be left.
    """
    meant = words_of(assistant.get("voicemail_message") or "")
    last = messages[-1] if messages else {"role": "", "content": ""}
    left = words_of(last["content"]) if last["role"] == "assistant" else []
    if not left or left != meant[: len(left)]:
        return "Voicemail detected. No message was left."
    return f"Voicemail detected. Left message: {last['content']}"


def duration_s(answered_at: datetime | None, ended_at: datetime | None) -> int:
    """Whole seconds from the answer to the end, 0 for a call that nobody answered."""
    if answered_at is None or ended_at is None:
        return 0
    return max(0, round((ended_at - answered_at).total_seconds()))


def _report(call: CallFacts, messages: list[dict[str, str]]) -> dict[str, Any]:
    plan = (call.assistant.get("analysis_plan") or {}).get("structured_data_plan") or {}
    return {
        "duration_seconds": duration_s(call.answered_at, call.ended_at),
        "summary": call.summary,
        **({"analysis": call.analysis} if plan.get("enabled") else {}),
        "end_reason": call.end_reason,
        "started_at": None if call.answered_at is None else timestamp(call.answered_at),
        "ended_at": None if call.ended_at is None else timestamp(call.ended_at),
        "messages": messages,
        "recording_url": None,
    }
