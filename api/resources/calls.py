"""`/calls`: what happened, and what was heard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field

from api.endpoints import Endpoints
from api.kinds import Timestamp, Uuid
from api.parts import Asked
from api.queries import WHOLE, From, Query, Until
from api.resources.call_usage import CallUsageView
from api.resources.timeline import TimelineView
from api.views import Pagination, View
from db import calls as table
from db.call_counts import CallFilter
from db.call_usage import UsageRow, list_call_usage
from db.turns import Said, list_notes, list_said, list_turns
from sovereign_ari.domain.ids import CallId, bridge_of

Status = Literal[
    "connecting", "ringing", "in-progress", "ended", "ended-with-error", "failed", "transferred",
    "rejected", "insufficient-credits",
]  # fmt: skip
DirectionName = Literal["inbound", "outbound", "web"]
calls = Endpoints("Calls")


def _with_plus(value: Any) -> Any:
    """A plus sign that was not percent-encoded arrives as a space."""
    return "+" + value[1:] if isinstance(value, str) and value.startswith(" ") else value


PhoneNumber = Annotated[str, Field(pattern=r"^\+?[0-9]{2,15}$"), BeforeValidator(_with_plus)]


class CallQuery(Query):
    """What to list. Dates compare with the first ring; a date without a time is a whole day.

    `phone_number` is the number of either side; `agent_id` is an older name of `assistant_id`,
    `number` one of `phone_number`.
    """

    aliases: ClassVar[Mapping[str, str]] = {"agent_id": "assistant_id", "number": "phone_number"}

    limit: Annotated[int, Field(ge=1, le=1000), WHOLE] = 100
    offset: Annotated[int, Field(ge=0, le=2**31 - 1), WHOLE] = 0
    status: Status | None = None
    start_date: From | None = None
    end_date: Until | None = None
    assistant_id: Uuid | None = None
    agent_id: Uuid | None = None
    direction: DirectionName | None = None
    phone_number: PhoneNumber | None = None
    number: PhoneNumber | None = None


@dataclass(frozen=True, slots=True)
class Message:  # a page has hundreds of them, so they are no models
    """What one side said; of the assistant only what was heard."""

    role: Literal["user", "assistant"]
    content: str


class CallView(View):
    """A call, under the keys of every generation of clients.

    `started_at` is the answer, `created_at` the first ring. `messages` is null once the
    organisation no longer keeps content, a person's number and `metadata` once it no longer keeps
    numbers. `metadata` is ours: that of the assistant as it took the call, so with what an
    `assistant_override` or an answer to `assistant-request` said.
    """

    example: ClassVar[Mapping[str, Any]] = {
        "id": "call-inbound-01kdw5zg80fvq2e4m7h9a3n6tr",
        "direction": "inbound",
        "status": "ended",
        "end_reason": "user_hangup",
        "error": None,
        "caller_phone": "+31612345678",
        "assistant_phone": "+31201234567",
        "agent_phone": "+31201234567",
        "assistant_id": "7d9f2f6e-0c3b-4b53-9a51-5f1f6f1f2a10",
        "agent_id": "7d9f2f6e-0c3b-4b53-9a51-5f1f6f1f2a10",
        "assistant_name": "Reception",
        "agent_name": "Reception",
        "business_name": "Bakery De Vries",
        "number_id": "0b8a54a4-61d1-4a0e-8a3d-0d7a3a4b9c11",
        "phone_number": "+31201234567",
        "started_at": "2026-01-01T12:00:01.000Z",
        "ended_at": "2026-01-01T12:01:01.000Z",
        "duration_seconds": 60,
        "summary": None,
        "analysis_result": None,
        "metadata": {"order": "42"},
        "messages": [
            {"role": "assistant", "content": "Good day, how can I help you?"},
            {"role": "user", "content": "When are you open?"},
            {"role": "assistant", "content": "From nine to five."},
        ],
        "room_name": "call-inbound-01kdw5zg80fvq2e4m7h9a3n6tr-bridge",
        "recording_url": None,
        "created_at": "2026-01-01T12:00:00.000Z",
        "updated_at": "2026-01-01T12:01:01.120Z",
    }

    id: str
    direction: DirectionName
    status: Status
    end_reason: str | None
    error: str | None
    caller_phone: str | None
    assistant_phone: str | None
    agent_phone: str | None
    assistant_id: Uuid | None
    agent_id: Uuid | None
    assistant_name: str | None
    agent_name: str | None
    business_name: str | None
    number_id: Uuid | None
    phone_number: str | None
    started_at: Timestamp | None
    ended_at: Timestamp | None
    duration_seconds: int | None
    summary: str | None
    analysis_result: dict[str, Any] | None
    metadata: dict[str, Any] | None
    messages: list[Message] | None
    room_name: str | None
    recording_url: str | None
    created_at: Timestamp
    updated_at: Timestamp

    @classmethod
    def of(cls, record: table.CallRecord, said: Sequence[Said]) -> Self:
        """Show a row with its transcript."""
        outbound = record.direction == "outbound"
        person, ours = (
            (record.dialled, record.caller) if outbound else (record.caller, record.dialled)
        )
        return cls.showing(
            record,
            caller_phone=person,
            assistant_phone=ours,
            agent_phone=ours,
            agent_id=record.assistant_id,
            agent_name=record.assistant_name,
            started_at=record.answered_at,
            duration_seconds=_duration_s(record),
            messages=None if record.content_erased_at else messages_of(said),
            room_name=bridge_of(CallId(record.id)) if record.answered_at else None,
        )


class CallDetailView(CallView):
    """A call, and what it used.

    `usage` is ours: one entry for each kind, provider, model and unit, written after the call.
    """

    example: ClassVar[Mapping[str, Any]] = {
        **CallView.example,
        "usage": [
            {
                **CallUsageView.example,
                "kind": "telephony",
                "provider": "sip",
                "model": None,
                "unit": "seconds",
                "quantity": 60,
                "cost_millicredits": 1000,
            },
            CallUsageView.example,
        ],
    }

    usage: list[CallUsageView]

    @classmethod
    def with_usage(
        cls, record: table.CallRecord, said: Sequence[Said], used: Sequence[UsageRow]
    ) -> Self:
        """Show a row with its transcript and what it used."""
        view = cls.of(record, said)
        view.usage = [CallUsageView.of(row) for row in used]
        return view


def _duration_s(record: table.CallRecord) -> int | None:
    """Whole seconds from the answer to the end."""
    if record.answered_at is None or record.ended_at is None:
        return None
    return max(0, round((record.ended_at - record.answered_at).total_seconds()))


def messages_of(said: Sequence[Said]) -> list[Message]:
    """The transcript: a reply that was cut ends where it was cut, one nobody heard is absent."""
    messages = []
    for turn in said:
        if turn.user_text:
            messages.append(Message("user", turn.user_text))
        if turn.heard_text:
            messages.append(Message("assistant", turn.heard_text))
    return messages


class CallPage(View):
    """One page of calls, newest first, as they were at one moment."""

    example: ClassVar[Mapping[str, Any]] = {
        "calls": [CallView.example],
        "pagination": Pagination.example,
    }

    calls: list[CallView]
    pagination: Pagination


@calls.add("GET", "/calls", "List calls, newest first")
async def list_calls(asked: Asked, query: CallQuery) -> CallPage:
    """By first ring, then id; with the transcripts."""
    wanted = CallFilter(
        status=query.status,
        from_at=query.start_date,
        before_at=query.end_date,
        assistant_id=query.assistant_id or query.agent_id,
        direction=query.direction,
        phone_number=query.phone_number or query.number,
    )
    await table.see_one_moment(asked.connection)
    records, total = await table.list_calls(
        asked.connection, asked.organisation_id, wanted, limit=query.limit, offset=query.offset
    )
    ids = [record.id for record in records]
    said = await list_said(asked.connection, asked.organisation_id, ids)
    return CallPage(
        calls=[CallView.of(record, said[record.id]) for record in records],
        pagination=Pagination(total=total, limit=query.limit, offset=query.offset),
    )


@calls.add("GET", "/calls/{call_id}", "Read a call")
async def show_call(asked: Asked, call_id: str) -> CallDetailView:
    """With its transcript, also while it runs, and what it used, once that is counted."""
    record = await table.get_call(asked.connection, asked.organisation_id, call_id)
    said = await list_said(asked.connection, asked.organisation_id, [record.id])
    used = await list_call_usage(asked.connection, asked.organisation_id, record.id)
    return CallDetailView.with_usage(record, said[record.id], used)


@calls.add("GET", "/calls/{call_id}/timeline", "Read how a call went, turn by turn")
async def show_timeline(asked: Asked, call_id: str) -> TimelineView:
    """With the latency of every stage."""
    record = await table.get_call(asked.connection, asked.organisation_id, call_id)
    turns = await list_turns(asked.connection, asked.organisation_id, call_id)
    notes = await list_notes(asked.connection, asked.organisation_id, call_id)
    return TimelineView.of(record, turns, notes)
