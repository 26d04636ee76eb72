"""Who has the floor: end of turn, and barge-in. Frames, words and times in; decisions out.

While the agent is silent, the caller's turn ends when the silence has lasted as long as its words
demand (`domain/endpointing.py`). Meanwhile a text that may be all is *anticipated*: the model may
think about it, and has to *retract* when the caller goes on (`domain/anticipation.py`). An
`EndTurn` with other words than were anticipated retracts silently.

Somebody who spoke for a while, of which the recogniser understood nothing, is *asked again*: he
waits for an answer.

While the agent speaks or thinks, interruption has two steps. Two loud frames *pause* it: to the
caller it has stopped. Then

    words that are no backchannel, enough of them,
    in speech that is long enough ----------------> *interrupt*: what was not heard is forgotten
    nothing but backchannels, then silence -------> *resume* at the same word
    a click: little voice, then silence ----------> *resume*
    voice, then silence --------------------------> ask the recogniser (*flush*): when it answers
                                                    anything but words that interrupt, *resume*;
                                                    so does the false-interruption time-out
    voice and no words, on and on ----------------> ask, then *resume*: a noise

Without words the agent is never cut, only paused: voice alone may be a cough, a murmur or a
television. `interruption_min_duration_s` is the speech that the words must have taken,
`interruption_min_words` how many they must be, those of backchannels not counted.

A backchannel leaves no turn, but where it meets the agent's last words it is an answer, and a turn
when the agent has ended. While the agent is silent the same word is a turn like any other.
Words that cut the agent are answered even when the recogniser takes them back: nobody else speaks.

Who is called says hello over our first words. That pauses the agent and never cuts it.

Times are seconds on any monotonic clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from math import inf
from typing import TypeAlias

from sovereign_ari.domain.agent import TurnTaking
from sovereign_ari.domain.anticipation import Anticipate, Anticipation
from sovereign_ari.domain.backchannels import beyond_backchannels, may_become_backchannel
from sovereign_ari.domain.caller import CLICK_S, SLACK_S, CallerSpeech
from sovereign_ari.domain.endpointing import Endpointing

CLICK_SILENCE_S = 0.06
FLUSH_AFTER_S = 0.2
BACKCHANNEL_SILENCE_S = 0.2
EDGES_S = 0.15  # the voiceless ends of words, which the detector does not count as speech
LONGEST_PAUSE_S = 5.0  # the longest time-out that can be set: nobody waits longer for a recogniser
OVERLAP_S = 1.0
GREETED_WITHIN_S = 1.5
GREETING_SILENCE_S = 0.3
LONGEST_GREETING_WORDS = 8
LONGEST_GREETING_S = 4.0
CLEAR_SPEECH_S = 1.0
MOST_ASKED_AGAIN = 2  # in a row: what nobody ever understands is a noise


class Decision(Enum):
    """What the dialogue must do now."""

    PAUSE = "pause"
    RESUME = "resume"
    INTERRUPT = "interrupt"
    FLUSH = "flush"
    RETRACT = "retract"
    ASK_AGAIN = "ask again"


@dataclass(frozen=True, slots=True)
class EndTurn:
    """The caller has finished.

    Attributes:
        text: What was understood, never empty.
        stopped_s: When the last loud frame ended.
    """

    text: str
    stopped_s: float


Outcome: TypeAlias = Decision | EndTurn | Anticipate


@dataclass(frozen=True, slots=True)
class _Murmur:
    """A backchannel: its words, when they ended, and when the agent went on."""

    text: str
    stopped_s: float
    resumed_s: float


class TurnTaker:
    """The state of the floor during one call.

    Args:
        settings: Delays and thresholds.
        now_s: The time at which the conversation begins.
        language: ISO 639-1 of the caller's words, None when it is not known.

    Attributes:
        resumed_after: What the latest `RESUME` followed: `click`, `noise`, `backchannel`,
            `greeting`, `no_words`, `too_little` to interrupt, or a `timeout`.
    """

    def __init__(self, settings: TurnTaking, now_s: float, language: str | None = None) -> None:
        self._settings = settings
        self._flush_after_s = min(FLUSH_AFTER_S, settings.endpointing_min_delay_s / 2)
        self._caller = CallerSpeech(now_s)
        self._endpointing = Endpointing(settings, language)
        self._anticipation = Anticipation(self._endpointing)
        self._agent_active = False
        self._paused = False
        self._murmur: _Murmur | None = None
        self._cut_by = ""  # the words that cut the agent, until somebody speaks again
        self._read = ("", 0)  # a text, and how many of its words are no backchannels
        self._half_read = False  # whether those words may become one
        self._now_s = now_s
        self._greeted_until_s: float | None = None  # infinite until the first frame comes
        self._asked_again = 0
        self.resumed_after = ""

    @property
    def flushes_out(self) -> int:
        """How many flushes the recogniser has not answered."""
        return self._caller.flushes_out

    @property
    def text(self) -> str:
        """What the caller said since the last turn ended, as far as it is recognised."""
        return self._caller.text

    def take_text(self) -> str:
        """Say and forget what the caller said since the last turn ended."""
        text = self.text
        if text:
            self._caller.forget()
        return text

    @property
    def caller_has_floor(self) -> bool:
        """Whether the caller began something that may yet become a turn."""
        return self._caller.any

    def asked(self) -> None:
        """Note that the recogniser was asked about a sound that was not taken for voice."""
        self._caller.asked()

    def begin(self, *, placed: bool) -> None:
        """Note who called: when it was we, the caller says hello when the first frames come."""
        self._greeted_until_s = inf if placed else None

    def agent_began(self) -> None:
        """Note that a reply is being prepared or spoken."""
        self._agent_active = True
        self._murmur = None
        self._cut_by = ""
        self._anticipation.begin_turn()

    def agent_ended(self, *, cut: bool = False) -> None:
        """Note that the last of the reply was heard, or that it was cut for something else."""
        self._agent_active = False
        self._paused = False
        murmur, self._murmur = self._murmur, None
        if murmur is None or cut or self._caller.any:
            return
        if self._now_s - murmur.resumed_s <= OVERLAP_S:
            self._caller.recall(murmur.text, murmur.stopped_s)

    def agent_said(self, text: str) -> None:
        """Note what was heard of the agent last, for what it asks."""
        self._endpointing.agent_said(text)

    def frame(self, voiced: bool, now_s: float, *, faint: bool = False) -> list[Outcome]:
        """Take 20 ms of the caller's audio, which ended at `now_s`.

        Also to be called, with False, when no audio arrives: it is what moves the time.

        Args:
            voiced: Whether the caller speaks.
            now_s: The time.
            faint: Whether that is so only if the caller goes on; otherwise he had ended before.
        """
        self._now_s = now_s
        if self._greeted_until_s == inf:
            self._greeted_until_s = now_s + GREETED_WITHIN_S
        self._caller.frame(voiced, now_s, faint=faint)
        return self._decide(now_s)

    def transcript(
        self, text: str, *, final: bool, flushed: bool, now_s: float, ends_turn: bool = False
    ) -> list[Outcome]:
        """Take what the recogniser said; a partial text replaces the one before."""
        self._now_s = now_s
        self._asked_again = 0 if text.strip() else self._asked_again
        self._caller.transcript(
            text, final=final, flushed=flushed, ends_turn=ends_turn, now_s=now_s
        )
        return self._decide(now_s)

    def _decide(self, now_s: float) -> list[Outcome]:
        if self._caller.must_ask_about_noise(now_s):
            return [*self._retract(), self._flush(now_s)]
        if self._agent_active:
            return self._while_agent_active(now_s)
        return self._while_listening(now_s)

    def _while_agent_active(self, now_s: float) -> list[Outcome]:
        caller = self._caller
        if not caller.any:
            return []
        interrupts = self._interrupts()
        if not (caller.in_speech or interrupts):
            return self._pass_over(now_s)
        decisions: list[Outcome] = []
        if not self._paused:
            self._paused = True
            decisions.append(Decision.PAUSE)
        if interrupts:
            self._agent_active = self._paused = False
            self._cut_by = caller.text
            decisions.append(Decision.INTERRUPT)
        elif reason := self._harmless(now_s):
            decisions += self._resume(reason, now_s)
        elif self._must_flush(now_s):
            decisions.append(self._flush(now_s))
        return decisions

    def _pass_over(self, now_s: float) -> list[Outcome]:
        """Leave words alone that came without voice and do not interrupt, until they are all."""
        caller = self._caller
        if caller.settled or caller.silence_s(now_s) >= self._settings.endpointing_max_delay_s:
            caller.forget()
        return []

    @property
    def _is_greeting(self) -> bool:
        """Whether the caller says no more than who he is, right after picking up."""
        caller, until_s = self._caller, self._greeted_until_s
        if until_s is None or not caller.in_speech or caller.began_s > until_s:
            return False
        short = len(caller.text.split()) <= LONGEST_GREETING_WORDS
        return short and caller.voiced_s <= LONGEST_GREETING_S

    def _interrupts(self) -> bool:
        caller, settings = self._caller, self._settings
        if caller.text != self._read[0]:
            rest = beyond_backchannels(caller.text)
            self._read = (caller.text, len(rest))
            self._half_read = may_become_backchannel(rest)
        if self._is_greeting or (self._half_read and caller.tentative):
            return False  # "I": of "I see", or of "I want"
        if self._read[1] < max(1, settings.interruption_min_words):
            return False
        long_enough_s = settings.interruption_min_duration_s - EDGES_S - SLACK_S
        return not caller.in_speech or caller.voiced_s >= long_enough_s

    def _harmless(self, now_s: float) -> str:
        """Why what paused the agent was nothing said to it; empty when that is not known."""
        caller = self._caller
        silence_s = caller.silence_s(now_s)
        if caller.voiced_s <= CLICK_S and silence_s >= CLICK_SILENCE_S and not caller.text:
            return "click"
        if caller.is_noise(now_s):
            caller.ignore_noise()
            return "noise"
        answered = caller.flushed and caller.flushes_out == 0
        read = answered and bool(caller.text)
        if self._is_greeting and (read or silence_s >= GREETING_SILENCE_S):
            return "greeting"
        murmured = bool(caller.text) and not self._read[1]
        if murmured and (answered or silence_s >= BACKCHANNEL_SILENCE_S):
            return "backchannel"
        if answered:
            return "too_little" if caller.text else "no_words"
        timeout_s = self._settings.false_interruption_timeout_s
        if silence_s >= (LONGEST_PAUSE_S if timeout_s is None else timeout_s):
            return "timeout"
        return ""

    def _resume(self, reason: str, now_s: float) -> list[Outcome]:
        caller = self._caller
        decisions: list[Outcome] = [Decision.RESUME]
        if reason in ("backchannel", "timeout", "greeting") and not caller.flushed:
            decisions.append(self._flush(now_s))  # else it stands before the words that come next
        if reason == "backchannel":
            self._murmur = _Murmur(caller.text, caller.stopped_s, now_s)
            caller.disregard_answers(murmured=True)
        elif reason == "greeting":
            caller.disregard_answers()
        self.resumed_after = reason
        self._paused = False
        caller.forget()
        return decisions

    def _while_listening(self, now_s: float) -> list[Outcome]:
        caller = self._caller
        if not caller.any:
            return []
        if caller.is_noise(now_s):
            return self._end_in_noise()
        if self._must_flush(now_s):
            return [*self._anticipate(now_s), self._flush(now_s)]
        silence_s = caller.silence_s(now_s)
        if caller.text:
            if silence_s >= self._endpointing.delay_s(caller, now_s):
                return [self._end_turn()]
        elif silence_s >= self._settings.endpointing_min_delay_s and caller.flushes_out == 0:
            return self._end_without_words(clear=caller.voiced_s >= CLEAR_SPEECH_S)
        return self._anticipate(now_s)

    def _end_in_noise(self) -> list[Outcome]:
        text = self._caller.text
        self._caller.ignore_noise()
        return [self._end_turn()] if text else self._end_without_words()

    def _end_without_words(self, *, clear: bool = False) -> list[Outcome]:
        """Forget a noise; but when words cut the agent and were taken back, answer those.

        Of whoever spoke clearly and was not understood, the same is asked again.
        """
        if self._cut_by:
            return [self._end_turn()]
        self._caller.forget()
        if not clear or self._asked_again == MOST_ASKED_AGAIN:
            return self._retract()
        self._asked_again += 1
        return [*self._retract(), Decision.ASK_AGAIN]

    def _end_turn(self) -> EndTurn:
        turn = EndTurn(self._caller.text or self._cut_by, self._caller.stopped_s)
        self._cut_by = ""
        self._caller.disregard_answers()
        self._anticipation.begin_turn()
        self._caller.forget()
        self._agent_active = True
        return turn

    def _anticipate(self, now_s: float) -> list[Outcome]:
        if self._anticipation.is_wrong(self._caller):
            return self._retract()
        anticipated = self._anticipation.try_now(self._caller, now_s)
        return [anticipated] if anticipated else []

    def _retract(self) -> list[Outcome]:
        if not self._anticipation.live:
            return []
        self._anticipation.drop()
        return [Decision.RETRACT]

    def _must_flush(self, now_s: float) -> bool:
        caller = self._caller
        if not caller.in_speech or caller.flushed:
            return False
        return caller.silence_s(now_s) >= self._flush_after_s

    def _flush(self, now_s: float) -> Decision:
        self._caller.flush(now_s)
        return Decision.FLUSH
