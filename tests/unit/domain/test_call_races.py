"""Whatever is told of a call, and in whatever order: it ends once, and all of it is given back."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from sovereign_ari.domain.call import (
    CallEvent,
    CallState,
    Command,
    HungUp,
    Outcome,
    Released,
    Stopped,
    step,
)
from sovereign_ari.errors import IllegalTransition
from tests.unit.domain.test_call import EVENTS

ENDINGS = st.sampled_from([HungUp(16), HungUp(31), Stopped()])
NEWS = st.lists(st.sampled_from([one for one in EVENTS if one != Released()]), max_size=40)


def told(events: Sequence[CallEvent]) -> tuple[CallState, list[Command], list[Outcome]]:
    """Let a call hear of all this as its runner would; what cannot be is passed over."""
    state, commands, outcomes = CallState.NEW, list[Command](), list[Outcome]()
    for event in events:
        try:
            taken = step(state, event)
        except IllegalTransition:
            continue
        state = taken.state
        commands += taken.commands
        if taken.outcome is not None:
            outcomes.append(taken.outcome)
    return state, commands, outcomes


@given(before=NEWS, ending=ENDINGS, after=NEWS)
def test_a_call_that_is_hung_up_at_any_moment_is_released_once_and_closed_once(
    before: list[CallEvent], ending: CallEvent, after: list[CallEvent]
) -> None:
    state, commands, _ = told([*before, ending, *after, Released(), *after])
    assert state is CallState.ENDED
    last = [Command.STOP_CONVERSATION, Command.RELEASE, Command.CLOSE_RECORD]
    assert commands[-3:] == last
    assert [commands.count(one) for one in last] == [1, 1, 1]


@given(before=NEWS, ending=ENDINGS, after=NEWS)
def test_nothing_is_begun_for_a_call_that_ends(
    before: list[CallEvent], ending: CallEvent, after: list[CallEvent]
) -> None:
    _, commands, outcomes = told([*before, ending])
    state, all_commands, all_outcomes = told([*before, ending, *after])
    assert state is CallState.ENDING
    assert all_commands == commands
    assert all_outcomes == outcomes
    assert outcomes


@given(events=NEWS)
def test_a_call_opens_its_record_and_its_media_once_and_answers_once(
    events: list[CallEvent],
) -> None:
    _, commands, _ = told(events)
    once = (Command.OPEN_RECORD, Command.OPEN_MEDIA, Command.ANSWER, Command.START_CONVERSATION)
    assert all(commands.count(one) <= 1 for one in once)
