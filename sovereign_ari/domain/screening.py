"""The beginning of a call that we placed: who answered, and what follows from it. Pure.

    LISTENING --a voicemail, by its words or its beep--> WAITING: the agent keeps silent
        |  --its mailbox is full, nobody has the number--> WAITING, then the call ends
        |  --fax, busy or special information tone--> the call ends
        |  --somebody asks who calls--> the agent introduces itself, once; LISTENING again
        +--nothing of it within 30 s--> OVER
    WAITING --beep, or 3 s of silence, and there is a message--> LEAVING
        |  --a pause, a beep, or 8 s, and there is none--> the call ends
        |  --"hello? is anybody there?"--> LISTENING: a human after all
        +--60 s--> the call ends: it never stops talking
    LEAVING --a beep although none was waited for--> the message again, once
        +--a busy tone--> the call ends

Nothing is waited for before a machine is recognised: until then the agent talks as to anybody.
Time is that of the line: 20 ms a frame, from the answer.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import TypeAlias

from sovereign_ari.domain.answering_machine import (
    Evidence,
    Kind,
    PbxVerdict,
    Sound,
    Verdict,
    judge,
)
from sovereign_ari.domain.greeting_words import calls_out, clues_in

FRAME_S = 0.02
LISTENS_S = 30.0
PAUSE_S = 0.8  # ends the first utterance
NEW_UTTERANCE_S = 0.8
SPEECH_BEFORE_BEEP_S = 1.0
BEEP_HOLDS_S = 1.5  # a beep this long before the verdict was the one to wait for
HANGS_UP_AFTER_PAUSE_S = 1.0
HANGS_UP_WITHIN_S = 8.0
SILENCE_FOR_BEEP_S = 3.0
LONGEST_GREETING_S = 60.0
LATE_BEEP_S = 8.0
_MACHINES = (Kind.VOICEMAIL, Kind.MAILBOX_FULL, Kind.OUT_OF_SERVICE)
_SOUNDS = (Kind.FAX, Kind.BUSY)
_TURNS_OUT = (Kind.HUMAN, Kind.CALL_SCREENING, Kind.MAILBOX_FULL, Kind.OUT_OF_SERVICE)


class Step(Enum):
    """What the dialogue must do now."""

    HUSH = "hush"
    SPEAK_UP = "speak_up"
    INTRODUCE = "introduce"
    LEAVE_MESSAGE = "leave_message"
    HANG_UP = "hang_up"


class State(Enum):
    """Where the screening is."""

    LISTENING = "listening"
    WAITING = "waiting"
    LEAVING = "leaving"
    OVER = "over"


Outcome: TypeAlias = Step | Verdict


@dataclass(slots=True)
class _Voice:
    """What was heard of the callee's voice."""

    total_s: float = 0.0
    ended_s: float = 0.0
    began_s: float = 0.0

    def frame(self, voiced: bool, now_s: float) -> None:
        if not voiced:
            return
        if now_s - self.ended_s >= NEW_UTTERANCE_S:
            self.began_s = now_s
        self.total_s += FRAME_S
        self.ended_s = now_s


