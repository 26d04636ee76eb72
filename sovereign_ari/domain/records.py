"""What the journal keeps of a call: frozen entries, written in the order they were posted.

A call posts these and goes on; it never waits for the database. Times ending in `_at` are aware
UTC. Numbers and texts marked *personal* never appear in log messages.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeAlias

from sovereign_ari.domain.agent import Config
from sovereign_ari.domain.ids import CallId, Direction
from sovereign_ari.domain.webhook import Webhook


class CallStatus(StrEnum):
    """Status values of the public contract."""

    CONNECTING = "connecting"
    RINGING = "ringing"
    IN_PROGRESS = "in-progress"
    ENDED = "ended"
    ENDED_WITH_ERROR = "ended-with-error"
    FAILED = "failed"
    TRANSFERRED = "transferred"
    REJECTED = "rejected"
    INSUFFICIENT_CREDITS = "insufficient-credits"


class EndReason(StrEnum):
    """Why a call ended, in the words of the public contract."""

    USER_HANGUP = "user_hangup"
    ASSISTANT_HANGUP = "assistant_hangup"
    TRANSFERRED = "transferred"
    MAX_DURATION = "max_duration"
    SILENCE_TIMEOUT = "silence_timeout"
    VOICEMAIL = "voicemail"
    REJECTED = "rejected"
    NO_ASSISTANT = "no_assistant"
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    DECLINED = "declined"
    UNREACHABLE = "unreachable"
    PROVIDER_ERROR = "provider_error"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class CallOpened:
    """The first ring: from here on the call has a row.

    Attributes:
        call_id: The call.
        at: When the INVITE reached us.
        direction: Who called whom.
        controller: Stasis application of the controller that owns the call.
        caller: Calling number as the trunk sent it, None when withheld. *Personal.*
        dialled: Called number, E.164, or an extension.
        codec: RTP codec of the caller's leg: `ulaw`, `alaw` or `g722`.
        organisation_id: Tenant; empty, which means the operator's, when routing failed.
        number_id: Row id of the called number, if it has one.
        assistant_id: Who will answer, if anybody.
        assistant_name: Its name at that moment.
        number_name: What people call the called number.
        webhook: Where events of this call go, whatever becomes of the assistant meanwhile.
        shown: The assistant as webhooks show it, and as the work after the call needs it.
        kept: All that the call runs on (`domain.kept`), for whoever may have to adopt it.
    """

    call_id: CallId
    at: datetime
    direction: Direction
    controller: str
    caller: str | None
    dialled: str
    codec: str
    organisation_id: str
    number_id: str | None = None
    assistant_id: str | None = None
    assistant_name: str | None = None
    number_name: str | None = None
    webhook: Webhook | None = None
    shown: Config = field(default_factory=dict, repr=False)
    kept: Config | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class CallConfigured:
    """Somebody else than the assistant of the number takes the call, or it with changes.

    Attributes:
        call_id: The call.
        assistant_id: The saved assistant who talks, None for one of this call alone.
        assistant_name: Its name, None when it has none.
        number_name: What people call the called number.
        webhook: Where events of this call go from now on.
        shown: As `CallOpened` has it.
        kept: Likewise.
    """

    call_id: CallId
    assistant_id: str | None
    assistant_name: str | None
    number_name: str | None
    webhook: Webhook | None
    shown: Config = field(repr=False)
    kept: Config | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class CallRinging:
    """It rings at the person whom we call.

    Attributes:
        call_id: The call.
        at: Since when.
    """

    call_id: CallId
    at: datetime


@dataclass(frozen=True, slots=True)
class CallAnswered:
    """The caller was answered.

    Attributes:
        call_id: The call.
        at: When.
        conversation: Whether somebody talks with the caller, so that the status is `in-progress`;
            False for a caller who is only told why not.
    """

    call_id: CallId
    at: datetime
    conversation: bool = True


@dataclass(frozen=True, slots=True)
class TurnRecord:
    """One exchange: what the caller said and what was heard of the reply.

    All texts are *personal*. Written when the turn begins and again, with the same number, as it
    goes on; the last one stands. Offsets are milliseconds from `CallAnswered.at`, None when that
    step did not happen.

    Attributes:
        call_id: The call.
        number: 0 for the greeting, then 1, 2, ...
        at: When the turn began (wall clock).
        user_text: The caller's words, None for the greeting.
        agent_text: What the model generated.
        heard_text: What of it left the PBX before an interruption; equal to `agent_text` when
            the caller let it finish.
        interrupted: Whether the caller cut the reply.
        tool_calls: `{id, name, arguments, result, failed, duration_ms}` of each tool the model
            called; `result_chars` too when the result was longer than what is kept.
        user_stopped_ms: End of the caller's speech.
        turn_ended_ms: The decision that the caller had finished.
        stt_final_ms: Last final transcript.
        llm_first_token_ms: First token of the reply; what the model wrote ahead of time counts
            from the end of the turn.
        first_sentence_ms: First speakable piece.
        tts_first_byte_ms: First audio from the synthesiser.
        first_packet_ms: First RTP packet of the reply.
        reply_ended_ms: Last RTP packet of the reply.
        models: `{stt, llm, tts}` as `provider/model`.
        usage: Tokens, characters and seconds by provider kind.
        error: Code and sentence of a provider fault, if one happened.
    """

    call_id: CallId
    number: int
    at: datetime
    user_text: str | None
    agent_text: str
    heard_text: str
    interrupted: bool = False
    tool_calls: tuple[Mapping[str, Any], ...] = ()
    user_stopped_ms: int | None = None
    turn_ended_ms: int | None = None
    stt_final_ms: int | None = None
    llm_first_token_ms: int | None = None
    first_sentence_ms: int | None = None
    tts_first_byte_ms: int | None = None
    first_packet_ms: int | None = None
    reply_ended_ms: int | None = None
    models: Mapping[str, str] = field(default_factory=dict)
    usage: Mapping[str, float] = field(default_factory=dict)
    error: str | None = None


@dataclass(frozen=True, slots=True)
class CallNote:
    """Something that happened outside a turn, for the timeline: a digit, a fault, a barge-in.

    Attributes:
        call_id: The call.
        at: When.
        kind: A short stable word, e.g. `dtmf`, `provider_fault`, `false_interruption`.
        detail: JSON-serialisable facts.
    """

    call_id: CallId
    at: datetime
    kind: str
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CallClosed:
    """The end. The first one written wins; later ones change nothing.

    Attributes:
        call_id: The call.
        at: When the last leg was gone.
        status: A final status.
        end_reason: Why.
        cause: Q.850 cause of the caller's leg, None when unknown.
        error: A sentence for the operator, when something went wrong.
        media: Packet counts and jitter of the caller's audio as we received it.
    """

    call_id: CallId
    at: datetime
    status: CallStatus
    end_reason: EndReason
    cause: int | None = None
    error: str | None = None
    media: Mapping[str, float] = field(default_factory=dict)


JournalEntry: TypeAlias = (
    CallOpened | CallConfigured | CallRinging | CallAnswered | TurnRecord | CallNote | CallClosed
)
