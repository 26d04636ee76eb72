"""The per-turn record of a call (ours): what was said, heard and done, and how long each took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar, Self

from pydantic import BaseModel

from api.kinds import Timestamp
from api.views import View
from db.calls import CallRecord
from db.turns import NoteRow, TurnRow


class EventView(BaseModel):
    """Something outside a turn. `offset_ms` counts from the answer, null before there is one.

    `provider_retry`, `provider_fallback`, `provider_hedge` (a second request beside a slow one),
    `circuit_open` (passed over, for it has failed too often) and `fallback_unusable` have
    `{kind, from, to, code, message, took_ms}`, where `kind` is `llm`, `stt` or `tts`.
    """

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

    example: ClassVar[Mapping[str, Any]] = {
        "number": 1,
        "at": "2026-01-01T12:00:05.900Z",
        "user": "When are you open?",
        "agent": "From nine to five. On Sundays we are closed.",
        "heard": "From nine to five.",
        "interrupted": True,
        "tool_calls": [],
        "models": {"stt": "deepgram/nova-3", "llm": "openai/gpt-5.4", "tts": "elevenlabs/rachel"},
        "usage": {"input_tokens": 412, "output_tokens": 14, "characters": 44},
        "error": None,
        "user_stopped_ms": 4000,
        "turn_ended_ms": 4400,
        "stt_final_ms": 4150,
        "llm_first_token_ms": 4700,
        "first_sentence_ms": 4900,
        "tts_first_byte_ms": 5100,
        "first_packet_ms": 5120,
        "reply_ended_ms": 5900,
        "latency": {
            "endpoint_ms": 400,
            "stt_ms": 150,
            "llm_ms": 300,
            "first_sentence_ms": 200,
            "tts_ms": 200,
            "playout_ms": 20,
            "voice_to_voice_ms": 1120,
        },
    }

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

    example: ClassVar[Mapping[str, Any]] = {
        "call_id": "call-inbound-01kdw5zg80fvq2e4m7h9a3n6tr",
        "status": "ended",
        "end_reason": "user_hangup",
        "cause": 16,
        "controller": "sovereign",
        "codec": "ulaw",
        "created_at": "2026-01-01T12:00:00.000Z",
        "answered_at": "2026-01-01T12:00:01.000Z",
        "ended_at": "2026-01-01T12:01:01.000Z",
        "events": [
            {
                "at": "2026-01-01T12:00:03.500Z",
                "offset_ms": 2500,
                "kind": "dtmf",
                "detail": {"digit": "5"},
            }
        ],
        "turns": [TurnView.example],
        "media": {"received": 2900, "lost": 2},
    }

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
