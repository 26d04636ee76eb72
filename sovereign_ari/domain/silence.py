"""When to ask a caller who says nothing whether he is still there, and when to give up. Pure.

    quiet --first check's delay--> check 1 --interval--> check 2 ... --interval--> goodbye
      ^                                                                              |
      +------------------------- what the caller says --------------------------------+

The clock stands still, and begins anew, while the agent speaks or thinks, a tool runs, the caller
is on hold or makes a sound. What sounds like speech, or is understood, resets the count as well;
a click does neither, and so does a noise that goes on: a line that hums is a silent line.

Sound is what the PBX's talk detection hears. It hears packets: when they stop it says nothing, so
a line that sends none is silent whatever it said last. A PBX that has no talk detection, or that
hears nothing of a caller who was understood, is replaced by our own.

Times are seconds on any monotonic clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from sovereign_ari.domain.agent import SilencePlan

HANGOVER_S = 0.5
"""How long the PBX waits, once it hears nothing, before it says so."""

SOUND_S = 0.2  # anything shorter is a click
SPEECH_S = 0.5
LONGEST_UNHEARD_S = 20.0
"""A sound in which nothing was understood for so long is the noise of the line."""


@dataclass(frozen=True, slots=True)
class Check:
    """Ask whether the caller is there. `attempt` counts from 1."""

    attempt: int


class GivingUp(Enum):
    """How to end."""

    GOODBYE = "goodbye"
    TIME_OUT = "time-out"


SilenceDecision: TypeAlias = Check | GivingUp


def longest_silence_s(plan: SilencePlan | None, limit_s: float | None) -> float | None:
    """How long nobody may speak before the call ends, None for as long as they like."""
    if plan is None:
        return limit_s
    return plan.first_check_s + plan.max_attempts * plan.interval_s


class SilenceClock:
    """The silence of one call.

    Args:
        plan: What to do about it, or None.
        limit_s: Without a plan: decide `TIME_OUT` after so long; None never does.
        now_s: When it begins.

    Attributes:
        received_s: When the latest packet of the caller came; to be set by whoever receives.
        deaf: Whether our own detection has replaced the PBX's.
        held: Whether the far end has us on hold.
    """

    def __init__(self, plan: SilencePlan | None, limit_s: float | None, now_s: float) -> None:
        self._plan = plan
        self._limit_s = limit_s
        self._attempts = 0
        self._quiet_since_s = now_s
        self._understood_s = now_s
        self._loud = False
        self._talk_since_s: float | None = None
        self._voice_since_s: float | None = None
        self.received_s = now_s
        self.held = False
        self._pbx_has_heard = False
        self.deaf = False

    def restart(self, now_s: float) -> None:
        """Begin anew: the caller was answered, or gave a sign of life that is no sound."""
        self._attempts = 0
        self._quiet_since_s = self._understood_s = now_s

    def talking(self, on: bool, now_s: float) -> None:
        """Take what the PBX says: the caller's line became loud, or quiet `HANGOVER_S` ago."""
        self._pbx_has_heard = True
        self.deaf = False
        self._loud = on
        if not on:
            self._talk_since_s = None
        elif self._talk_since_s is None:
            self._talk_since_s = now_s

    def understood(self, now_s: float) -> None:
        """Note that words of the caller were recognised."""
        self._attempts = 0
        self._quiet_since_s = self._understood_s = now_s
        self.deaf = not self._pbx_has_heard

    def hold(self, on: bool) -> None:
        """Note that the far end put us on hold, or took us back."""
        self.held = on

    def tick(self, now_s: float, *, busy: bool, speaking: bool) -> SilenceDecision | None:
        """Let time pass; to be called a few times a second.

        Args:
            now_s: The time.
            busy: Whether the agent speaks, thinks, or waits for a tool.
            speaking: Whether our own detection hears the caller.
        """
        if not speaking:
            self._voice_since_s = None
        elif self._voice_since_s is None:
            self._voice_since_s = now_s
        self._mind_packets(now_s)
        sounds = self._caller_sounds(now_s, speaking)
        if busy or self.held:
            self._quiet_since_s = now_s
            return None
        return None if sounds else self._due(now_s)

    def _mind_packets(self, now_s: float) -> None:
        """Take a line that sends nothing for a silent one, until it sends again."""
        if now_s - self.received_s >= HANGOVER_S:
            self._talk_since_s = None
        elif self._loud and self._talk_since_s is None:
            self._talk_since_s = self.received_s

    def _caller_sounds(self, now_s: float, speaking: bool) -> bool:
        """Whether the caller makes a sound; what it is worth is noted."""
        since_s = self._voice_since_s if self.deaf else self._talk_since_s
        if since_s is None or self._is_noise(since_s, now_s):
            voice_s = self._voice_since_s
            return voice_s is not None and not self._is_noise(voice_s, now_s)
        lasted_s = now_s - since_s - HANGOVER_S
        if lasted_s >= SOUND_S:
            self._quiet_since_s = max(self._quiet_since_s, now_s - HANGOVER_S)
        if lasted_s >= SPEECH_S and speaking:
            self._attempts = 0
        return True

    def _is_noise(self, since_s: float, now_s: float) -> bool:
        return now_s - max(since_s, self._understood_s) >= LONGEST_UNHEARD_S

    def _due(self, now_s: float) -> SilenceDecision | None:
        quiet_s = now_s - self._quiet_since_s
        plan = self._plan
        if plan is None:
            if self._limit_s is None or quiet_s < self._limit_s:
                return None
            self._quiet_since_s = now_s
            return GivingUp.TIME_OUT
        if quiet_s < (plan.interval_s if self._attempts else plan.first_check_s):
            return None
        self._quiet_since_s = now_s
        if self._attempts >= plan.max_attempts:
            return GivingUp.GOODBYE
        self._attempts += 1
        return Check(self._attempts)
