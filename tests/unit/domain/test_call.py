"""The life of a call, over every pair of state and event."""

from __future__ import annotations

import itertools

import pytest

from sovereign_ari.domain.agent import Assistant, Route
from sovereign_ari.domain.call import (
    NO_ANSWER,
    NORMAL_CLEARING,
    UNALLOCATED_NUMBER,
    Answered,
    CallEvent,
    CallState,
    Command,
    ConversationEnded,
    Entered,
    Failed,
    HungUp,
    MediaOpened,
    Released,
    Routed,
    Stopped,
    TimedOut,
    Unready,
    step,
)
from sovereign_ari.domain.records import CallStatus, EndReason
from sovereign_ari.errors import IllegalTransition

ASSISTANT = Assistant("a", "o", "Ann", None, {}, {}, {})
ANSWERING_ROUTE = Route("o", "n", ASSISTANT)
EVENTS: list[CallEvent] = [
    Entered(),
    Routed(ANSWERING_ROUTE),
    Routed(Route("o", None, None, "nobody", known=False)),
    MediaOpened(),
    Answered(),
    TimedOut(),
    ConversationEnded(EndReason.ASSISTANT_HANGUP),
    HungUp(16),
    Failed("no"),
    Unready("gone"),
    Stopped(),
    Released(),
]
LIVE = [s for s in CallState if s not in (CallState.ENDING, CallState.ENDED)]


def test_an_answered_call_runs_through_all_states() -> None:
    events: list[CallEvent] = [
        Entered(),
        Routed(ANSWERING_ROUTE),
        MediaOpened(),
        Answered(),
        ConversationEnded(EndReason.ASSISTANT_HANGUP),
        Released(),
    ]
    state, commands = CallState.NEW, list[Command]()
    for event in events:
        taken = step(state, event)
        state = taken.state
        commands += taken.commands
    assert state is CallState.ENDED
    assert commands == [
        Command.FIND_ROUTE,
        Command.OPEN_RECORD,
        Command.OPEN_MEDIA,
        Command.ANSWER,
        Command.START_CONVERSATION,
        Command.STOP_CONVERSATION,
        Command.RELEASE,
        Command.CLOSE_RECORD,
    ]


@pytest.mark.parametrize("event", [HungUp(16), Failed("x"), Stopped()], ids=repr)
@pytest.mark.parametrize("state", LIVE)
def test_a_hang_up_always_ends_the_call(state: CallState, event: CallEvent) -> None:
    taken = step(state, event)
    assert taken.state is CallState.ENDING
    assert taken.commands == (Command.STOP_CONVERSATION, Command.RELEASE)
    assert taken.outcome is not None


@pytest.mark.parametrize(("state", "event"), list(itertools.product(CallState, EVENTS)))
def test_every_pair_is_decided(state: CallState, event: CallEvent) -> None:
    try:
        taken = step(state, event)
    except IllegalTransition:
        assert state in LIVE
        return
    assert state is not CallState.ENDED or taken.state is CallState.ENDED
    assert (taken.outcome is None) == (
        taken.state is not CallState.ENDING or state is CallState.ENDING
    )


@pytest.mark.parametrize(
    ("route", "cause"),
    [
        (Route("o", None, None, "nobody has it", known=False), UNALLOCATED_NUMBER),
        (Route("o", "n", None, "inactive"), NO_ANSWER),
    ],
)
def test_a_number_that_nobody_answers_is_refused_and_recorded(route: Route, cause: int) -> None:
    taken = step(CallState.ROUTING, Routed(route))
    assert taken.commands[0] is Command.OPEN_RECORD
    assert taken.outcome is not None
    assert taken.outcome.cause == cause
    assert taken.outcome.status is CallStatus.REJECTED
    assert taken.outcome.error == route.refusal


def test_a_call_that_cannot_be_taken_is_rejected_before_it_is_answered() -> None:
    taken = step(CallState.OPENING, Unready("the CRM is gone"))
    assert taken.commands == (Command.STOP_CONVERSATION, Command.RELEASE)
    assert taken.outcome is not None
    assert (taken.outcome.status, taken.outcome.reason) == (
        CallStatus.REJECTED,
        EndReason.REJECTED,
    )
    assert (taken.outcome.cause, taken.outcome.error) == (NO_ANSWER, "the CRM is gone")


def test_a_provider_fault_ends_with_error_and_a_normal_clearing() -> None:
    taken = step(CallState.TALKING, ConversationEnded(EndReason.PROVIDER_ERROR, "llm gone"))
    assert taken.outcome is not None
    assert taken.outcome.status is CallStatus.ENDED_WITH_ERROR
    assert taken.outcome.cause == NORMAL_CLEARING
