"""The controller against a PBX that hangs up, refuses, forgets and restarts at every step."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from sovereign_ari.control import live_call as live_call_module
from sovereign_ari.control import sweep
from sovereign_ari.domain.ids import call_of
from sovereign_ari.domain.records import (
    CallAnswered,
    CallClosed,
    CallStatus,
    EndReason,
    TurnRecord,
)
from sovereign_ari.errors import DatabaseUnavailable
from sovereign_ari.speech.base import Message, Token, Transcript
from tests.support.controller_world import World, world
from tests.support.fake_ari import until
from tests.support.scripted_speech import hang_up_call

SETTING_UP = ["ring", "watch", "media", "bridge", "variables", "continue", "join"]


@pytest.fixture
async def it(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr(sweep, "SWEEP_S", 0.5)
    monkeypatch.setattr(sweep, "GRACE_S", 0.3)
    before = len(os.listdir("/proc/self/fd"))
    async with world() as it:
        yield it
    await until(lambda: len(os.listdir("/proc/self/fd")) <= before)


# A call that goes well.


async def test_a_call_is_greeted_answered_and_ended_by_the_agent(it: World) -> None:
    it.answers = lambda _: [Token("So long."), hang_up_call()]
    await it.pbx.call("c")
    await it.greeted()
    it.stt.say("goodbye")
    await it.all_ended()
    assert it.end == (CallStatus.ENDED, EndReason.ASSISTANT_HANGUP)
    assert it.of(TurnRecord)[-1].heard_text == "So long."


async def test_a_call_costs_nine_requests_from_its_first_ring_to_its_end(it: World) -> None:
    await it.pbx.call("c")
    await it.greeted()
    await it.pbx.hang_up("c")
    await it.all_ended()
    of_the_call = [what for what in it.pbx.requests if what.startswith(("POST ", "DELETE "))]
    assert len(of_the_call) == len(SETTING_UP) + 2, of_the_call


# The caller hangs up.


@pytest.mark.parametrize("step", SETTING_UP)
async def test_a_hang_up_while_a_request_is_under_way_is_a_hang_up(it: World, step: str) -> None:
    gate = it.pbx.hold(step)
    await it.pbx.call("c")
    await until(lambda: step in it.pbx.waiting)
    await it.pbx.hang_up("c")
    gate.set()
    await it.all_ended()
    assert it.end == (CallStatus.ENDED, EndReason.USER_HANGUP)


@pytest.mark.parametrize("step", SETTING_UP)
async def test_a_hang_up_that_is_told_after_the_refusal_is_a_hang_up(it: World, step: str) -> None:
    """Between answers and events there is no order: the 404 may come first."""
    gate = it.pbx.hold(step)
    await it.pbx.call("c")
    await until(lambda: step in it.pbx.waiting)
    del it.pbx.channels["c"]
    gate.set()
    await asyncio.sleep(0.05)
    it.pbx.channels["c"] = "Up"
    await it.pbx.hang_up("c")
    await it.all_ended()
    assert it.end == (CallStatus.ENDED, EndReason.USER_HANGUP)


async def test_a_hang_up_while_the_number_is_looked_up_is_a_hang_up(it: World) -> None:
    it.route_gate = asyncio.Event()
    await it.pbx.call("c")
    await until(lambda: it.routing)
    await it.pbx.hang_up("c")
    await asyncio.sleep(0.05)
    it.route_gate.set()
    await it.all_ended()
    assert it.end == (CallStatus.ENDED, EndReason.USER_HANGUP)


@pytest.mark.parametrize("moment", ["greeting", "thinking", "speaking", "farewell"])
async def test_a_hang_up_in_the_conversation_leaves_nothing(it: World, moment: str) -> None:
    it.answers = lambda _: [Token("This takes a while to say, you know."), hang_up_call()]
    if moment == "thinking":
        it.llm._first_token_s = 30.0
    elif moment == "speaking":
        it.answers = lambda _: "This takes a while to say, you know."
    await it.pbx.call("c")
    if moment == "greeting":
        await it.talking()
    else:
        await it.greeted()
        it.stt.say("go on")
        await until(lambda: it.llm.open_replies if moment == "thinking" else it.tts.said[1:])
    await it.pbx.hang_up("c")
    await it.all_ended()
    assert it.end == (CallStatus.ENDED, EndReason.USER_HANGUP)


# Asterisk refuses, or drops the connection after it acted.


@pytest.mark.parametrize("fault", [404, 409, 500, 0])
@pytest.mark.parametrize("step", SETTING_UP)
async def test_a_request_that_fails_ends_the_call_and_leaves_nothing(
    it: World, step: str, fault: int
) -> None:
    it.pbx.faults[step] = fault
    await it.pbx.call("c")
    await it.all_ended()
    answered = step == "join"
    status = CallStatus.ENDED_WITH_ERROR if answered else CallStatus.FAILED
    assert it.end == (status, EndReason.ERROR)


@pytest.mark.parametrize("step", ["media", "bridge"])
async def test_a_leg_that_is_made_after_another_request_failed_is_removed(
    it: World, step: str
) -> None:
    gate = it.pbx.hold(step)
    it.pbx.faults["ring"] = 500
    await it.pbx.call("c")
    await until(lambda: step in it.pbx.waiting)
    await asyncio.sleep(0.2)
    gate.set()
    await it.all_ended()
    assert not it.pbx.channels
    assert not it.pbx.bridges


async def test_a_media_leg_that_asterisk_makes_after_we_gave_up_is_removed(it: World) -> None:
    gate = it.pbx.hold("media")
    await it.pbx.call("c")
    await until(lambda: "media" in it.pbx.waiting)
    await until(lambda: it.of(CallClosed))
    await until(lambda: not it.controller.calls)
    gate.set()
    await until(lambda: "POST channels/externalMedia" in it.pbx.requests)
    await it.all_ended()


async def test_a_media_leg_that_never_enters_ends_the_call(it: World) -> None:
    it.pbx.mute.add("media")
    await it.pbx.call("c")
    await it.all_ended()
    assert it.end == (CallStatus.FAILED, EndReason.ERROR)
    assert it.of(CallClosed)[0].error != "open-media: "


async def test_a_database_that_is_away_costs_the_call_and_nothing_else(it: World) -> None:
    it.route_fault = DatabaseUnavailable("away")
    await it.pbx.call("c")
    await it.all_ended()
    it.route_fault = None
    await it.pbx.call("d")
    await it.greeted()
    await it.pbx.hang_up("d")
    await it.all_ended()


@pytest.mark.parametrize("step", ["hang-up", "hang-up-media", "destroy"])
@pytest.mark.parametrize("fault", [500, 0])
async def test_a_clean_up_that_fails_once_is_made_up_for(it: World, step: str, fault: int) -> None:
    it.answers = lambda _: [Token("So long."), hang_up_call()]
    await it.pbx.call("c")
    await it.greeted()
    it.pbx.faults[step] = fault
    it.stt.say("goodbye")
    await until(lambda: it.of(CallClosed))
    del it.pbx.faults[step]
    await it.all_ended()


# The event socket.


async def test_calls_go_on_while_the_event_socket_is_lost(it: World) -> None:
    await it.pbx.call("c")
    await it.greeted()
    await it.pbx.drop_sockets()
    await until(lambda: it.pbx.connects == 2 and it.events.is_open)
    it.stt.say("still there")
    await until(lambda: "Yes." in it.tts.said)
    await it.pbx.hang_up("c")
    await it.all_ended()
    assert it.end == (CallStatus.ENDED, EndReason.USER_HANGUP)


async def test_a_hang_up_that_was_missed_is_found_on_reconnect(it: World) -> None:
    await it.pbx.call("c")
    await it.greeted()
    sockets, it.pbx.sockets = it.pbx.sockets, []
    await it.pbx.hang_up("c")
    it.pbx.sockets = sockets
    await it.pbx.drop_sockets()
    await it.all_ended()


async def test_a_restart_of_asterisk_ends_every_call(it: World) -> None:
    for name in "abc":
        await it.pbx.call(name)
    await until(lambda: len(it.of(CallAnswered)) == 3)
    it.pbx.forget_everything()
    it.pbx.began = "2026-01-01T01:00:00"
    await it.pbx.drop_sockets()
    await it.all_ended()
    assert {closed.error for closed in it.of(CallClosed)} == {"Asterisk was restarted"}
    await it.pbx.call("d")
    await it.greeted()
    await it.pbx.hang_up("d")
    await it.all_ended()


async def test_an_answer_that_was_missed_does_not_hold_the_call_for_ever(
    it: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_call_module, "ANSWERED_WITHIN_S", 0.5, raising=False)
    it.pbx.mute.add("answered")
    await it.pbx.call("c")
    await it.all_ended()
    assert it.end == (CallStatus.FAILED, EndReason.ERROR)


async def test_a_media_leg_lost_while_we_were_deaf_ends_the_call(it: World) -> None:
    await it.pbx.call("c")
    await it.greeted()
    media = next(c for c in it.pbx.channels if c != "c")
    sockets, it.pbx.sockets = it.pbx.sockets, []
    await it.pbx.hang_up(media)
    it.pbx.sockets = sockets
    await it.pbx.drop_sockets()
    await it.all_ended()


async def test_a_call_that_comes_while_we_reconnect_is_taken(it: World) -> None:
    gate = it.pbx.hold("GET applications/sovereign")
    await it.pbx.drop_sockets()
    await until(lambda: "GET applications/sovereign" in it.pbx.waiting)
    it.pbx.channels["c"] = "Ring"
    it.pbx.owned.add("c")
    gate.set()
    await asyncio.sleep(0.1)  # its event is still on the way
    await it.pbx.call("c")
    await it.greeted()
    await it.pbx.hang_up("c")
    await it.all_ended()


async def test_who_is_replaced_does_not_fight_for_the_application(it: World) -> None:
    waited_s = 0.0
    for connects in range(2, 6):
        await until(lambda: it.pbx.sockets)
        await it.pbx.push({"type": "ApplicationReplaced", "application": "sovereign"})
        began_s = asyncio.get_running_loop().time()
        await until(lambda connects=connects: it.pbx.connects == connects)
        waited_s = asyncio.get_running_loop().time() - began_s
    assert waited_s > 1.0


# What others left, and what others own.


async def test_left_overs_of_a_former_life_are_removed(it: World) -> None:
    old = "call-inbound-01arz3ndektsv4rrffq69g5fav"
    assert call_of(f"{old}-media")
    it.pbx.leave_over(f"{old}-media", "orphan", bridge=f"{old}-bridge")
    await it.pbx.drop_sockets()
    await until(lambda: not (it.pbx.channels or it.pbx.bridges), 15)
    assert it.pbx.sent_away == ["orphan"], "a caller hears the PBX's goodbye"


async def test_the_calls_of_another_controller_are_left_alone(it: World) -> None:
    other = "call-inbound-01arz3ndektsv4rrffq69g5faw"
    assert call_of(f"{other}-media")
    it.pbx.channels |= {"theirs": "Up", f"{other}-media": "Up"}
    it.pbx.bridges[f"{other}-bridge"] = {"theirs", f"{other}-media"}
    it.pbx.bridges[f"{other[:-1]}x-bridge"] = set()  # just being made
    it.pbx.names = dict.fromkeys(it.pbx.bridges, "sovereign-2")
    await it.pbx.drop_sockets()
    await until(lambda: it.pbx.connects == 2 and it.events.is_open)
    await it.pbx.call("c")
    await it.greeted()
    await it.pbx.hang_up("c")
    await until(lambda: not it.controller.calls)
    assert {"theirs", f"{other}-media"} <= set(it.pbx.channels)
    assert len(it.pbx.bridges) == 2
    it.pbx.forget_everything()


async def test_a_left_over_that_cannot_be_removed_does_not_keep_us_deaf(it: World) -> None:
    it.pbx.leave_over("undead")
    it.pbx.faults["hang-up"] = 500
    await it.pbx.drop_sockets()
    await until(lambda: it.pbx.connects == 2)
    await it.pbx.call("c")
    await it.greeted()
    assert it.pbx.connects == 2
    it.pbx.faults.clear()
    it.pbx.forget_everything()
    await it.pbx.drop_sockets()
    await it.all_ended()


@pytest.mark.parametrize("args", [(), ("inbound",), ("what", "is", "this")])
async def test_a_channel_that_is_no_call_of_ours_is_hung_up(
    it: World, args: tuple[str, ...]
) -> None:
    it.pbx.channels["x"] = "Up"
    event = {"type": "StasisStart", "args": args, "channel": it.pbx.channel("x")}
    await it.pbx.push(event)
    await until(lambda: not it.pbx.channels)
    assert not it.controller.calls
    assert it.pbx.sent_away == []


@pytest.mark.parametrize("role", ["answered", "timeout"])
async def test_a_caller_of_a_former_life_is_left_to_the_goodbye_of_the_pbx(
    it: World, role: str
) -> None:
    it.pbx.leave_over("x")
    await it.pbx.enter("x", role)
    await until(lambda: not it.pbx.channels)
    assert it.pbx.sent_away == ["x"]
    assert "DELETE channels/x" not in it.pbx.requests


async def test_a_caller_of_a_former_life_who_cannot_be_sent_away_is_hung_up(it: World) -> None:
    it.pbx.leave_over("x")
    it.pbx.faults["continue"] = 500
    await it.pbx.enter("x", "timeout")
    await until(lambda: not it.pbx.channels)
    assert "DELETE channels/x" in it.pbx.requests


async def test_garbage_from_asterisk_on_reconnect_does_not_end_the_controller(it: World) -> None:
    await it.pbx.call("c")
    await it.greeted()
    it.pbx.garbage = True
    await it.pbx.drop_sockets()
    await asyncio.sleep(0.3)
    it.pbx.garbage = False
    await until(lambda: it.events.is_open and it.pbx.sockets)
    await it.pbx.hang_up("c")
    await it.all_ended()


# Our own faults.


async def test_a_bug_in_a_provider_ends_its_call_and_no_other(it: World) -> None:
    def answer(messages: Sequence[Message]) -> Any:
        if messages[-1].content == "break":
            raise KeyError("a bug")
        return "Yes."

    it.answers = answer
    await it.pbx.call("c")
    await it.greeted()
    await it.pbx.call("d")
    await until(lambda: len(it.of(CallAnswered)) == 2)
    it.stt.streams[0].put_nowait(Transcript("break", final=True))
    await until(lambda: len(it.controller.calls) == 1, 10)
    await it.pbx.hang_up("d")
    await it.all_ended()
    assert it.of(CallClosed)[0].status is CallStatus.ENDED_WITH_ERROR


async def test_a_bug_in_the_recogniser_ends_its_call(it: World) -> None:
    await it.pbx.call("c")
    await it.greeted()
    it.stt.streams[0].put_nowait(KeyError("a bug"))
    await it.all_ended()
    assert it.end == (CallStatus.ENDED_WITH_ERROR, EndReason.ERROR)


async def test_a_fault_while_time_passes_ends_that_call_only(it: World) -> None:
    await it.pbx.call("c")
    await it.greeted()
    await it.pbx.call("d")
    await until(lambda: len(it.of(CallAnswered)) == 2)

    def broken(_now_s: float) -> None:
        raise RuntimeError("a bug")

    it.controller.calls[0]._leg.poll = broken  # type: ignore[assignment,method-assign]
    await until(lambda: len(it.controller.calls) == 1, 10)
    await it.pbx.hang_up("d")
    await it.all_ended()


# Draining.


async def test_draining_refuses_new_calls_and_waits_for_the_live_one(it: World) -> None:
    await it.pbx.call("c")
    await it.greeted()
    draining = asyncio.create_task(it.controller.drain(10))
    await until(lambda: it.controller.draining)
    await it.pbx.call("d")
    it.refused = 1
    await until(lambda: "d" not in it.pbx.channels)
    assert not draining.done()
    await it.pbx.hang_up("c")
    await draining
    await it.all_ended()


async def test_a_call_that_outlasts_the_drain_is_ended_and_recorded(it: World) -> None:
    await it.pbx.call("c")
    await it.greeted()
    await it.controller.drain(0.1)
    await it.all_ended()
    assert it.end == (CallStatus.ENDED_WITH_ERROR, EndReason.ERROR)
