"""The records of turns while they are being made: monotonic times, turned into offsets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from sovereign_ari.conversation.mouth import Mouth
from sovereign_ari.conversation.terms import Providers, Reporting
from sovereign_ari.conversation.thinking import Thought
from sovereign_ari.conversation.voice import Speech
from sovereign_ari.domain.ids import CallId
from sovereign_ari.domain.records import TurnRecord
from sovereign_ari.domain.turn import EndTurn


@dataclass(slots=True)
class TurnLog:
    """One turn.

    Attributes:
        number: 0 for the greeting.
        at: Wall clock at its beginning.
        user_text: The caller's words, None for the greeting.
        stopped_s: End of the caller's speech.
        decided_s: When the turn was decided to be over.
        stt_final_s: When the last final transcript came.
        thought: What the model made of it.
        interrupted: Whether the caller cut the reply.
        error: What went wrong.
        reply_ended_s: When the last packet of the reply left.
        written: The latest record of it.
    """

    number: int
    at: datetime
    user_text: str | None
    stopped_s: float | None = None
    decided_s: float | None = None
    stt_final_s: float | None = None
    thought: Thought = field(default_factory=Thought)
    interrupted: bool = False
    error: str | None = None
    reply_ended_s: float | None = None
    written: TurnRecord | None = None

    def record(
        self,
        call_id: CallId,
        *,
        answered_s: float | None,
        models: Mapping[str, str],
        speech: Speech | None,
        mouth: Mouth,
    ) -> TurnRecord:
        """Write down what is known now; `answered_s` is the origin of all offsets."""

        def offset_ms(at_s: float | None) -> int | None:
            if at_s is None or answered_s is None:
                return None
            return round((at_s - answered_s) * 1000)

        thought, estimated = self.thought, self.thought.used.estimated
        return TurnRecord(
            call_id=call_id,
            number=self.number,
            at=self.at,
            user_text=self.user_text,
            agent_text=thought.text.strip(),
            heard_text=speech.heard if speech else "",
            interrupted=self.interrupted,
            tool_calls=tuple(thought.tool_calls),
            user_stopped_ms=offset_ms(self.stopped_s),
            turn_ended_ms=offset_ms(self.decided_s),
            stt_final_ms=offset_ms(self.stt_final_s),
            llm_first_token_ms=offset_ms(thought.first_token_s),
            first_sentence_ms=offset_ms(thought.first_piece_s),
            tts_first_byte_ms=offset_ms(speech.first_byte_s if speech else None),
            first_packet_ms=offset_ms(mouth.first_sent_s if speech else None),
            reply_ended_ms=offset_ms(self.reply_ended_s),
            models=models,
            usage={
                "llm_input_tokens": thought.used.input_tokens,
                "llm_output_tokens": thought.used.output_tokens,
                **({"llm_estimated_tokens": estimated} if estimated else {}),
                "tts_characters": speech.characters if speech else 0,
            },
            error=self.error,
        )


class TurnBook:
    """Numbers the turns of one conversation and hands their records on.

    Args:
        call_id: Stands in every record.
        providers: Likewise, by the labels that they have by then.
        mouth: Knows when the reply in progress was sent.
        reporting: Takes the records.

    Attributes:
        answered_s: When the caller began to hear us: the origin of all offsets.
    """

    def __init__(
        self, call_id: CallId, providers: Providers, mouth: Mouth, reporting: Reporting
    ) -> None:
        self.answered_s: float | None = None
        self._call_id = call_id
        self._providers = providers
        self._mouth = mouth
        self._reporting = reporting
        self._number = 0

    def go_on(self, next_number: int, answered_s: float) -> None:
        """Continue the book of another controller."""
        self._number = next_number
        self.answered_s = answered_s

    def open(self, user_text: str | None) -> TurnLog:
        """Begin the next turn."""
        entry = TurnLog(self._number, self._reporting.wall_clock(), user_text)
        self._number += 1
        return entry

    def begin(self, turn: EndTurn | None, stt_final_s: float | None) -> TurnLog:
        """Begin a turn with a reply: to the caller, or None with words of our own."""
        if turn is None:
            return self.open(None)
        entry = self.open(turn.text)
        entry.stopped_s, entry.decided_s = turn.stopped_s, self._reporting.clock()
        entry.stt_final_s = stt_final_s
        return entry

    def report(self, entry: TurnLog, speech: Speech | None) -> None:
        """Hand on what is known of a turn now; `speech` is its reply."""
        entry.written = entry.record(
            self._call_id,
            answered_s=self.answered_s,
            models=self._models(),
            speech=speech,
            mouth=self._mouth,
        )
        self._reporting.turn(entry.written)

    def amend(self, entry: TurnLog) -> None:
        """Hand on a turn again that was over before its tools were: the speech is as it was."""
        assert entry.written is not None
        entry.written = replace(entry.written, tool_calls=tuple(entry.thought.tool_calls))
        self._reporting.turn(entry.written)

    def _models(self) -> dict[str, str]:
        """Who works now: a fall-back goes by its own name."""
        at_work = self._providers
        return {"stt": at_work.stt.label, "llm": at_work.llm.label, "tts": at_work.tts.label}
