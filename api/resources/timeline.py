"""The per-turn record of a call (ours): what was said, heard and done, and how long each took."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Self

from pydantic import BaseModel

from api.kinds import Timestamp
from api.views import View
from db.calls import CallRecord
from db.turns import NoteRow, TurnRow


class EventView(BaseModel):
    """Something outside a turn. `offset_ms` counts from the answer, null before there is one."""

    at: Timestamp
    offset_ms: int | None
    kind: str
    detail: dict[str, Any]


class LatencyView(BaseModel):
    """Milliseconds each stage of a reply took; null when it did not happen.

    They follow each other: `endpoint_ms` from the end of the caller's speech to the decision that
    the caller had finished, `llm_ms` from there to the model's first token, `first_sentence_ms`
    to the first speakable piece, `tts_ms` to the first audio, `playout_ms` to the first packet.
    `stt_ms` is the last transcript after the end of speech, `voice_to_voice_ms` all of it.
    """

    endpoint_ms: int | None
    stt_ms: int | None
    llm_ms: int | None
    first_sentence_ms: int | None
    tts_ms: int | None
    playout_ms: int | None
    voice_to_voice_ms: int | None

    @classmethod
    def of(cls, turn: TurnRow) -> Self:
        """Take the differences."""
        return cls(
            endpoint_ms=_between(turn.user_stopped_ms, turn.turn_ended_ms),
            stt_ms=_between(turn.user_stopped_ms, turn.stt_final_ms),
            llm_ms=_between(turn.turn_ended_ms, turn.llm_first_token_ms),
            first_sentence_ms=_between(turn.llm_first_token_ms, turn.first_sentence_ms),
            tts_ms=_between(turn.first_sentence_ms, turn.tts_first_byte_ms),
            playout_ms=_between(turn.tts_first_byte_ms, turn.first_packet_ms),
            voice_to_voice_ms=_between(turn.user_stopped_ms, turn.first_packet_ms),
        )


class TurnView(View):
    """One exchange. Offsets are milliseconds from the answer."""

    number: int
    at: Timestamp
    user: str | None
    agent: str
    heard: str
    interrupted: bool
    tool_calls: list[dict[str, Any]]
    models: dict[str, Any]
    usage: dict[str, Any]
    error: str | None
    user_stopped_ms: int | None
    turn_ended_ms: int | None
    stt_final_ms: int | None
    llm_first_token_ms: int | None
    first_sentence_ms: int | None
    tts_first_byte_ms: int | None
    first_packet_ms: int | None
    reply_ended_ms: int | None
    latency: LatencyView

    @classmethod
    def of(cls, turn: TurnRow) -> Self:
        """Show a row."""
        return cls.showing(
            turn,
            user=turn.user_text,
            agent=turn.agent_text,
            heard=turn.heard_text,
            latency=LatencyView.of(turn),
        )


class TimelineView(View):
    """How a call went. `cause` is the Q.850 code of the caller's leg."""

    call_id: str
    status: str
    end_reason: str | None
    cause: int | None
    controller: str
    codec: str
    created_at: Timestamp
    answered_at: Timestamp | None
    ended_at: Timestamp | None
    events: list[EventView]
    turns: list[TurnView]
    media: dict[str, Any]

    @classmethod
    def of(cls, record: CallRecord, turns: Sequence[TurnRow], notes: Sequence[NoteRow]) -> Self:
        """Put the rows of a call together."""
        return cls.showing(
            record,
            call_id=record.id,
            events=[_event(note, record.answered_at) for note in notes],
            turns=[TurnView.of(turn) for turn in turns],
        )


def _event(note: NoteRow, answered_at: datetime | None) -> EventView:
    offset = None if answered_at is None else note.at - answered_at
    return EventView(
        at=note.at,
        offset_ms=None if offset is None else round(offset.total_seconds() * 1000),
        kind=note.kind,
        detail=note.detail,
    )


def _between(first: int | None, then: int | None) -> int | None:
    return None if first is None or then is None else then - first
