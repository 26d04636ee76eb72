"""The agent's side of a conversation: one reply at a time, and what was heard of each."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from sovereign_ari.conversation.aside import Aside
from sovereign_ari.conversation.history import History
from sovereign_ari.conversation.mouth import Mouth
from sovereign_ari.conversation.own_words import own_words
from sovereign_ari.conversation.reply import Reply, ReplyEnd
from sovereign_ari.conversation.speculation import Speculation
from sovereign_ari.conversation.terms import Providers, Reporting
from sovereign_ari.conversation.thinking import Thinker
from sovereign_ari.conversation.tool_runs import ToolRun, ToolRuns
from sovereign_ari.conversation.turn_log import TurnBook
from sovereign_ari.conversation.unfinished import UnfinishedTools
from sovereign_ari.conversation.voice import Manner, Speech
from sovereign_ari.domain.agent import Assistant
from sovereign_ari.domain.ids import CallId
from sovereign_ari.domain.pronunciation import Pronunciation
from sovereign_ari.domain.records import EndReason
from sovereign_ari.domain.turn import EndTurn
from sovereign_ari.speech.base import Message


@dataclass(frozen=True, slots=True)
class ReplyEvents:
    """Whom a reply tells that nobody cut.

    Attributes:
        ended: Called once its end is in history and record; not when it was cut.
        closing: Called when the model has decided to hang up, before the farewell.
    """

    ended: Callable[[Reply, ReplyEnd], None]
    closing: Callable[[], None]


class Answering:
    """Makes replies, and keeps what became of them in history and record.

    A reply that is cut is settled at once: when `cut` returns, the words that were heard stand in
    the history.

    Args:
        call_id: For the records.
        assistant: Whom to be.
        providers: With whose help.
        mouth: Outgoing audio.
        reporting: Whom to tell.
        tools: What the model may have done.

    Attributes:
        history: What the model is told.
        book: The records of turns.
        group: Where the tasks of replies run; to be set before the first.
        reply: The reply in progress, if there is one.
    """

    def __init__(
        self,
        call_id: CallId,
        assistant: Assistant,
        providers: Providers,
        mouth: Mouth,
        reporting: Reporting,
        tools: ToolRuns,
    ) -> None:
        self._providers = providers
        self._mouth = mouth
        self._clock = reporting.clock
        self._manner = Manner(Pronunciation(assistant.pronunciation))
        ours = own_words(assistant)
        self._farewell = assistant.end_call_message or ours.farewell
        self._ahead = Speculation(
            providers.llm, reporting.note, reporting.clock, allowed=providers.speculate
        )
        self._thinker = Thinker(self._ahead, tools, reporting.clock, ours.no_words)
        self.history = History(assistant.llm.get("messages") or ())
        self.book = TurnBook(call_id, providers, mouth, reporting)
        self.group: asyncio.TaskGroup | None = None
        self.reply: Reply | None = None
        self._unfinished = UnfinishedTools(self.history, self.book)
        self._task: asyncio.Task[ReplyEnd] | None = None
        self._ordered = False

    @property
    def obeys(self) -> bool:
        """Whether the reply in progress is an ordered line, which no later order cuts."""
        return self.reply is not None and self._ordered

    def begin(
        self,
        turn: EndTurn | None,
        line: str | Aside | None,
        events: ReplyEvents,
        *,
        stt_final_s: float | None = None,
        ordered: bool = False,
    ) -> None:
        """Start a reply: to a turn of the caller, or with a line of our own.

        Args:
            turn: What it answers.
            line: What it says, or on what occasion; None lets the model answer.
            events: Whom it tells.
            stt_final_s: When the last final transcript came.
            ordered: Whether a client of the API wants it said.
        """
        assert self.group is not None
        if turn is not None:
            self.history.add_user(turn.text)
        if turn is None or line is not None:
            self._ahead.retract("not_needed")
        entry = self.book.begin(turn, stt_final_s)
        if isinstance(line, str):  # whoever reads the record after our death finds the words
            entry.thought.text = line
        self._ordered = ordered
        speech = Speech(self._providers.tts, self._mouth, self._clock, self._manner)
        self._mouth.resume()
        self.reply = Reply(entry, speech, self._thinker, events.closing)
        self.book.report(entry, speech)
        self._task = self.group.create_task(
            self.reply.run(self.history.messages, line, self._farewell), name="reply"
        )
        self._task.add_done_callback(lambda task: self._done(task, events.ended))

    def anticipate(self, text: str) -> None:
        """Let the model think about what may be the caller's turn; nothing comes of it yet."""
        self._ahead.group = self.group
        self._ahead.begin(*self._thinker.opening([*self.history.messages, Message("user", text)]))

    def retract(self) -> None:
        """Forget it: the caller goes on."""
        self._ahead.retract("caller_went_on")

    def _done(
        self, task: asyncio.Task[ReplyEnd], ended: Callable[[Reply, ReplyEnd], None]
    ) -> None:
        if task.cancelled() or task is not self._task or task.exception() is not None:
            return
        reply, end = self.reply, task.result()
        assert reply is not None
        if end.error is not None:
            reply.log.error = f"{end.error.code}: {end.error}"
        self._settle(reply)
        ended(reply, end)

    def end_with(self, reason: EndReason) -> None:
        """Have the call end after the reply in progress."""
        assert self.reply is not None
        self.reply.reason = reason

    def cut(self) -> str:
        """End the reply in progress, if there is one; returns what was heard of it."""
        reply, task = self.reply, self._task
        if reply is None:
            return ""
        reply.log.interrupted = True
        reply.speech.cut()
        if task is not None:
            task.cancel()
        self._settle(reply)
        return reply.speech.heard

    def _settle(self, reply: Reply) -> None:
        """Keep a reply, finished or cut, in history and in the record."""
        self.reply = None
        self._task = None
        reply.log.reply_ended_s = self._mouth.last_sent_s
        self.history.add_reply(reply.log.thought, reply.speech.heard)
        self.book.report(reply.log, reply.speech)
        self._unfinished.add(reply.log)

    def take_late_result(self, run: ToolRun) -> bool:
        """Keep the result of a tool; True when the model is to say what it makes of it."""
        return self._unfinished.finish(run)

    def stop(self) -> None:
        """Cancel the reply in progress; `close` settles it."""
        self._ahead.retract("call_ended")
        if self._task is not None:
            self._task.cancel()

    def close(self, unanswered: str) -> None:
        """Record what is left when the conversation is over.

        Args:
            unanswered: What the caller said that nobody will answer.
        """
        self._ahead.retract("call_ended")
        self.cut()
        self._unfinished.give_up()
        self.keep_unanswered(unanswered)

    def keep_unanswered(self, text: str) -> None:
        """Record what the caller said that nobody will answer, if that is anything."""
        if text:
            self.book.report(self.book.open(text), None)
