"""The life of a call, over every pair of state and event."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from sovereign_ari.domain.agent import Assistant, Route
from sovereign_ari.domain.call import (
    ENDED_AT_CONSOLE,
    NO_ANSWER,
    NORMAL_CLEARING,
    RTP_TIMEOUT,
    UNALLOCATED_NUMBER,
    Answered,
    CallEvent,
    CallState,
    Command,
    ConversationEnded,
    Entered,
    Failed,
    Found,
    HungUp,
    MediaOpened,
    PickedUp,
    Placed,
    Rang,
    Released,
    Routed,
    Stopped,
    TimedOut,
    Transferred,
    Unanswered,
    Unready,
    step,
)
from sovereign_ari.domain.records import CallStatus, EndReason
from sovereign_ari.domain.webhook import Webhook
from sovereign_ari.errors import IllegalTransition

ASSISTANT = Assistant("a", "o", "Ann", None, {}, {}, {})
ANSWERING_ROUTE = Route("o", "n", ASSISTANT)
EVENTS: list[CallEvent] = [
    Entered(),
    Placed(),
    Found(),
    Rang(),
    PickedUp(),
    Unanswered(EndReason.BUSY, 17, "busy"),
    Routed(ANSWERING_ROUTE),
    Routed(Route("o", None, None, "nobody", known=False)),
    Routed(replace(ANSWERING_ROUTE, asks=Webhook("https://example.com"))),
    Routed(replace(ANSWERING_ROUTE, rejection="We are closed.")),
    Routed(replace(ANSWERING_ROUTE, rejection="")),
    MediaOpened(),
    Answered(),
    TimedOut(),
    ConversationEnded(EndReason.ASSISTANT_HANGUP),
    Transferred(joined=True),
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


def run(*events: CallEvent) -> tuple[CallState, list[Command]]:
    state, commands = CallState.NEW, list[Command]()
    for event in events:
        taken = step(state, event)
        state = taken.state
        commands += taken.commands
    return state, commands


def test_a_call_that_we_place_is_prepared_first_and_then_like_any_other() -> None:
    state, commands = run(Placed(), MediaOpened(), Rang(), Rang(), PickedUp(), Answered())
    assert state is CallState.TALKING
    assert commands == [
        Command.OPEN_RECORD,
        Command.OPEN_MEDIA,
        Command.DIAL,
        Command.NOTE_RINGING,
        Command.NOTE_RINGING,
        Command.ANSWER,
        Command.START_CONVERSATION,
    ]


def test_a_call_that_nobody_answered_has_failed() -> None:
    unanswered = Unanswered(EndReason.BUSY, 17, "busy (SIP 486)")
    outcome = step(CallState.DIALLING, unanswered).outcome
    assert outcome is not None
    assert (outcome.status, outcome.reason) == (CallStatus.FAILED, EndReason.BUSY)
    assert (outcome.cause, outcome.error) == (17, "busy (SIP 486)")


def test_nobody_is_rung_up_when_the_assistant_is_not_ready() -> None:
    state, commands = run(Placed(), Unready("no tools"))
    assert state is CallState.ENDING
    assert Command.DIAL not in commands


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
    decided = taken.state is CallState.ENDING and state is not CallState.ENDING
    turned_away = (
        taken.state is CallState.OPENING
        and isinstance(event, Routed)
        and event.route.rejection is not None
    )
    assert (taken.outcome is not None) == (decided or turned_away)


def test_the_record_is_opened_before_anybody_is_asked_and_only_once() -> None:
    asked = replace(ANSWERING_ROUTE, asks=Webhook("https://example.com"))
    first = step(CallState.ROUTING, Routed(asked))
    assert (first.state, first.commands) == (
        CallState.ASKING,
        (Command.OPEN_RECORD, Command.ASK),
    )
    then = step(CallState.ASKING, Routed(ANSWERING_ROUTE))
    assert (then.state, then.commands) == (CallState.OPENING, (Command.OPEN_MEDIA,))
    assert step(CallState.ASKING, Routed(asked)).state is CallState.OPENING  # nobody asks twice


def test_a_number_for_which_nobody_was_named_has_no_assistant() -> None:
    taken = step(CallState.ASKING, Routed(Route("o", "n", None, "no one answered")))
    assert taken.commands == (Command.STOP_CONVERSATION, Command.RELEASE)
    assert taken.outcome is not None
    assert (taken.outcome.reason, taken.outcome.cause) == (EndReason.NO_ASSISTANT, NO_ANSWER)
    assert taken.outcome.error == "no one answered"


def test_a_caller_who_is_turned_away_is_rejected_however_the_message_ends() -> None:
    taken = step(CallState.ASKING, Routed(replace(ANSWERING_ROUTE, rejection="Closed.")))
    assert (taken.state, taken.commands) == (CallState.OPENING, (Command.OPEN_MEDIA,))
    assert taken.outcome is not None
    assert (taken.outcome.status, taken.outcome.reason) == (
        CallStatus.REJECTED,
        EndReason.REJECTED,
    )
    silent = step(CallState.ASKING, Routed(replace(ANSWERING_ROUTE, rejection="")))
    assert silent.state is CallState.ENDING
    assert silent.outcome is not None
    assert silent.outcome.cause == NO_ANSWER


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


def test_a_call_whose_controller_died_goes_on_without_a_route_or_an_answer() -> None:
    state, commands = run(Found(), TimedOut(), MediaOpened())
    assert state is CallState.TALKING
    assert commands == [Command.OPEN_MEDIA, Command.START_CONVERSATION]


def test_an_adopted_call_that_lacks_a_tool_ends_as_the_answered_call_that_it_is() -> None:
    outcome = step(CallState.ADOPTING, Unready("no tools")).outcome
    assert outcome is not None
    assert (outcome.status, outcome.error) == (CallStatus.ENDED_WITH_ERROR, "no tools")


def test_a_line_that_sends_no_audio_for_ever_is_not_said_to_have_hung_up() -> None:
    outcome = step(CallState.TALKING, HungUp(RTP_TIMEOUT)).outcome
    assert outcome is not None
    assert (outcome.status, outcome.reason) == (CallStatus.ENDED_WITH_ERROR, EndReason.ERROR)
    assert "no audio" in (outcome.error or "")


@pytest.mark.parametrize("event", [Failed("Asterisk was restarted"), Stopped()], ids=repr)
@pytest.mark.parametrize("state", LIVE)
def test_what_was_answered_ends_with_an_error_and_what_was_not_has_failed(
    state: CallState, event: CallEvent
) -> None:
    outcome = step(state, event).outcome
    assert outcome is not None
    answered = state in (CallState.TALKING, CallState.ADOPTING)
    status = CallStatus.ENDED_WITH_ERROR if answered else CallStatus.FAILED
    assert (outcome.status, outcome.reason) == (status, EndReason.ERROR)


@pytest.mark.parametrize(
    ("state", "status"),
    [
        (CallState.TALKING, CallStatus.ENDED_WITH_ERROR),
        (CallState.OPENING, CallStatus.FAILED),
    ],
)
def test_a_hang_up_at_the_console_is_not_the_callers(state: CallState, status: CallStatus) -> None:
    outcome = step(state, HungUp(16, by_pbx=True)).outcome
    assert outcome is not None
    assert (outcome.status, outcome.reason) == (status, EndReason.ERROR)
    assert outcome.error == ENDED_AT_CONSOLE
