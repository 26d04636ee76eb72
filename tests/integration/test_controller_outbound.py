"""Calls that we place, against a PBX whose callees answer, refuse and hang up at every step."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from sovereign_ari.control import sweep
from sovereign_ari.domain.agent import Route
from sovereign_ari.domain.control import Cancel, CommandOutcome, EndCall
from sovereign_ari.domain.ids import CallId, call_id, leg_of
from sovereign_ari.domain.outbound import PlacedCall
from sovereign_ari.domain.records import (
    CallAnswered,
    CallClosed,
    CallOpened,
    CallRinging,
    CallStatus,
    EndReason,
    TurnRecord,
)
from tests.support.controller_world import ASSISTANT, World, world
from tests.support.fake_ari import until

CALL = call_id("outbound", 1, 1)
LINE = leg_of(CALL, "line")
TRUNK = "0b6e2f4a-5c1d-4e8f-9a3b-7d2c1e0f9a8b"
THEM, OURS = "+31612345678", "+31201234567"


@pytest.fixture
async def it(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr(sweep, "SWEEP_S", 0.3)
    monkeypatch.setattr(sweep, "GRACE_S", 0.2)
    before = len(os.listdir("/proc/self/fd"))
    async with world() as it:
        yield it
    await until(lambda: len(os.listdir("/proc/self/fd")) <= before)


def place(
    it: World,
    *,
    call: CallId = CALL,
    addresses: int = 1,
    ring_s: float = 10.0,
    refusal: str | None = None,
    cancelled: bool = False,
) -> None:
    it.pbx.called += 1
    it.controller.place(
        PlacedCall(
            call_id=call,
            at=datetime.now(UTC),
            destination=THEM,
            number=OURS,
            shown=OURS,
            withheld=False,
            route=Route("o", "n", ASSISTANT),
            trunk_id=TRUNK,
            addresses=("a.example.com", "b.example.com")[:addresses],
            ring_s=ring_s,
            refusal=refusal,
            cancelled=cancelled,
        )
    )


def answers(it: World, *, ringing_s: float = 0.05) -> None:
    async def callee(channel: str) -> None:
        await it.pbx.change(channel, "Ringing")
        await asyncio.sleep(ringing_s)
        await it.pbx.change(channel, "Up")

    it.pbx.callee = callee


def rings(it: World) -> None:
    async def callee(channel: str) -> None:
        await it.pbx.change(channel, "Ringing")

    it.pbx.callee = callee


def refuses(it: World, cause: int, sip: int) -> None:
    async def callee(channel: str) -> None:
        await it.pbx.refuse_call(channel, cause, sip)

    it.pbx.callee = callee


async def ringing(it: World) -> None:
    await until(lambda: it.of(CallRinging))


async def test_whoever_answers_is_greeted_at_once_and_may_hang_up(it: World) -> None:
    answers(it)
    place(it)
    await it.greeted()
    assert it.pbx.dialled == [f"PJSIP/{THEM}@trunk-{TRUNK}-1"]
    assert it.tts.said == ["Hi."], "spoken once, before the answer"
    [opened] = it.of(CallOpened)
    assert (opened.direction, opened.caller, opened.dialled) == ("outbound", OURS, THEM)
    kinds = [type(entry) for entry in it.journal]
    assert kinds.index(CallRinging) < kinds.index(CallAnswered)
    await it.pbx.hang_up(LINE)
    await it.all_ended()
    assert it.end == (CallStatus.ENDED, EndReason.USER_HANGUP)


async def test_nobody_is_talked_to_while_it_rings(it: World) -> None:
    rings(it)
    place(it)
    await ringing(it)
    assert it.controller.control(CALL, EndCall()) is CommandOutcome.NOT_ACTIVE
    await asyncio.sleep(0.8)  # longer than two sweeps
    assert not it.of(CallAnswered)
    assert not it.of(CallClosed)
    assert not [turn for turn in it.of(TurnRecord) if turn.heard_text]
    assert it.pacer.lines == 0
    await it.pbx.refuse_call(LINE, 19, 480)
    await it.all_ended()
    assert it.end == (CallStatus.FAILED, EndReason.NO_ANSWER)


@pytest.mark.parametrize(
    ("cause", "sip", "reason"),
    [
        (17, 486, EndReason.BUSY),
        (21, 603, EndReason.DECLINED),
        (1, 404, EndReason.UNREACHABLE),
        (34, 503, EndReason.UNREACHABLE),
    ],
)
async def test_a_call_that_is_not_answered_has_failed_and_says_why(
    it: World, cause: int, sip: int, reason: EndReason
) -> None:
    refuses(it, cause, sip)
    place(it)
    await it.all_ended()
    assert it.end == (CallStatus.FAILED, reason)
    [closed] = it.of(CallClosed)
    assert closed.cause == cause
    assert f"SIP {sip}" in closed.error
    assert not it.of(CallAnswered)


async def test_a_call_that_nobody_answers_in_time_is_given_up(it: World) -> None:
    rings(it)
    place(it, ring_s=0.5)
    await it.all_ended()
    assert it.end == (CallStatus.FAILED, EndReason.NO_ANSWER)
    assert f"DELETE channels/{LINE}" in it.pbx.requests


async def test_the_second_address_of_a_trunk_takes_over_under_the_same_name(it: World) -> None:
    async def callee(channel: str) -> None:
        if len(it.pbx.dialled) == 1:
            await it.pbx.refuse_call(channel, 34, 503)
        else:
            await it.pbx.change(channel, "Up")

    it.pbx.callee = callee
    place(it, addresses=2)
    await it.greeted()
    assert [each[-2:] for each in it.pbx.dialled] == ["-1", "-2"]
    await it.pbx.hang_up(LINE)
    await it.all_ended()
    assert it.end == (CallStatus.ENDED, EndReason.USER_HANGUP)


@pytest.mark.parametrize("step", ["media", "bridge", "create", "dial"])
@pytest.mark.parametrize("fault", [500, 0])
async def test_a_pbx_that_fails_while_a_call_is_placed_leaves_nothing_behind(
    it: World, step: str, fault: int
) -> None:
    answers(it)
    it.pbx.faults[step] = fault
    place(it)
    await until(lambda: it.of(CallClosed), 15)
    it.pbx.faults.clear()
    await it.all_ended()
    assert it.end[0] is CallStatus.FAILED


async def test_a_hang_up_right_behind_the_answer_is_that_of_an_answered_call(it: World) -> None:
    async def callee(channel: str) -> None:
        await it.pbx.refuse_call(channel, 16, 200)

    it.pbx.callee = callee
    place(it)
    await it.all_ended()
    assert it.end == (CallStatus.ENDED, EndReason.USER_HANGUP)
    assert it.of(CallClosed)[0].error is None
    assert len(it.of(CallAnswered)) == 1


@pytest.mark.parametrize("step", ["variables", "watch", "continue", "join"])
async def test_a_callee_may_hang_up_at_any_step_after_the_answer(it: World, step: str) -> None:
    answers(it)
    gate = it.pbx.hold(step)
    place(it)
    await until(lambda: step in it.pbx.waiting)
    await it.pbx.hang_up(LINE)
    gate.set()
    await it.all_ended()
    assert it.end == (CallStatus.ENDED, EndReason.USER_HANGUP)
    [answered] = it.of(CallAnswered)
    [closed] = it.of(CallClosed)
    assert (answered.conversation, answered.at <= closed.at) == (False, True)


async def test_a_controller_that_stops_hangs_up_what_rings(it: World) -> None:
    rings(it)
    place(it)
    await ringing(it)
    await it.controller.drain(0.1)
    await it.all_ended()
    assert it.end == (CallStatus.FAILED, EndReason.ERROR)
    assert it.controller.room == 0


async def test_a_call_that_is_not_placed_is_closed_with_the_reason(it: World) -> None:
    place(it, refusal="nobody had room")
    await it.all_ended()
    [closed] = it.of(CallClosed)
    assert (closed.status, closed.end_reason, closed.error) == (
        CallStatus.FAILED,
        EndReason.UNREACHABLE,
        "nobody had room",
    )
    assert not it.pbx.dialled


async def test_a_pbx_that_restarts_while_it_rings_is_why_the_call_failed(it: World) -> None:
    rings(it)
    place(it)
    await ringing(it)
    it.pbx.forget_everything()
    it.pbx.began = "2026-01-01T01:00:00"
    await it.pbx.drop_sockets()
    await it.all_ended()
    assert it.end == (CallStatus.FAILED, EndReason.ERROR)
    assert it.of(CallClosed)[0].error == "Asterisk was restarted"


CANCELLED = (CallStatus.ENDED, EndReason.ASSISTANT_HANGUP)


async def test_a_call_that_rings_can_be_cancelled(it: World) -> None:
    rings(it)
    place(it)
    await ringing(it)
    assert it.controller.control(CALL, Cancel()) is CommandOutcome.DONE
    await until(lambda: f"DELETE channels/{LINE}" in it.pbx.requests)
    await it.all_ended()
    assert it.end == CANCELLED
    [closed] = it.of(CallClosed)
    assert (closed.error, it.of(CallAnswered)) == (None, [])
    assert it.controller.control(CALL, Cancel()) is CommandOutcome.NOT_ACTIVE


@pytest.mark.parametrize("step", ["media", "create", "dial", "variables", "continue"])
async def test_a_call_can_be_cancelled_at_every_step_before_somebody_hears_us(
    it: World, step: str
) -> None:
    answers(it)
    gate = it.pbx.hold(step)
    place(it)
    await until(lambda: step in it.pbx.waiting)
    assert it.controller.control(CALL, Cancel()) is CommandOutcome.DONE
    gate.set()
    await it.all_ended()
    assert it.end == CANCELLED
    assert not it.of(TurnRecord) or not it.of(TurnRecord)[0].heard_text


async def test_a_call_that_was_answered_is_not_cancelled(it: World) -> None:
    answers(it)
    place(it)
    await it.greeted()
    assert it.controller.control(CALL, Cancel()) is CommandOutcome.NOT_ACTIVE
    await it.pbx.hang_up(LINE)
    await it.all_ended()
    assert it.end == (CallStatus.ENDED, EndReason.USER_HANGUP)


async def test_a_call_that_was_cancelled_before_it_was_taken_is_closed_so(it: World) -> None:
    place(it, cancelled=True)
    await it.all_ended()
    assert it.end == CANCELLED
    assert not it.pbx.dialled


async def test_many_calls_are_placed_at_once(it: World) -> None:
    answers(it)
    calls = [call_id("outbound", 2, number) for number in range(20)]
    for call in calls:
        place(it, call=call)
    await until(lambda: len(it.of(CallAnswered)) == len(calls), 15)
    for call in calls:
        await it.pbx.hang_up(leg_of(call, "line"))
    await it.all_ended()
