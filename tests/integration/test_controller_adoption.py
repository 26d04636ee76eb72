"""A controller that finds callers of one that died, on a PBX that goes wrong."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from sovereign_ari.control import sweep
from sovereign_ari.control.adopted_call import AdoptedCall
from sovereign_ari.control.transfers import CallTransfers
from sovereign_ari.conversation.own_words import ENGLISH
from sovereign_ari.conversation.resumed_dialogue import BROKEN_OFF
from sovereign_ari.domain.adoption import BrokenTransfer, FoundCall, NotAdopted, Past, PastTurn
from sovereign_ari.domain.agent import Route
from sovereign_ari.domain.ids import CallId
from sovereign_ari.domain.records import CallClosed, CallNote, CallOpened, TurnRecord
from sovereign_ari.errors import DatabaseUnavailable
from tests.support.controller_world import ASSISTANT, World, world
from tests.support.fake_ari import until

CALL = CallId("call-inbound-01arz3ndektsv4rrffq69g5fav")


@pytest.fixture
async def it(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr(sweep, "SWEEP_S", 0.5)
    monkeypatch.setattr(sweep, "GRACE_S", 0.3)
    before = len(os.listdir("/proc/self/fd"))
    async with world() as it:
        yield it
    await until(lambda: len(os.listdir("/proc/self/fd")) <= before)


def found() -> FoundCall:
    now = datetime.now(UTC)
    return FoundCall(
        call_id=CALL,
        ours="+31201234567",
        theirs=None,
        codec="ulaw",
        route=Route("o", None, ASSISTANT),
        past=Past((PastTurn(None, "Hi."), PastTurn("hello", "Yes?")), 2, now),
        last_seen_at=now - timedelta(seconds=3),
    )


async def left_behind(it: World, *, ends_in_s: float = 60.0) -> None:
    """Have an answered caller, and what a dead controller made for him."""
    it.pbx.leave_over("c", f"{CALL}-media", bridge=f"{CALL}-bridge")
    it.pbx.calls["c"] = CALL
    ends_at = f"{time.time() + ends_in_s:.0f}"
    it.pbx.variables["c"] = {"SOVEREIGN_CALL": CALL, "SOVEREIGN_ENDS_AT": ends_at}
    await it.pbx.enter("c", "timeout")


async def test_the_old_legs_go_and_the_call_goes_on_under_its_id(it: World) -> None:
    it.adoptions = [found()]
    await left_behind(it)
    await until(lambda: any(t.heard_text == ENGLISH.where_were_we for t in it.of(TurnRecord)), 15)
    assert it.controller.call_ids() == [CALL]
    asked = it.pbx.requests
    removed = asked.index(f"DELETE channels/{CALL}-media")
    assert removed < asked.index("POST channels/externalMedia")
    (note,) = [note for note in it.of(CallNote) if note.kind == "adopted"]
    assert 3000 <= note.detail["gap_ms"] < 30_000
    assert {turn.number for turn in it.of(TurnRecord)} == {2}
    await it.pbx.hang_up("c")
    await until(lambda: not it.controller.calls)
    assert it.of(CallOpened) == []
    (closed,) = it.of(CallClosed)
    assert (closed.call_id, closed.end_reason) == (CALL, "user_hangup")
    await until(lambda: not (it.pbx.channels or it.pbx.bridges or it.pbx.far_ends))


@pytest.mark.parametrize("why", [NotAdopted.LATER, DatabaseUnavailable("away")])
async def test_whom_it_may_not_take_yet_waits_on(it: World, why: NotAdopted | Exception) -> None:
    it.adoptions = [why]
    await left_behind(it)
    await until(lambda: it.pbx.sent_on == ["c"])
    assert it.controller.calls == []
    it.pbx.forget_everything()


@pytest.mark.parametrize(
    "why", [NotAdopted.NEVER, RuntimeError("odd"), replace(found(), codec="of another release")]
)
async def test_a_caller_whose_call_is_over_or_cannot_go_on_hears_a_goodbye(
    it: World, why: NotAdopted | FoundCall | Exception
) -> None:
    it.adoptions = [why]
    await left_behind(it)
    await until(lambda: it.pbx.sent_away == ["c"])
    assert it.controller.calls == []
    ends = [(one.call_id, one.status, one.end_reason, one.error) for one in it.of(CallClosed)]
    ours = (CALL, "ended-with-error", "error", "could not be adopted: KeyError")
    assert ends == ([ours] if isinstance(why, FoundCall) else []), "what became ours is closed"


async def test_an_adoption_that_breaks_in_the_middle_closes_the_call(
    it: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def breaks(_self: object) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr(AdoptedCall, "_clear_away", breaks)
    monkeypatch.setattr(CallTransfers, "stop", breaks)
    it.adoptions = [found()]
    await left_behind(it)
    await until(lambda: bool(it.of(CallClosed)))
    (closed,) = it.of(CallClosed)
    assert (closed.status, closed.error) == ("ended-with-error", "KeyError: 'a bug'")
    await until(lambda: not (it.controller.calls or it.pbx.channels or it.pbx.bridges))


async def test_a_transfer_that_was_broken_off_stands_on_the_timeline(it: World) -> None:
    before = found()
    broken = BrokenTransfer("warm", "+31201234567")
    it.adoptions = [replace(before, past=replace(before.past, transfer=broken))]
    await left_behind(it)
    it.pbx.leave_over(f"{CALL}-transfer")
    await until(lambda: any(note.kind == "adopted" for note in it.of(CallNote)))
    (note,) = [note for note in it.of(CallNote) if note.kind == "transfer"]
    assert note.detail == {
        "step": "failed",
        "mode": "warm",
        "destination": "+31201234567",
        "why": BROKEN_OFF,
    }
    assert f"DELETE channels/{CALL}-transfer" in it.pbx.requests
    await it.pbx.hang_up("c")
    await until(lambda: not (it.controller.calls or it.pbx.channels or it.pbx.bridges))


async def test_a_refer_that_was_agreed_to_meanwhile_is_a_transfer(it: World) -> None:
    it.pbx.leave_over("c")
    it.pbx.calls["c"] = CALL
    it.pbx.variables["c"] = {"SOVEREIGN_CALL": CALL}
    await it.pbx.enter("c", "back", "SUCCESS", "200")
    await until(lambda: "c" not in it.pbx.channels)
    assert it.put_through == [CALL]
    assert it.controller.calls == []


async def test_a_fault_of_ours_in_writing_that_down_ends_nothing_but_that_caller(
    it: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def breaks(_self: object, _call: object) -> None:
        raise KeyError("a bug")

    monkeypatch.setattr(World, "transferred", breaks)
    it.pbx.leave_over("c")
    it.pbx.variables["c"] = {"SOVEREIGN_CALL": CALL}
    await it.pbx.enter("c", "back", "SUCCESS", "200")
    await until(lambda: it.pbx.sent_away == ["c"])
    assert not any(task.done() for task in it.running)
    it.pbx.forget_everything()


async def test_a_caller_whom_another_controller_has_by_now_is_left_to_it(it: World) -> None:
    for name, state in (("c", "Up"), ("d", "Ring")):
        it.pbx.leave_over(name)
        it.pbx.channels[name] = state
        it.pbx.standing[name] = {
            "context": "sovereign-answer" if name == "c" else "sovereign-inbound",
            "app_name": "Stasis",
            "app_data": "sovereign-2,timeout",
        }
    it.pbx.calls["c"] = CALL
    looked = it.pbx.requests.count("GET applications/sovereign")
    await until(lambda: it.pbx.requests.count("GET applications/sovereign") > looked + 2)
    assert not [asked for asked in it.pbx.requests if not asked.startswith(("GET", "PUT"))]
    it.pbx.forget_everything()


async def test_a_caller_who_leaves_while_he_is_adopted_has_hung_up(it: World) -> None:
    gate = it.pbx.hold("media")
    it.adoptions = [found()]
    await left_behind(it)
    await until(lambda: "media" in it.pbx.waiting)
    await it.pbx.hang_up("c")
    gate.set()
    await until(lambda: bool(it.of(CallClosed)))
    assert it.of(CallClosed)[0].end_reason == "user_hangup"
    await until(lambda: not (it.pbx.channels or it.pbx.bridges or it.pbx.far_ends), 15)
