"""Calling somebody over a trunk: answers, refusals, fail-over, and nothing left behind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import pytest

from sovereign_ari.domain.ids import leg_of
from sovereign_ari.domain.records import EndReason
from sovereign_ari.telephony.dialling import (
    SIGN_WITHIN_S,
    CallerId,
    Dialled,
    Dialler,
    DialResult,
    Progress,
)
from tests.support.fake_calling import CALL, FakeCalling
from tests.support.virtual_time import run_in_virtual_time

FIRST, SECOND = "PJSIP/+31600000001@trunk-a-1", "PJSIP/+31600000001@trunk-a-2"
LINE = leg_of(CALL, "line")

Plan = Callable[[FakeCalling, str], Coroutine[Any, Any, None]]


async def answers(fake: FakeCalling, channel: str) -> None:
    fake.ring(channel)
    await asyncio.sleep(1)
    fake.progress(channel)
    await asyncio.sleep(1)
    fake.answer(channel)


async def rings(fake: FakeCalling, channel: str) -> None:
    fake.ring(channel)


async def is_dead(fake: FakeCalling, channel: str) -> None:
    """Say nothing at all."""


def ends(cause: int, sip: int | None = None, *, after_ringing: bool = False) -> Plan:
    async def plan(fake: FakeCalling, channel: str) -> None:
        if after_ringing:
            fake.ring(channel)
        await asyncio.sleep(0.1)
        fake.end(channel, cause, sip)

    return plan


class Scene:
    """One dialling, in virtual time."""

    def __init__(self, *plans: Plan) -> None:
        self.fake = FakeCalling()
        self.progress: list[Progress] = []
        self.took_s = 0.0
        self.endpoints = (FIRST, SECOND)[: len(plans)]
        for endpoint, plan in zip(self.endpoints, plans, strict=True):
            self.fake.plans[endpoint] = partial(plan, self.fake)

    async def dial(self, **more: Any) -> DialResult:
        loop = asyncio.get_running_loop()
        dialler = Dialler(
            self.fake,  # type: ignore[arg-type]  # all of it that is used
            self.fake.legs,
            self.fake.note,
            loop.time,
        )
        begun_s = loop.time()
        dialled = Dialled("line", self.endpoints, CallerId("+31201234567"), **more)
        try:
            return await dialler.dial(dialled, self.progress.append)
        finally:
            self.took_s = loop.time() - begun_s

    def run(self, **more: Any) -> DialResult:
        return run_in_virtual_time(self.dial(**more))


def test_an_answer_gives_the_leg_to_whoever_dialled() -> None:
    scene = Scene(answers)
    result = scene.run()
    assert result.answered
    assert result.leg is not None
    assert result.leg.channel == LINE
    assert scene.progress == [Progress.RINGING, Progress.EARLY_MEDIA]
    assert scene.fake.alive == {LINE}
    assert scene.fake.notes[-1][1]["answered"] is True
    assert scene.fake.created[0].variables["CONNECTEDLINE(num,i)"] == "+31201234567"


@pytest.mark.parametrize(("cause", "sip"), [(16, None), (16, 200), (0, 200)])
def test_a_callee_who_hangs_up_before_his_answer_is_told_has_answered(
    cause: int, sip: int | None
) -> None:
    result = Scene(ends(cause, sip, after_ringing=True)).run()
    assert result.answered
    assert result.leg is not None
    assert result.leg.gone is not None


def test_a_channel_is_dialled_only_when_it_is_in_our_application() -> None:
    scene = Scene(answers)
    scene.fake.enters_after_s = 0.05
    assert scene.run().answered
    assert scene.fake.hung_up == []


def test_a_channel_that_never_enters_is_no_endless_wait() -> None:
    scene = Scene(answers)
    scene.fake.enters_after_s = 3600.0
    result = scene.run()
    assert not result.answered
    assert result.end_reason is EndReason.UNREACHABLE
    assert scene.took_s < 2


@pytest.mark.parametrize(
    ("cause", "sip", "rang", "reason"),
    [
        (17, 486, False, EndReason.BUSY),
        (17, 600, True, EndReason.BUSY),
        (21, 603, True, EndReason.DECLINED),
        (21, 403, False, EndReason.DECLINED),
        (1, 404, False, EndReason.UNREACHABLE),
        (19, 480, True, EndReason.NO_ANSWER),
        (19, 480, False, EndReason.UNREACHABLE),
        (18, 408, True, EndReason.NO_ANSWER),
        (34, 503, False, EndReason.UNREACHABLE),
        (23, 302, False, EndReason.UNREACHABLE),
        (17, None, False, EndReason.BUSY),
        (42, None, False, EndReason.UNREACHABLE),
    ],
)
def test_a_refusal_says_why(cause: int, sip: int | None, rang: bool, reason: EndReason) -> None:
    scene = Scene(ends(cause, sip, after_ringing=rang))
    result = scene.run()
    assert (result.answered, result.end_reason) == (False, reason)
    assert (result.sip, result.q850) == (sip, cause)
    assert str(sip or cause) in result.text
    assert not scene.fake.alive


@pytest.mark.parametrize(
    "first", [ends(34, 503), ends(18, 408), ends(19, 480), ends(38, 500), ends(3), is_dead]
)
def test_another_address_is_tried_when_the_first_may_be_at_fault(first: Plan) -> None:
    scene = Scene(first, answers)
    result = scene.run()
    assert result.leg is not None
    assert result.leg.channel == LINE
    assert scene.fake.alive == {LINE}
    assert [made.endpoint for made in scene.fake.created] == [FIRST, SECOND]
    assert [note["answered"] for _, note in scene.fake.notes] == [False, True]
    assert scene.took_s < SIGN_WITHIN_S + 3


@pytest.mark.parametrize(
    "first",
    [ends(17, 486), ends(21, 603), ends(1, 404), ends(19, 480, after_ringing=True), ends(1, 604)],
)
def test_no_other_address_is_tried_when_a_person_or_the_number_is_the_reason(first: Plan) -> None:
    scene = Scene(first, answers)
    assert not scene.run().answered
    assert len(scene.fake.created) == 1


def test_an_endpoint_that_asterisk_does_not_have_is_passed_over() -> None:
    scene = Scene(answers, answers)
    scene.fake.refused[FIRST] = 500
    assert scene.run().answered


def test_without_any_endpoint_there_is_no_trunk() -> None:
    result = Scene().run()
    assert (result.answered, result.end_reason) == (False, EndReason.UNREACHABLE)
    assert "no trunk" in result.text


def test_somebody_who_lets_it_ring_is_hung_up_in_time() -> None:
    scene = Scene(rings, answers)
    result = scene.run(timeout_s=20.0)
    assert (result.answered, result.end_reason) == (False, EndReason.NO_ANSWER)
    assert scene.took_s == pytest.approx(20.0)
    assert scene.fake.hung_up == [(LINE, 19)]
    assert scene.fake.dialled[LINE] > 20, "Asterisk's own limit is the longer one"
    assert len(scene.fake.created) == 1, "a telephone that rang is not called again"


def test_a_trunk_that_says_nothing_is_unreachable() -> None:
    scene = Scene(is_dead)
    assert scene.run(timeout_s=20.0).end_reason is EndReason.UNREACHABLE
    assert not scene.fake.alive


def test_whoever_stops_waiting_hangs_up() -> None:
    async def run(scene: Scene) -> None:
        dialling = asyncio.create_task(scene.dial())
        await asyncio.sleep(2)
        dialling.cancel()
        await asyncio.wait((dialling,))
        assert dialling.cancelled()

    scene = Scene(rings, answers)
    run_in_virtual_time(run(scene))
    assert scene.fake.hung_up == [(LINE, 16)]
    assert not scene.fake.alive
    assert not scene.fake.legs.entered


def test_a_withheld_number_is_told_to_the_trunk_and_shown_to_nobody() -> None:
    told = CallerId("+31201234567", 'An "evil" <name>', withheld=True).variables()
    assert told["CONNECTEDLINE(pres,i)"].startswith("prohib")
    assert told["CONNECTEDLINE(num,i)"] == "+31201234567"
    assert told["CONNECTEDLINE(name,i)"] == "An evil name"


TRUNK = "6f0b4f4e-6a3f-4d53-9f3c-0a6f3c1f7a10"
JUST_MADE = (f"PJSIP/+31600000001@trunk-{TRUNK}-1", f"PJSIP/trunk-{TRUNK}-1/sip:anna@a.example")


@pytest.mark.parametrize("endpoint", JUST_MADE)
def test_a_trunk_that_was_just_made_is_waited_for(endpoint: str) -> None:
    scene = Scene()
    scene.endpoints = (endpoint,)
    scene.fake.plans[endpoint] = partial(answers, scene.fake)
    scene.fake.missing = {f"trunk-{TRUNK}-1"}

    async def dialled() -> DialResult:
        asyncio.get_running_loop().call_later(1.5, scene.fake.missing.clear)
        return await scene.dial()

    assert run_in_virtual_time(dialled()).answered
    assert 1.5 + 2 < scene.took_s < 2 + 2


def test_a_trunk_that_is_not_there_is_not_waited_for_long() -> None:
    scene = Scene()
    scene.endpoints = (JUST_MADE[0],)
    scene.fake.missing = {f"trunk-{TRUNK}-1"}
    result = scene.run()
    assert (result.answered, result.end_reason) == (False, EndReason.UNREACHABLE)
    assert 2 < scene.took_s < 2.5


def test_what_the_pbx_would_not_dial_is_dialled_all_the_same_when_nothing_else_answers() -> None:
    scene = Scene(answers, ends(34, 503))
    anyway = f"{FIRST}/trunk-a-1-anyway"
    scene.endpoints = (FIRST, SECOND, anyway, f"{SECOND}/trunk-a-2-anyway")
    scene.fake.plans[anyway] = partial(answers, scene.fake)
    scene.fake.refused[FIRST] = 500
    assert scene.run().answered
    assert [made.endpoint for made in scene.fake.created] == [SECOND, anyway]
    over = [note["endpoint"] for _, note in scene.fake.notes]
    assert over == ["trunk-a-1", "trunk-a-2", "trunk-a-1"]


def test_an_address_that_was_dialled_is_not_dialled_again() -> None:
    scene = Scene(ends(34, 503), ends(34, 503))
    scene.endpoints = (FIRST, SECOND, f"{FIRST}/x", f"{SECOND}/x")
    assert scene.run().sip == 503
    assert [made.endpoint for made in scene.fake.created] == [FIRST, SECOND]
