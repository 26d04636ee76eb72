"""One call's runner: it reaches its end whatever its commands do and however much is posted."""

from __future__ import annotations

import asyncio

import pytest

from sovereign_ari.control.runner import INBOX_LIMIT, CallRunner
from sovereign_ari.domain.agent import Assistant, Route
from sovereign_ari.domain.call import (
    CallEvent,
    CallState,
    Command,
    Entered,
    HungUp,
    MediaOpened,
    Released,
    Routed,
    Stopped,
)
from sovereign_ari.domain.records import EndReason
from sovereign_ari.errors import AsteriskRefused, CallOverloaded
from tests.support.virtual_time import run_in_virtual_time

ROUTE = Route("o", None, Assistant("a", "o", "Ann", None, {}, {}, {}))


class Scripted:
    """Does commands by a script: a fault, or for ever."""

    def __init__(self) -> None:
        self.runner = CallRunner(self.perform)
        self.done: list[Command] = []
        self.faults: dict[Command, Exception] = {}
        self.stuck: set[Command] = set()
        self.flood = 0

    async def perform(self, command: Command, event: CallEvent) -> None:
        self.done.append(command)
        try:
            if command in self.stuck:
                await asyncio.Event().wait()
            if command in self.faults:
                raise self.faults[command]
            if command is Command.FIND_ROUTE:
                self.runner.post(Routed(ROUTE))
            if command is Command.OPEN_MEDIA:
                self.runner.post(MediaOpened())
        finally:
            if command is Command.RELEASE:
                for _ in range(self.flood):
                    self.runner.post(HungUp(16))
                self.runner.post(Released())


def run(it: Scripted, *events: CallEvent) -> None:
    async def scene() -> None:
        async with asyncio.timeout(60):
            running = asyncio.create_task(it.runner.run())
            it.runner.post(Entered())
            for event in events:
                await asyncio.sleep(0.1)
                it.runner.post(event)
            await running

    run_in_virtual_time(scene())
    assert it.runner.state is CallState.ENDED
    assert it.done[-2:] == [Command.RELEASE, Command.CLOSE_RECORD]


def test_a_full_inbox_has_room_for_the_end() -> None:
    it = Scripted()
    it.flood = INBOX_LIMIT
    run(it, HungUp(16))


def test_beyond_the_limit_the_call_is_overloaded() -> None:
    it = Scripted()
    for _ in range(INBOX_LIMIT):
        it.runner.post(Stopped())
    with pytest.raises(CallOverloaded):
        it.runner.post(Stopped())


@pytest.mark.parametrize("stuck", [c for c in Command if c is not Command.CLOSE_RECORD])
def test_a_command_that_never_returns_does_not_hold_the_call(stuck: Command) -> None:
    it = Scripted()
    it.stuck.add(stuck)
    run(it, HungUp(16))


@pytest.mark.parametrize("command", [Command.FIND_ROUTE, Command.OPEN_MEDIA, Command.ANSWER])
@pytest.mark.parametrize("late", [False, True])
def test_a_refusal_that_a_hang_up_explains_is_a_hang_up(command: Command, late: bool) -> None:
    it = Scripted()
    it.faults[command] = AsteriskRefused(404, "gone")
    run(it, *([HungUp(16)] if late else []))
    assert it.runner.outcome is not None
    assert it.runner.outcome.reason is (EndReason.USER_HANGUP if late else EndReason.ERROR)
