"""One conversation: listens, lets `TurnTaker` decide, answers, and stops answering.

Everything here runs on the event loop, one step at a time, so an interruption is a plain function
call: the audio is cut and the heard words are known before anything else can happen. Every task
that the dialogue starts ends with `run`.
"""

from __future__ import annotations

import asyncio
import logging

from sovereign_ari.conversation.answering import Answering, ReplyEvents
from sovereign_ari.conversation.apology import Apology
from sovereign_ari.conversation.aside import Aside
from sovereign_ari.conversation.ears import Ears
from sovereign_ari.conversation.filler import FillerClock
from sovereign_ari.conversation.mouth import Mouth
from sovereign_ari.conversation.orders import Order, Orders
from sovereign_ari.conversation.own_words import own_words
from sovereign_ari.conversation.reply import Reply, ReplyEnd
from sovereign_ari.conversation.sentences import speakable
from sovereign_ari.conversation.silence import Silence
from sovereign_ari.conversation.terms import Ending, Providers, Reporting
from sovereign_ari.conversation.tool_runs import ToolRun, ToolRuns
from sovereign_ari.conversation.unfinished import LATE
from sovereign_ari.domain.agent import Assistant
from sovereign_ari.domain.anticipation import Anticipate
from sovereign_ari.domain.control import DialogueCommand, EndCall, InjectContext, Say
from sovereign_ari.domain.end_phrases import EndPhrases
from sovereign_ari.domain.ids import CallId
from sovereign_ari.domain.records import EndReason
from sovereign_ari.domain.spoken import language_of
from sovereign_ari.domain.turn import Decision, EndTurn, Outcome, TurnTaker
from sovereign_ari.errors import ProviderError, ProviderUnavailable
from sovereign_ari.media.hearing import Heard
from sovereign_ari.media.pcm import FRAME_S, AudioFormat
from sovereign_ari.media.transcode import silence_frame
from sovereign_ari.speech.base import Transcript

STT_ANSWER_TIMEOUT_S = 12.0  # of all recognisers together: each has its own in `resilience`
STOOD_STILL_S = 0.2  # between two ticks: not the line was silent, but we did not hear
GAP_S = 0.08  # a caller's line that sends nothing for longer is heard as silent, as it is meant

log = logging.getLogger(__name__)


