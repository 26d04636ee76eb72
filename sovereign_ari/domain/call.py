"""The life of one call: states, events, commands, and the one function that joins them.

  NEW --Entered--> ROUTING --Routed--> OPENING --MediaOpened--> ANSWERING --Answered--> TALKING
                                   |
                                   +--> ASKING, when somebody is to be asked --Routed--> OPENING

A call that we place begins otherwise, and then is like any other:

  NEW --Placed--> PREPARING --MediaOpened--> DIALLING --PickedUp--> ANSWERING --Answered--> TALKING

And one whose controller died goes on with another:

  NEW --Found--> ADOPTING --MediaOpened--> TALKING

    ROUTING, ASKING --Routed, but nobody answers---------------+
    OPENING, PREPARING, ADOPTING --Unready---------------------+
    DIALLING --Unanswered--------------------------------------+
    TALKING --ConversationEnded, Transferred-------------------+--> ENDING --Released--> ENDED
    any of these --HungUp, Failed, Stopped---------------------+
    TALKING --TimedOut--> TALKING, with a last word, or as before when only a lease was over

Nothing here waits, reads a clock or touches Asterisk: `step` returns what to do, and
`control.runner` does it. Every rule about call states belongs in this file.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from sovereign_ari.domain.agent import Route
from sovereign_ari.domain.records import CallStatus, EndReason
from sovereign_ari.errors import IllegalTransition

UNALLOCATED_NUMBER = 1  # Q.850; SIP 404
NORMAL_CLEARING = 16  # Q.850
NO_ANSWER = 19  # Q.850; SIP 480
CONGESTION = 42  # Q.850: switching equipment congestion; SIP 503
RTP_TIMEOUT = 44  # Q.850: channel not available; what Asterisk says when `rtp_timeout` is over
NO_AUDIO = "no audio came from the caller's side for so long that the PBX ended the call"
TURNED_AWAY = "the answer to assistant-request rejected the call"
ENDED_AT_CONSOLE = "the PBX was told to end the call, not by the caller and not by us"


class CallState(Enum):
    """Where a call is in its life."""

    NEW = "new"
    ROUTING = "routing"
    ASKING = "asking"
    OPENING = "opening"
    PREPARING = "preparing"
    DIALLING = "dialling"
    ADOPTING = "adopting"
    ANSWERING = "answering"
    TALKING = "talking"
    ENDING = "ending"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Entered:
    """The caller's channel entered our application; nobody has answered."""


@dataclass(frozen=True, slots=True)
class Routed:
    """It is known who owns the number and who answers, if anybody, or who is to be asked.

    First the database says so; then, with nobody left to ask, whoever was asked.
    """

    route: Route


@dataclass(frozen=True, slots=True)
class Placed:
    """Somebody is to be called, and it is known by which assistant."""


@dataclass(frozen=True, slots=True)
class Found:
    """An answered call whose controller died is ours now; its caller waits."""


@dataclass(frozen=True, slots=True)
class Rang:
    """It rings at the other end, or audio comes from there: nobody has answered yet."""


@dataclass(frozen=True, slots=True)
class PickedUp:
    """The called person has answered (SIP 200)."""


@dataclass(frozen=True, slots=True)
class Unanswered:
    """Nobody answered, or nobody could be reached.

    Attributes:
        reason: `busy`, `no_answer`, `declined` or `unreachable`.
        cause: Q.850, None when unknown.
        text: A sentence for the operator.
    """

    reason: EndReason
    cause: int | None
    text: str


@dataclass(frozen=True, slots=True)
class MediaOpened:
    """Asterisk's media leg and our socket know each other."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The caller's channel is back from the dialplan, answered."""


@dataclass(frozen=True, slots=True)
class TimedOut:
    """The PBX took the caller out of the bridge.

    Attributes:
        over: Whether the longest allowed call is over; else we were late to say that it goes on.
    """

    over: bool = True


@dataclass(frozen=True, slots=True)
class ConversationEnded:
    """The dialogue is over and what it had to say was heard."""

    reason: EndReason
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Transferred:
    """The caller is with somebody else.

    Attributes:
        joined: Whether in our own PBX, where the caller's leg lives on without us; else the
            caller's side has called somebody else, and our leg is of no use any more.
    """

    joined: bool