class Screening:
    """Screens one call.

    Args:
        leaves_message: Whether there is something to be said to a voicemail.

    Attributes:
        state: Where it is.
        verdict: The latest one.
        now_s: Seconds since the answer.
        awaited: What the message was said behind: a `beep`, or `silence`.
    """

    def __init__(self, *, leaves_message: bool) -> None:
        self.state = State.LISTENING
        self.verdict: Verdict | None = None
        self.awaited = ""
        self._leaves_message = leaves_message
        self.now_s = 0.0
        self._voice = _Voice()
        self._said: list[str] = []
        self._partial = ""
        self._evidence = Evidence()
        self._introduced = False
        self._since_s = 0.0  # when the state began
        self._beep_s = -BEEP_HOLDS_S - 1  # long ago

    @property
    def hushed(self) -> bool:
        """Whether the agent must say nothing."""
        return self.state is State.WAITING

    def frame(self, voiced: bool) -> list[Outcome]:
        """Let 20 ms pass."""
        self.now_s += FRAME_S
        self._voice.frame(voiced, self.now_s)
        if self.state is State.LISTENING:
            return self._listen()
        return self._wait() if self.state is State.WAITING else []

    def words(self, text: str, *, final: bool) -> list[Outcome]:
        """Take what was recognised; a partial text replaces the one before."""
        if final:
            if text.strip():
                self._said.append(text)
            self._partial = ""
        else:
            self._partial = text
        if self.state is State.WAITING:
            return self._reconsider(text)
        if self.state is not State.LISTENING or not text.strip():
            return []
        self._evidence = replace(self._evidence, text=self._text)
        return self._judge(early=True)

    def sound(self, sound: Sound) -> list[Outcome]:
        """Take a signal that was heard."""
        if sound == "beep":
            return self._beep()
        if sound == "busy" and self.state is State.LEAVING:
            self._enter(State.OVER)
            return [Step.HANG_UP]
        if self.state is not State.LISTENING:
            return []
        self._hear_of(sound)
        return self._judge(early=True)

    def pbx(self, verdict: PbxVerdict) -> list[Outcome]:
        """Take what the PBX made of the first seconds."""
        self._evidence = replace(self._evidence, pbx=verdict)
        if self.state is not State.LISTENING:
            return []
        return self._judge(early=True)

    @property
    def _known(self) -> Kind | None:
        return None if self.verdict is None else self.verdict.kind

    # Listening.

    @property
    def _text(self) -> str:
        return " ".join((*self._said, self._partial))

    def _listen(self) -> list[Outcome]:
        silence_s = self.now_s - self._voice.ended_s
        settled = self._text.strip() and silence_s >= PAUSE_S
        if self.verdict is None and settled:
            return self._judge(early=False)
        if self.now_s >= LISTENS_S:
            outcomes = [] if self.verdict is not None else self._judge(early=False)
            if self.state is State.LISTENING:
                self._enter(State.OVER)
            return outcomes
        return []

    def _judge(self, *, early: bool) -> list[Outcome]:
        """Weigh what is known; early, only machines are recognised: a human has time."""
        verdict = judge(self._evidence)
        if verdict.kind is self._known or (early and not self._is_certain(verdict)):
            return []
        if not early:
            self._evidence = replace(self._evidence, settled=True)
        self.verdict = verdict
        return [verdict, *self._follow(verdict.kind)]

    def _is_certain(self, verdict: Verdict) -> bool:
        """Whether a verdict holds whatever else the utterance brings."""
        if verdict.kind is Kind.CALL_SCREENING:
            return not self._introduced
        return verdict.kind is Kind.IVR or (
            verdict.certain and verdict.kind in (*_MACHINES, *_SOUNDS)
        )

    def _follow(self, kind: Kind) -> list[Outcome]:
        if kind in _SOUNDS or "special" in self._evidence.sounds:
            self._enter(State.OVER)
            return [Step.HANG_UP]
        if kind in _MACHINES:
            self._enter(State.WAITING)
            just_beeped = self.now_s - self._beep_s <= BEEP_HOLDS_S
            return [Step.HUSH, *(self._done_waiting("beep") if just_beeped else [])]
        if kind is Kind.CALL_SCREENING:
            self._introduced = True
            self._listen_again()
            return [Step.INTRODUCE]
        return []

    def _hear_of(self, sound: Sound) -> None:
        self._evidence = replace(self._evidence, sounds=self._evidence.sounds | {sound})

    def _beep(self) -> list[Outcome]:
        self._beep_s = self.now_s
        match self.state:
            case State.LISTENING if self._voice.total_s >= SPEECH_BEFORE_BEEP_S:
                self._hear_of("beep")
                if self._known in (None, Kind.UNKNOWN):
                    self._evidence = replace(self._evidence, settled=False)
                return self._judge(early=True)
            case State.WAITING:
                return self._done_waiting("beep")
            case State.LEAVING if (
                self.awaited == "silence" and self.now_s - self._since_s < LATE_BEEP_S
            ):
                self.awaited = "beep"
                return [Step.LEAVE_MESSAGE]
        return []

    # Waiting for the end of a greeting.

    def _wait(self) -> list[Outcome]:
        waited_s = self.now_s - self._since_s
        silence_s = min(waited_s, self.now_s - self._voice.ended_s)
        if self._will_leave:
            if silence_s >= SILENCE_FOR_BEEP_S:
                return self._done_waiting("silence")
            return self._done_waiting("") if waited_s >= LONGEST_GREETING_S else []
        if silence_s >= HANGS_UP_AFTER_PAUSE_S or waited_s >= HANGS_UP_WITHIN_S:
            return self._done_waiting("silence")
        return []

    @property
    def _will_leave(self) -> bool:
        return self._leaves_message and self._known is Kind.VOICEMAIL

    def _done_waiting(self, awaited: str) -> list[Outcome]:
        self.awaited = awaited
        if self._will_leave and awaited:
            self._enter(State.LEAVING)
            return [Step.LEAVE_MESSAGE]
        self._enter(State.OVER)
        return [Step.HANG_UP]

    def _reconsider(self, text: str) -> list[Outcome]:
        """Take what a greeting says further on, or a human who was taken for a machine."""
        verdict = judge(replace(self._evidence, text=self._text))
        if self._voice.began_s > self._since_s and _is_human(text):
            verdict = Verdict(Kind.HUMAN, 0.0, ("somebody called out behind the greeting",))
        elif verdict.kind is Kind.HUMAN and self._voice.began_s > self._since_s:
            return []
        if verdict.kind is self._known or verdict.kind not in _TURNS_OUT:
            return []
        if verdict.kind is Kind.CALL_SCREENING and self._introduced:
            return []
        self.verdict = verdict
        if verdict.kind in _MACHINES:
            return [verdict]
        self._listen_again()
        self._enter(State.LISTENING)
        if verdict.kind is Kind.CALL_SCREENING:
            self._introduced = True
            return [verdict, Step.SPEAK_UP, Step.INTRODUCE]
        self._evidence = replace(self._evidence, settled=True)
        return [verdict, Step.SPEAK_UP]

    def _listen_again(self) -> None:
        """Forget what was said: what comes next is somebody else, or meant otherwise."""
        self._said.clear()
        self._partial = ""
        self._evidence = Evidence(pbx=self._evidence.pbx)

    def _enter(self, state: State) -> None:
        self.state, self._since_s = state, self.now_s


def _is_human(text: str) -> bool:
    """Whether an utterance of its own is a human's, rather than more of a greeting."""
    clues = clues_in(text)
    machine = clues.certain or clues.likely or clues.faint or clues.full or clues.gone
    return not machine and (calls_out(text) or bool(clues.human))
