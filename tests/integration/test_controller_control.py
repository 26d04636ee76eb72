"""Commands to the live calls of a controller, with a fake PBX and a real PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from db.commands import open_box, send
from db.tenancy import acting_for
from sovereign_ari.control.commands import serve_commands
from sovereign_ari.domain.control import (
    CommandOutcome,
    ControlCommand,
    EndCall,
    InjectContext,
    Say,
)
from sovereign_ari.domain.ids import CallId
from sovereign_ari.domain.records import CallNote, CallStatus, EndReason, TurnRecord
from sovereign_ari.speech.base import Message
from tests.support.controller_world import World, world
from tests.support.fake_ari import until
from tests.support.rows import a_call_id

TENANT = "00000000-0000-4000-8000-000000000000"
HOLD = Say("Please hold.", end_after=False)


@pytest.fixture
async def it() -> AsyncIterator[World]:
    async with world() as it:
        yield it


async def a_call(it: World, channel: str = "c") -> CallId:
    """Ring, be greeted, and give the id."""
    known = set(it.controller.call_ids())
    await it.pbx.call(channel)
    await until(lambda: set(it.controller.call_ids()) - known)
    (new,) = set(it.controller.call_ids()) - known
    await until(lambda: any(t.call_id == new and t.heard_text == "Hi." for t in it.of(TurnRecord)))
    return new


def heard(it: World) -> list[str]:
    latest = {(turn.call_id, turn.number): turn.heard_text for turn in it.of(TurnRecord)}
    return list(latest.values())


async def test_a_line_is_said_and_noted(it: World) -> None:
    call = await a_call(it)
    assert it.controller.control(call, HOLD) is CommandOutcome.DONE
    await until(lambda: "Please hold." in heard(it))
    assert [note.detail for note in it.of(CallNote)] == [{"type": "say"}]
    await it.pbx.hang_up("c")
    await it.all_ended()


@pytest.mark.parametrize("command", [Say("Bye now.", end_after=True), EndCall("Bye now.")])
async def test_a_last_word_is_heard_and_the_assistant_hangs_up(
    it: World, command: ControlCommand
) -> None:
    call = await a_call(it)
    assert it.controller.control(call, command) is CommandOutcome.DONE
    assert it.controller.control(call, HOLD) is CommandOutcome.NOT_ACTIVE
    await it.all_ended()
    assert it.end == (CallStatus.ENDED, EndReason.ASSISTANT_HANGUP)
    assert heard(it)[-1] == "Bye now."


async def test_context_reaches_the_model(it: World) -> None:
    call = await a_call(it)
    told = InjectContext("The caller is a VIP.", trigger_response=True)
    assert it.controller.control(call, told) is CommandOutcome.DONE
    await until(lambda: "Yes." in heard(it))
    assert it.llm.asked[-1][-1] == Message("system", "The caller is a VIP.")
    await it.pbx.hang_up("c")
    await it.all_ended()


async def test_a_call_that_rings_or_ends_or_is_unknown_takes_nothing(it: World) -> None:
    gate = it.pbx.hold("continue")
    await it.pbx.call("c")
    await until(lambda: "continue" in it.pbx.waiting)
    (call,) = it.controller.call_ids()
    assert it.controller.control(call, HOLD) is CommandOutcome.NOT_ACTIVE
    gate.set()
    await it.greeted()
    ending = it.pbx.hold("hang-up-media")
    await it.pbx.hang_up("c")
    await until(lambda: "hang-up-media" in it.pbx.waiting)
    assert it.controller.control(call, HOLD) is CommandOutcome.NOT_ACTIVE
    ending.set()
    await it.all_ended()
    assert it.controller.control(call, HOLD) is CommandOutcome.NOT_ACTIVE
    assert it.controller.control(a_call_id(), HOLD) is CommandOutcome.NOT_ACTIVE


async def test_a_bug_in_a_command_ends_its_call_and_no_other(
    it: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    call, other = await a_call(it), await a_call(it, "d")

    def broken(_command: ControlCommand) -> bool:
        raise RuntimeError("a bug")

    with monkeypatch.context() as patch:
        patch.setattr(it.controller.calls[0]._dialogue, "control", broken)
        assert it.controller.control(call, HOLD) is CommandOutcome.NOT_ACTIVE
    await until(lambda: it.controller.call_ids() == [other])
    assert it.controller.control(other, EndCall()) is CommandOutcome.DONE
    await it.all_ended()


async def test_commands_find_the_call_through_the_database_while_others_run(
    it: World, pool: asyncpg.Pool
) -> None:
    call, other = await a_call(it), await a_call(it, "d")
    serving = asyncio.create_task(
        serve_commands(lambda: open_box(pool, it.pbx.app), it.controller.control)
    )
    try:
        for target, command in ((call, HOLD), (call, EndCall("Bye now.")), (other, HOLD)):
            async with acting_for(pool, TENANT) as connection:
                await send(connection, TENANT, target, it.pbx.app, command)
        await until(lambda: it.controller.call_ids() == [other], 10)
        await until(lambda: "Please hold." in heard(it))
        outcomes = [
            row["outcome"]
            for row in await pool.fetch("SELECT outcome FROM call_commands ORDER BY id")
        ]
        assert outcomes == ["done"] * 3
    finally:
        serving.cancel()
        await asyncio.wait((serving,))
    await it.pbx.hang_up("d")
    await it.all_ended()