class Dialogue:
    """Talks with one caller on behalf of one assistant.

    Args:
        call_id: For the records.
        assistant: Whom to be.
        providers: With whose help.
        mouth: Outgoing audio.
        wire: Format of the call's RTP, both ways.
        reporting: Whom to tell.

    Attributes:
        quiet: Minds the caller's silence; to be told what the PBX says of his line.
        history: What the model is told of it.
        occupied: Whether the caller waits for somebody else, so that nobody minds his silence.
    """

    def __init__(
        self,
        call_id: CallId,
        assistant: Assistant,
        providers: Providers,
        mouth: Mouth,
        wire: AudioFormat,
        reporting: Reporting,
    ) -> None:
        self._assistant = assistant
        self._providers = providers
        self._mouth = mouth
        self._silence = silence_frame(wire)
        self._reporting = reporting
        self._clock = reporting.clock
        self._ears = Ears(providers.stt, wire, mouth, self._on_transcript, self._on_heard)
        self._tools = ToolRuns(
            assistant.llm.get("tools") or (), providers.tools, self._clock, self._on_tool_done
        )
        self._agent = Answering(call_id, assistant, providers, mouth, reporting, self._tools)
        self.history = self._agent.history
        self._events = ReplyEvents(self._on_reply_end, self._on_closing)
        self._ours = own_words(assistant)
        self._filler = FillerClock(self._tools.patience, self._ours.fillers)
        self._turns = TurnTaker(
            assistant.turn_taking, self._clock(), language_of(assistant.stt.get("language"))
        )
        self.quiet = Silence(assistant, reporting.note, self._clock())
        self._orders = Orders()
        self._end_phrases = EndPhrases(assistant.end_call_phrases)
        self.occupied = False
        self._closing = False
        self._apology = Apology(assistant, providers, mouth, self._clock)
        self._last_words: Ending | None = None  # how it ends once they are said
        self._stt_final_s: float | None = None
        self._flush_sent_s = 0.0
        self._last_frame_s = self._last_tick_s = self._clock()
        self._tasks: asyncio.TaskGroup | None = None
        self._over: asyncio.Future[Ending] | None = None

    # What the call tells the dialogue.

    def answered(self) -> None:
        """Note that the caller hears us from now on: the origin of all offsets."""
        self._agent.book.answered_s = self._last_frame_s = self._clock()
        self.quiet.clock.restart(self._last_frame_s)

    def hear(self, frame: bytes, now_s: float) -> None:
        """Take 20 ms of the caller's audio."""
        self._last_frame_s = self.quiet.clock.received_s = now_s
        self._ears.hear(frame, now_s)

    def tick(self, now_s: float) -> None:
        """Let time pass; to be called every 40 ms or so, audio or not."""
        if self._closing and self.quiet.clock.held and self._last_words is not None:
            self._leave_unsaid(self._last_words)
        if self._closing or self._agent.book.answered_s is None:
            return
        if now_s - self._last_tick_s > STOOD_STILL_S:  # what the line sent meanwhile is to come
            self._last_frame_s = max(self._last_frame_s, now_s - GAP_S)
        self._last_tick_s = now_s
        while now_s - self._last_frame_s > GAP_S and not self._closing:
            self._last_frame_s += FRAME_S
            self._ears.hear(self._silence, now_s)
        self._fill_silence(now_s)
        self._mind_silence(now_s)
        if self._turns.flushes_out and now_s - self._flush_sent_s > STT_ANSWER_TIMEOUT_S:
            why = f"{self._ears.label} did not answer for {STT_ANSWER_TIMEOUT_S:g} s"
            self._fail(ProviderUnavailable(why))

    def stop_listening(self) -> None:
        """Decide nothing any more: to be called before `run` is cancelled, for that takes time."""
        self._closing = True

    def time_is_up(self) -> None:
        """Say a last word, then end with `max_duration`."""
        line = self._assistant.end_call_message or self._ours.time_is_up
        self._close(line, EndReason.MAX_DURATION)

    @property
    def is_open(self) -> bool:
        """Whether the caller was answered, and no last word is said or to be said."""
        unanswered = self._agent.book.answered_s is None
        return not (unanswered or self._closing or self._orders.end_the_call)

    @property
    def is_quiet(self) -> bool:
        """Whether all that was to be said has left."""
        reply = self._agent.reply
        return reply.is_quiet if reply is not None else not self._orders.waiting

    def control(self, command: DialogueCommand) -> bool:
        """Do what a client of the API asks; False when the conversation is ending, or not begun.

        Something to be said cuts what the model says, is said behind other such lines, and waits
        for a caller who speaks, unless it is the last word.
        """
        if not self.is_open:
            return False
        match command:
            case EndCall(message=message):
                self._close(speakable(message or ""), EndReason.ASSISTANT_HANGUP)
            case Say(content=content, end_after=end_after):
                if (line := speakable(content)) or end_after:
                    self._give_order(Order(line, end_after))
            case InjectContext(content=content, trigger_response=trigger_response):
                if trigger_response:
                    self._make_way()
                self._agent.history.add_context(content)
                if trigger_response:
                    self._give_order(Order(None))
        return True

    async def run(self, *, outbound: bool = False) -> Ending:
        """Talk until something ends the conversation, or until cancelled.

        Cancelling loses nothing: the turn in progress is recorded with what was heard of it.

        Args:
            outbound: Whether we placed the call.
        """
        self._over = asyncio.get_running_loop().create_future()
        self._turns.begin(placed=outbound)
        try:
            async with asyncio.TaskGroup() as self._tasks:
                self._tools.group = self._agent.group = self._tasks
                listening = self._tasks.create_task(self._listen(), name="listen")
                if greeting := self._assistant.greeting(outbound=outbound):
                    self._begin(None, greeting)
                ending = await self._over
                listening.cancel()
                self._tools.close()
                self._agent.stop()
        finally:
            self._closing = True
            self._agent.close(self._turns.take_text())
        return ending

    # What the listener and the reply tell the dialogue.

    def _on_heard(self, heard: Heard, now_s: float) -> None:
        if heard.doubtful:
            self._flush_sent_s = self._clock()
            self._turns.asked()
        if not self._closing:
            self._act(self._turns.frame(heard.voiced, now_s, faint=heard.faint))

    async def _listen(self) -> None:
        try:
            await self._ears.listen()
        except ProviderError as error:
            if not self._closing:  # a farewell needs no ears
                self._fail(error)

    def _on_transcript(self, transcript: Transcript) -> None:
        if self._closing:
            return
        now_s = self._clock()
        if transcript.final:
            self._stt_final_s = now_s
        if transcript.text.strip():
            self.quiet.understood(now_s)
        self._act(
            self._turns.transcript(
                transcript.text,
                final=transcript.final,
                flushed=transcript.flushed,
                ends_turn=transcript.ends_turn,
                now_s=now_s,
            )
        )

    def _on_reply_end(self, reply: Reply, end: ReplyEnd) -> None:
        """Take the end of a reply that nobody cut."""
        if end.error is not None:
            self._fail(end.error, voice_works=not reply.speech.failed)
            return
        self._turns.agent_said(reply.speech.heard)
        self._turns.agent_ended()
        if end.hang_up or end.reason is not None or self._closing:
            self._finish(Ending(end.reason or EndReason.ASSISTANT_HANGUP))
            return
        if self._end_phrases.said_in(reply.speech.heard) and not self._orders.end_the_call:
            self._orders.add(Order(None, ends=True))
        self._obey()

    def _on_tool_done(self, run: ToolRun) -> None:
        """Let the model say what it makes of a result whose reply was cut."""
        if self._agent.take_late_result(run) and not self._orders.waiting:
            self._orders.add(Order(None, hint=LATE))
            self._obey()

    def _fill_silence(self, now_s: float) -> None:
        """Say something to a caller who has waited for a tool or the model for too long."""
        reply = self._agent.reply
        quiet = not self._turns.caller_has_floor and (reply is None or reply.is_quiet)
        waiting = self._tools.need_filler or (reply is not None and reply.awaits_model)
        line = self._filler.due(now_s, waiting=waiting, quiet=quiet)
        if line is not None and reply is not None:
            reply.interject(line)
        elif line is not None:
            self._orders.add(Order(line))
            self._obey()

    def _mind_silence(self, now_s: float) -> None:
        """Ask a caller who says nothing whether he is there, and give up in the end."""
        busy = self.occupied or self._tools.running or self._agent.reply is not None
        busy |= self._orders.waiting
        prompt = self.quiet.due(now_s, busy=busy, speaking=self._turns.caller_has_floor)
        if prompt is None or self._closing:
            return
        if prompt.final:
            self._close(prompt.words, EndReason.SILENCE_TIMEOUT)
            return
        self._begin(None, prompt.words)
        if prompt.ends:
            self._agent.end_with(EndReason.SILENCE_TIMEOUT)

    def _give_order(self, order: Order) -> None:
        self._make_way()
        self._orders.add(order)
        self._obey()

    def _make_way(self) -> None:
        """Cut what the model says; what clients told us to say is said to its end."""
        if self._agent.reply is not None and not self._agent.obeys:
            self._cut()
            self._turns.agent_ended(cut=True)

    def _obey(self) -> None:
        """Say what was ordered, as soon as its time has come."""
        if self._closing or self._agent.reply is not None:
            return
        order = self._orders.next(caller_speaks=self._turns.caller_has_floor)
        if order is None:
            return
        if order.ends:
            self._close(order.line, EndReason.ASSISTANT_HANGUP)
            return
        if order.hint:
            self._agent.history.add_context(order.hint)
        self._begin(None, order.line, ordered=order.line is not None)

    # Decisions.

    def _act(self, outcomes: list[Outcome]) -> None:
        for outcome in outcomes:
            match outcome:
                case Decision.PAUSE:
                    self._mouth.pause()
                case Decision.RESUME:
                    self._mouth.resume()
                    cause = self._turns.resumed_after
                    self._reporting.note("false_interruption", {"cause": cause})
                case Decision.INTERRUPT:
                    self._cut()
                case Decision.FLUSH:
                    self._flush_sent_s = self._clock()
                    self._ears.flush()
                case EndTurn():
                    self._answer(outcome)
                case Anticipate(text=text) if not self._orders.waiting:
                    self._agent.anticipate(text)
                case Decision.RETRACT:
                    self._agent.retract()
                case Decision.ASK_AGAIN if not (self.occupied or self.quiet.clock.held):
                    self._orders.add(Order(self._ours.no_words))
        self._obey()

    def _answer(self, turn: EndTurn) -> None:
        self._cut()
        order = self._orders.next(caller_speaks=False)
        line = order.line if order else None
        self._begin(turn, line, ordered=line is not None)

    def _cut(self) -> None:
        """End the reply in progress, if there is one, with what was heard of it."""
        if self._agent.reply is not None:
            self._turns.agent_said(self._agent.cut())

    def _begin(
        self, turn: EndTurn | None, line: str | Aside | None, *, ordered: bool = False
    ) -> None:
        """Start a reply: to a turn of the caller, or with words of our own."""
        self._turns.agent_began()
        self._agent.begin(turn, line, self._events, stt_final_s=self._stt_final_s, ordered=ordered)

    def _on_closing(self) -> None:
        """Note that the model hangs up: the farewell is not to be interrupted."""
        self._closing = True
        reply = self._agent.reply
        reason = reply.reason if reply is not None else None
        self._last_words = Ending(reason or EndReason.ASSISTANT_HANGUP)
        self._mouth.resume()

    def _leave_unsaid(self, ending: Ending) -> None:
        """End without the rest of the last words: the caller's side put us on hold."""
        self._apology.leave_unsaid()
        self._finish(ending)

    def _close(self, line: str | Aside | None, reason: EndReason) -> None:
        """Stop talking, say a last line, if there is one and he can hear it, and end."""
        if self._closing:
            return
        if self.quiet.clock.held:
            line = None
        self._agent.cut()
        self._closing = True
        self._agent.keep_unanswered(self._turns.take_text())
        if line:
            self._begin(None, line)
            self._agent.end_with(reason)
            self._last_words = Ending(reason)
        else:
            self._finish(Ending(reason))

    def _fail(self, error: ProviderError, *, voice_works: bool = True) -> None:
        """Apologise and end: a provider is gone for good."""
        assert self._tasks is not None
        if self._over is None or self._over.done() or self._apology.begun:
            return
        log.warning("provider failed: %s: %s", error.code, error)
        self._reporting.note("provider_fault", {"code": error.code, "message": str(error)})
        self._agent.cut()
        self._closing = True
        self._agent.keep_unanswered(self._turns.take_text())
        ending = Ending(EndReason.PROVIDER_ERROR, f"{error.code}: {error}")
        self._last_words = ending
        self._apology.begin(self._tasks, lambda: self._finish(ending), voice_works=voice_works)

    def _finish(self, ending: Ending) -> None:
        assert self._over is not None
        self._closing = True  # what comes until `run` goes on is not answered any more
        if not self._over.done():
            self._over.set_result(ending)
