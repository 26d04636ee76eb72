"""Who has the floor: end of turn, and barge-in. Frames, words and times in; decisions out.

While the agent is silent, the caller's turn ends after `endpointing_min_delay_s` of silence, once
the recogniser has answered; after `endpointing_max_delay_s` whatever it does, and only then when
the words look unfinished.

While the agent speaks or thinks, interruption has two steps. Two loud frames *pause* it. Then

    enough speech and enough words -------> *interrupt*: what was not heard is forgotten
    a click: little speech, then silence -> *resume* at the same sample
    some speech, then silence ------------> ask the recogniser (*flush*): words interrupt, no
                                            words resume, and so does the false-interruption
                                            time-out

An interruption that turns out to have been no words at all is followed by *repeat*: otherwise the
caller would wait for an answer, and the agent for the caller.

Times are seconds on any monotonic clock.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from sovereign_ari.domain.agent import TurnTaking

FRAME_S = 0.020
SLACK_S = FRAME_S / 4  # frames arrive a little early or late; none of them is worth another frame
ONSET_FRAMES = 2
CLICK_S = 0.13  # a noise of 100 ms may touch one frame more at either end
CLICK_SILENCE_S = 0.06
FLUSH_AFTER_S = 0.2

_UNFINISHED = re.compile(
    r"(?:\b(?:and|or|but|because|so|if|the|a|my|en|of|maar|omdat|und|oder|aber|weil)|[,;:–-]|\.\.\.|…)$",
    re.IGNORECASE,
)


class Decision(Enum):
    """What the dialogue must do now."""

    PAUSE = "pause"
    RESUME = "resume"
    INTERRUPT = "interrupt"
    FLUSH = "flush"
    REPEAT = "repeat"


@dataclass(frozen=True, slots=True)
class EndTurn:
    """The caller has finished.

    Attributes:
        text: What was understood, never empty.
        stopped_s: When the last loud frame ended.
    """

    text: str
    stopped_s: float


Outcome: TypeAlias = Decision | EndTurn


class TurnTaker:
    """The state of the floor during one call.

    Args:
        settings: Delays and thresholds.
        now_s: The time at which the conversation begins.
    """

    def __init__(self, settings: TurnTaking, now_s: float) -> None:
        self._settings = settings
        self._flush_after_s = min(FLUSH_AFTER_S, settings.endpointing_min_delay_s / 2)
        self._agent_active = False
        self._paused = False
        self._run = 0
        self._finals: list[str] = []
        self._partial = ""
        self._words_at_s: float | None = None
        self._in_speech = False
        self._voiced_s = 0.0
        self._last_voiced_s = now_s
        self._flushed = False
        self._flushes_out = 0
        self._late_flushes = 0
        self._cut_unheard = False  # the agent was interrupted before any word was recognised

    @property
    def flushes_out(self) -> int:
        """How many flushes the recogniser has not answered."""
        return self._flushes_out

    @property
    def text(self) -> str:
        """What the caller said since the last turn ended, as far as it is recognised."""
        return " ".join([*self._finals, self._partial]).strip()

    def take_text(self) -> str:
        """Say and forget what the caller said since the last turn ended."""
        text = self.text
        if text:
            self.forget()
        return text

    @property
    def caller_has_floor(self) -> bool:
        """Whether the caller began something that may yet become a turn."""
        return self._in_speech or self._words_at_s is not None

    def agent_began(self) -> None:
        """Note that a reply is being prepared or spoken."""
        self._agent_active = True
        self._cut_unheard = False

    def agent_ended(self) -> None:
        """Note that the last of the reply was heard."""
        self._agent_active = False
        self._paused = False

    def frame(self, voiced: bool, now_s: float) -> list[Outcome]:
        """Take 20 ms of the caller's audio, which ended at `now_s`.

        Also to be called, with False, when no audio arrives: it is what moves the time.
        """
        self._run = self._run + 1 if voiced else 0
        if voiced and (self._in_speech or self._run >= ONSET_FRAMES):
            if not self._in_speech:
                self._in_speech = True
                self._voiced_s = (self._run - 1) * FRAME_S
            self._voiced_s += FRAME_S
            self._last_voiced_s = now_s
            self._flushed = False
        return self._decide(now_s)

    def transcript(self, text: str, *, final: bool, flushed: bool, now_s: float) -> list[Outcome]:
        """Take what the recogniser said; a partial text replaces the one before."""
        text = text.strip()
        if flushed:
            self._flushes_out = max(0, self._flushes_out - 1)
        if self._late_flushes:  # it is about a turn that has ended by its longest delay
            self._late_flushes -= flushed
            return self._decide(now_s)
        if final:
            self._partial = ""
            if text:
                self._finals.append(text)
        else:
            self._partial = text
        if text and not self._in_speech:
            self._words_at_s = now_s
        return self._decide(now_s)

    def _decide(self, now_s: float) -> list[Outcome]:
        if self._agent_active:
            return self._while_agent_active(now_s)
        return self._while_listening(now_s)

    def _while_agent_active(self, now_s: float) -> list[Outcome]:
        if not self._in_speech and self._words_at_s is None:
            return []
        decisions: list[Outcome] = []
        if not self._paused:
            self._paused = True
            decisions.append(Decision.PAUSE)
        silence_s = now_s - self._last_voiced_s + SLACK_S
        if self._confirmed():
            self._agent_active = self._paused = False
            self._cut_unheard = not self.text
            decisions.append(Decision.INTERRUPT)
        elif self._harmless(silence_s):
            self._paused = False
            self.forget()
            decisions.append(Decision.RESUME)
        elif silence_s >= self._flush_after_s and not self._flushed:
            decisions.append(self._flush())
        return decisions

    def _confirmed(self) -> bool:
        words = len(self.text.split())
        if words:
            return words >= self._settings.interruption_min_words
        return (
            self._settings.interruption_min_words == 0
            and self._voiced_s + SLACK_S >= self._settings.interruption_min_duration_s
        )

    def _harmless(self, silence_s: float) -> bool:
        """Whether what paused the agent turned out to be nothing said to it."""
        if self._voiced_s <= CLICK_S and silence_s >= CLICK_SILENCE_S and not self.text:
            return True
        timeout_s = self._settings.false_interruption_timeout_s
        if timeout_s is None:
            return False
        answered = self._flushed and self._flushes_out == 0
        return answered or silence_s >= timeout_s

    def _while_listening(self, now_s: float) -> list[Outcome]:
        silence_s = now_s - self._last_voiced_s + SLACK_S
        if self._in_speech:
            if silence_s >= self._flush_after_s and not self._flushed:
                return [self._flush()]
            return self._end_of_speech(silence_s)
        if self._words_at_s is not None:  # words that the detector did not hear
            if now_s - self._words_at_s + SLACK_S >= self._settings.endpointing_min_delay_s:
                return [self._end_turn()]
            return []
        return []

    def _end_of_speech(self, silence_s: float) -> list[Outcome]:
        if silence_s < self._settings.endpointing_min_delay_s:
            return []
        overdue = silence_s >= self._settings.endpointing_max_delay_s
        text = self.text
        if text and (overdue or (self._flushes_out == 0 and not _UNFINISHED.search(text))):
            return [self._end_turn()]
        if not text and self._flushes_out == 0:
            self.forget()  # a noise
            if self._cut_unheard:
                self._cut_unheard = False
                return [Decision.REPEAT]
        return []

    def _end_turn(self) -> EndTurn:
        stopped_s = self._last_voiced_s if self._in_speech else (self._words_at_s or 0.0)
        turn = EndTurn(self.text, stopped_s)
        self._late_flushes = self._flushes_out
        self.forget()
        self._agent_active = True
        return turn

    def _flush(self) -> Decision:
        self._flushed = True
        self._flushes_out += 1
        return Decision.FLUSH

    def forget(self) -> None:
        """Drop what was said since the last turn ended."""
        self._finals.clear()
        self._partial = ""
        self._words_at_s = None
        self._in_speech = False
        self._voiced_s = 0.0
        self._run = 0