@dataclass(frozen=True, slots=True)
class HungUp:
    """The caller's leg is gone or going. `cause` is Q.850.

    Attributes:
        by_pbx: Whether nobody at the other end wanted that: our PBX missed his audio, or somebody
            hung up at its console.
    """

    cause: int
    by_pbx: bool = False


@dataclass(frozen=True, slots=True)
class Failed:
    """A command could not be carried out."""

    error: str
    cause: int = CONGESTION


@dataclass(frozen=True, slots=True)
class Unready:
    """What the assistant cannot do without is not there: the caller is not answered."""

    error: str


@dataclass(frozen=True, slots=True)
class Stopped:
    """The controller shuts down and this call must end now."""


@dataclass(frozen=True, slots=True)
class Released:
    """Asterisk holds nothing of this call any more."""


CallEvent: TypeAlias = (
    Entered
    | Placed
    | Found
    | Rang
    | PickedUp
    | Unanswered
    | Routed
    | MediaOpened
    | Answered
    | TimedOut
    | ConversationEnded
    | Transferred
    | HungUp
    | Failed
    | Unready
    | Stopped
    | Released
)


class Command(Enum):
    """What the runner must do next."""

    FIND_ROUTE = "find-route"
    OPEN_RECORD = "open-record"
    ASK = "ask"
    OPEN_MEDIA = "open-media"
    DIAL = "dial"
    NOTE_RINGING = "note-ringing"
    ANSWER = "answer"
    START_CONVERSATION = "start-conversation"
    SAY_TIME_IS_UP = "say-time-is-up"
    BRING_BACK = "bring-back"
    STOP_CONVERSATION = "stop-conversation"
    RELEASE = "release"
    CLOSE_RECORD = "close-record"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a call ended, decided once: the first reason wins.

    Attributes:
        status: Final status of the record.
        reason: Why.
        cause: Q.850 cause to hang up with, or that the caller's leg ended with.
        error: A sentence for the operator.
    """

    status: CallStatus
    reason: EndReason
    cause: int = NORMAL_CLEARING
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """What an event leads to.

    Attributes:
        state: The next state.
        commands: To be done, in order.
        outcome: Set when this event decides how the call ended.
    """

    state: CallState
    commands: tuple[Command, ...] = ()
    outcome: Outcome | None = None


_END = (Command.STOP_CONVERSATION, Command.RELEASE)


def step(state: CallState, event: CallEvent) -> Step:
    """Decide what an event means.

    Raises:
        IllegalTransition: If the event cannot happen in this state, which is unchanged.
    """
    return _placing(state, event) or _adopting(state, event) or _step(state, event)


def _step(state: CallState, event: CallEvent) -> Step:
    match state, event:
        case CallState.NEW, Entered():
            return Step(CallState.ROUTING, (Command.FIND_ROUTE,))
        case ((CallState.ROUTING | CallState.ASKING), Routed(route=route)):
            return _routed(state, route)
        case CallState.OPENING, MediaOpened():
            return Step(CallState.ANSWERING, (Command.ANSWER,))
        case CallState.ANSWERING, Answered():
            return Step(CallState.TALKING, (Command.START_CONVERSATION,))
        case CallState.TALKING, TimedOut(over=over):
            return Step(
                CallState.TALKING, (Command.SAY_TIME_IS_UP if over else Command.BRING_BACK,)
            )
        case CallState.OPENING, Unready(error=error):
            refused = Outcome(CallStatus.REJECTED, EndReason.REJECTED, NO_ANSWER, error)
            return Step(CallState.ENDING, _END, refused)
        case CallState.ENDING, Released():
            return Step(CallState.ENDED, (Command.CLOSE_RECORD,))
        # Asterisk tells one hang-up several times and in any order, and what was on its way when
        # the call ended still arrives: news about a call already left, not an error.
        case CallState.ENDING | CallState.ENDED, _:
            return Step(state)
        case _, HungUp() | Failed() | Stopped() | ConversationEnded() | Transferred():
            return Step(CallState.ENDING, _END, _outcome(state, event))
        case _:
            raise IllegalTransition(f"{type(event).__name__} while {state.value}")


def _placing(state: CallState, event: CallEvent) -> Step | None:
    """How a call of ours comes to its answer; None for what is as in any other call.

    One that was never answered has failed, whoever is the reason, unless its client gave it up.
    """
    match state, event:
        case CallState.NEW, Placed():
            return Step(CallState.PREPARING, (Command.OPEN_RECORD, Command.OPEN_MEDIA))
        case CallState.PREPARING, MediaOpened():
            return Step(CallState.DIALLING, (Command.DIAL,))
        case CallState.PREPARING, Unready(error=error):
            failed = Outcome(CallStatus.FAILED, EndReason.ERROR, NORMAL_CLEARING, error)
            return Step(CallState.ENDING, _END, failed)
        case CallState.DIALLING, Rang():
            return Step(CallState.DIALLING, (Command.NOTE_RINGING,))
        case CallState.DIALLING, PickedUp():
            return Step(CallState.ANSWERING, (Command.ANSWER,))
        case CallState.DIALLING, Unanswered(reason=reason, cause=cause, text=text):
            failed = Outcome(CallStatus.FAILED, reason, cause or NO_ANSWER, text)
            return Step(CallState.ENDING, _END, failed)
        case _:
            return None


def _adopting(state: CallState, event: CallEvent) -> Step | None:
    """How a call that was answered by another goes on; None for what is as in any other call."""
    match state, event:
        case CallState.NEW, Found():
            return Step(CallState.ADOPTING, (Command.OPEN_MEDIA,))
        case CallState.ADOPTING, MediaOpened():
            return Step(CallState.TALKING, (Command.START_CONVERSATION,))
        case CallState.ADOPTING, TimedOut():  # its old lease; a new one begins with the talk
            return Step(state)
        case CallState.ADOPTING, Unready(error=error):
            return Step(CallState.ENDING, _END, broken(state, error, NORMAL_CLEARING))
        case _:
            return None


def _routed(state: CallState, route: Route) -> Step:
    """Go where a route leads. The record is opened before anybody is asked."""
    record = (Command.OPEN_RECORD,) if state is CallState.ROUTING else ()
    if route.asks is not None and state is CallState.ROUTING:
        return Step(CallState.ASKING, (*record, Command.ASK))
    if route.assistant is None:
        return Step(CallState.ENDING, (*record, *_END), _nobody(route))
    if route.rejection is None:
        return Step(CallState.OPENING, (*record, Command.OPEN_MEDIA))
    # From here on the call is rejected, however the message ends.
    if route.rejection:
        outcome = Outcome(CallStatus.REJECTED, EndReason.REJECTED, NORMAL_CLEARING, TURNED_AWAY)
        return Step(CallState.OPENING, (*record, Command.OPEN_MEDIA), outcome)
    outcome = Outcome(CallStatus.REJECTED, EndReason.REJECTED, NO_ANSWER, TURNED_AWAY)
    return Step(CallState.ENDING, (*record, *_END), outcome)


def _nobody(route: Route) -> Outcome:
    cause = NO_ANSWER if route.known else UNALLOCATED_NUMBER
    return Outcome(CallStatus.REJECTED, EndReason.NO_ASSISTANT, cause, route.refusal)


def broken(state: CallState, error: str, cause: int = CONGESTION) -> Outcome:
    """How a call ends that neither side ended: once answered with an error, before that it failed.

    `db.controllers` closes the calls of a dead controller by the same rule.
    """
    answered = state in (CallState.TALKING, CallState.ADOPTING)
    status = CallStatus.ENDED_WITH_ERROR if answered else CallStatus.FAILED
    return Outcome(status, EndReason.ERROR, cause, error)


def _outcome(
    state: CallState, event: HungUp | Failed | Stopped | ConversationEnded | Transferred
) -> Outcome:
    match event:
        case Transferred():
            return Outcome(CallStatus.TRANSFERRED, EndReason.TRANSFERRED)
        case HungUp(cause=cause) if cause == RTP_TIMEOUT and state is CallState.TALKING:
            return Outcome(CallStatus.ENDED_WITH_ERROR, EndReason.ERROR, cause, NO_AUDIO)
        case HungUp(cause=cause, by_pbx=True):
            return broken(state, ENDED_AT_CONSOLE, cause)
        case HungUp(cause=cause):
            return Outcome(CallStatus.ENDED, EndReason.USER_HANGUP, cause)
        case Failed(error=error, cause=cause):
            return broken(state, error, cause)
        case Stopped():
            cause = NORMAL_CLEARING if state is CallState.TALKING else CONGESTION
            return broken(state, "the controller was stopped", cause)
        case ConversationEnded(reason=reason, error=error):
            status = CallStatus.ENDED if error is None else CallStatus.ENDED_WITH_ERROR
            return Outcome(status, reason, NORMAL_CLEARING, error)
