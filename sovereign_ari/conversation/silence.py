"""What is said to a caller who says nothing, and when."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sovereign_ari.conversation.aside import Aside
from sovereign_ari.conversation.own_words import own_words
from sovereign_ari.domain.agent import Assistant, SilencePlan
from sovereign_ari.domain.silence import Check, GivingUp, SilenceClock

LISTENS_WITHIN_S = 6.0  # of the answer: what it says may be behind what was understood

ASK = (
    "The caller has said nothing for a while. Ask in one short sentence, in the language of this"
    " conversation and fitting to it, whether they are still there. Say nothing else."
)
ASK_AGAIN = f"{ASK} You have asked before: use other words."
SAY_GOODBYE = (
    "The caller has said nothing for a while, although you asked whether they are there. Say in"
    " one short sentence, in the language of this conversation, that you end the call now, and"
    " goodbye."
)


@dataclass(frozen=True, slots=True)
class Prompt:
    """Something to be said into the silence.

    Attributes:
        words: The line, or what the model is asked for; None says nothing.
        ends: Whether the call ends after it.
        final: Whether that is so even when the caller interrupts it.
    """

    words: str | Aside | None
    ends: bool = False
    final: bool = False


def is_minded(assistant: Assistant) -> bool:
    """Whether the silence of this assistant's callers matters at all."""
    return assistant.silence is not None or assistant.silence_timeout_s is not None


class Silence:
    """Minds the silence of one call.

    Args:
        assistant: Whose plan.
        note: Puts something on the call's timeline.
        now_s: Monotonic seconds.

    Attributes:
        clock: To be told what the PBX hears, and of hold.
    """

    def __init__(
        self, assistant: Assistant, note: Callable[[str, Mapping[str, object]], None], now_s: float
    ) -> None:
        self.clock = SilenceClock(assistant.silence, assistant.silence_timeout_s, now_s)
        self._plan = assistant.silence or SilencePlan()
        self._end_call_message = assistant.end_call_message
        self._lines = own_words(assistant)
        self._minded = is_minded(assistant)
        self._note = note
        self._told_deaf = False
        self._listens_by_s: float | None = None
        self._said_goodbye = False

    def understood(self, now_s: float) -> None:
        """Note that words of the caller were recognised."""
        self.clock.understood(now_s)
        self._said_goodbye = False

    def pressed(self, now_s: float) -> None:
        """Note that the caller pressed a key."""
        self.clock.restart(now_s)
        self._said_goodbye = False

    def due(self, now_s: float, *, busy: bool, speaking: bool) -> Prompt | None:
        """Let time pass; what to say now, if it is time. See `SilenceClock.tick`."""
        if not self._minded:
            return None
        self._note_deafness(now_s)
        match self.clock.tick(now_s, busy=busy, speaking=speaking):
            case None:
                return None
            case Check(attempt=attempt):
                self._note("silence_check", {"attempt": attempt})
                return Prompt(self._check(attempt))
            case GivingUp.TIME_OUT:
                return Prompt(self._end_call_message, ends=True, final=True)
            case GivingUp.GOODBYE:
                return self._goodbye()

    def _note_deafness(self, now_s: float) -> None:
        """Say once that the PBX hears nothing; at the beginning it may only not listen yet."""
        if self._listens_by_s is None:
            self._listens_by_s = now_s + LISTENS_WITHIN_S
        clock = self.clock
        if self._told_deaf or not clock.deaf:
            return
        if now_s >= self._listens_by_s:
            self._told_deaf = True
            self._note("talk_detection_missing", {})

    def _check(self, attempt: int) -> str | Aside:
        if messages := self._plan.messages:
            return messages[min(attempt, len(messages)) - 1]
        if attempt == 1:
            return Aside(ASK, self._lines.still_there)
        return Aside(ASK_AGAIN, self._lines.still_not_there)

    def _goodbye(self) -> Prompt:
        """The last words; a caller may stop the first goodbye, a noise not the second."""
        words = self._plan.final_message or self._end_call_message
        final, self._said_goodbye = self._said_goodbye, True
        return Prompt(words or Aside(SAY_GOODBYE, self._lines.gives_up), ends=True, final=final)
