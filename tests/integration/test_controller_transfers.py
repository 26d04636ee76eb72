"""Transfers against a PBX in which each side answers, refuses and hangs up at every step."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from dataclasses import replace

import pytest

from sovereign_ari.control import sweep
from sovereign_ari.conversation.terms import Destination
from sovereign_ari.domain.control import CommandOutcome, Say, Transfer
from sovereign_ari.domain.ids import CallId
from sovereign_ari.domain.records import CallNote, CallStatus, EndReason, TurnRecord
from sovereign_ari.domain.transfer import Unreachable
from sovereign_ari.speech.base import Token, Usage
from tests.support.controller_world import World, world
from tests.support.fake_ari import until

DESK = Transfer("sip:desk@example.com")
ENDED = (CallStatus.ENDED, EndReason.USER_HANGUP)
TRANSFERRED = (CallStatus.TRANSFERRED, EndReason.TRANSFERRED)


@pytest.fixture
async def it(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr(sweep, "SWEEP_S", 0.3)
    monkeypatch.setattr(sweep, "GRACE_S", 0.2)
    async with world() as it:
        yield it


async def a_call(it: World) -> CallId:
    await it.pbx.call("c")
    await it.greeted()
    (call,) = it.controller.call_ids()
    return call


def steps(it: World) -> list[str]:
    return [str(n.detail["step"]) for n in it.of(CallNote) if n.kind == "transfer"]


def callee(it: World, *states: str) -> None:
    async def play(channel: str) -> None:
        for state in states:
            await it.pbx.change(channel, state)

    it.pbx.callee = play


async def test_who_answers_is_joined_and_nobody_is_hung_up(it: World) -> None:
    callee(it, "Ringing", "Up")
    call = await a_call(it)
    assert it.controller.control(call, DESK) is CommandOutcome.DONE
    await until(lambda: not it.controller.calls)
    assert it.end == TRANSFERRED
    assert steps(it) == ["begun", "ringing", "answered", "joined"]
    await asyncio.sleep(1.0)  # some sweeps
    assert set(it.pbx.channels) == {"c", f"{call}-transfer"}
    assert set(it.pbx.bridges) == {"basic"}
    assert not it.pbx.owned
    await it.pbx.hang_up("c")
    await it.pbx.hang_up(f"{call}-transfer")
    it.pbx.bridges.clear()
    await it.all_ended()


async def test_the_assistant_speaks_about_a_refusal(it: World) -> None:
    async def busy(channel: str) -> None:
        await it.pbx.change(channel, "Ringing")
        await it.pbx.refuse_call(channel, 17, 486)

    it.pbx.callee = busy
    it.answers = lambda messages: "Busy." if ": busy (SIP 486" in messages[-1].content else "?"
    call = await a_call(it)
    it.controller.control(call, DESK)
    await until(lambda: it.of(TurnRecord)[-1].heard_text == "Busy.")
    await it.pbx.hang_up("c")
    await it.all_ended()
    assert it.end == ENDED
    assert steps(it) == ["begun", "ringing", "failed"]


async def test_one_transfer_at_a_time(it: World) -> None:
    callee(it, "Ringing")
    call = await a_call(it)
    assert it.controller.control(call, replace(DESK, message="Now.")) is CommandOutcome.DONE
    again = replace(DESK, message="Twice.")
    for _ in range(2):  # before the first has begun, and when it rings
        assert it.controller.control(call, again) is CommandOutcome.TRANSFER_UNDER_WAY
        await until(lambda: "ringing" in steps(it))
    assert steps(it) == ["begun", "ringing"]
    assert len(it.pbx.dialled) == 1
    told = [note.detail for note in it.of(CallNote) if note.kind == "control"]
    refused = {"type": "transfer", "refused": "transfer-under-way"}
    assert told == [{"type": "transfer"}, refused, refused]
    await it.pbx.refuse_call(f"{call}-transfer", 17, 486)
    await until(lambda: it.controller.control(call, DESK) is CommandOutcome.DONE)
    await until(lambda: len(it.pbx.dialled) == 2)
    assert not any("Twice" in turn.agent_text for turn in it.of(TurnRecord))
    await it.pbx.hang_up("c")
    await it.all_ended()


async def test_a_fault_of_ours_is_told_to_the_conversation_in_one_line_and_leaves_nothing(
    it: World, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Places):
        async def take(self, organisation_id: str, call: CallId) -> None:
            raise LookupError("odd")

    it.places = Broken(free=1)
    it.answers = lambda messages: "Sorry." if "technical" in messages[-1].content else "?"
    call = await a_call(it)
    it.controller.control(call, DESK)
    await until(lambda: it.of(TurnRecord)[-1].heard_text == "Sorry.")
    (logged,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert logged.getMessage() == "a transfer failed"
    assert steps(it) == ["begun", "failed"]
    it.places = Places(free=1)
    callee(it, "Up")
    assert it.controller.control(call, DESK) is CommandOutcome.DONE
    await until(lambda: it.end == TRANSFERRED if not it.controller.calls else False)
    for channel in ("c", f"{call}-transfer"):
        await it.pbx.hang_up(channel)
    it.pbx.bridges.clear()
    await it.all_ended()


@pytest.mark.parametrize("step", ["create", "dial", "continue", "variables"])
async def test_a_caller_who_leaves_at_any_step_leaves_nothing(it: World, step: str) -> None:
    callee(it, "Ringing", "Up")
    call = await a_call(it)
    gate = it.pbx.hold(step)
    seen = it.pbx.waiting.count(step)
    it.controller.control(call, DESK)
    await until(lambda: it.pbx.waiting.count(step) > seen)
    await it.pbx.hang_up("c")
    gate.set()
    await it.all_ended()
    assert it.end == ENDED


async def test_a_caller_who_leaves_while_it_rings_leaves_nothing(it: World) -> None:
    callee(it, "Ringing")
    call = await a_call(it)
    it.controller.control(call, DESK)
    await until(lambda: "ringing" in steps(it))
    await it.pbx.hang_up("c")
    await it.all_ended()
    assert it.end == ENDED


async def test_who_hangs_up_before_being_joined_gives_the_caller_back(it: World) -> None:
    callee(it, "Up")
    it.pbx.unjoinable = True
    it.answers = lambda messages: "Gone." if "hung up at once" in messages[-1].content else "?"
    call = await a_call(it)
    it.controller.control(call, DESK)
    await until(lambda: it.of(TurnRecord)[-1].heard_text == "Gone.")
    assert "c" in it.pbx.bridges[f"{call}-bridge"]
    assert f"{call}-transfer" not in it.pbx.channels
    await it.pbx.hang_up("c")
    await it.all_ended()


async def test_a_controller_that_stops_leaves_nobody_ringing(it: World) -> None:
    callee(it, "Ringing")
    call = await a_call(it)
    it.controller.control(call, DESK)
    await until(lambda: "ringing" in steps(it))
    await it.controller.drain(0.1)
    await it.all_ended()


async def test_a_caller_whom_nobody_expects_back_is_sent_away(it: World) -> None:
    it.pbx.channels["x"] = "Up"
    await it.pbx.enter("x", "back", "FAILURE", "486")
    await until(lambda: it.pbx.sent_away == ["x"])


class Places:
    """Counts second legs, and has as many as a test says."""

    def __init__(self, free: int) -> None:
        self.free = free
        self.taken: set[str] = set()
        self.kept: list[list[str]] = []

    async def take(self, organisation_id: str, call: CallId) -> None:
        if self.free == len(self.taken):
            raise Unreachable("too many")
        self.taken.add(call)

    async def give_back(self, call: CallId) -> None:
        self.taken.discard(call)

    async def keep(self, calls: Collection[CallId]) -> None:
        self.kept.append(list(calls))


async def test_the_second_leg_has_a_place_from_before_it_is_dialled_until_it_is_over(
    it: World,
) -> None:
    it.places = places = Places(free=1)
    callee(it, "Ringing")
    call = await a_call(it)
    it.controller.control(call, replace(DESK, timeout_s=0.3))
    await until(lambda: "ringing" in steps(it))
    assert places.taken == {call}
    await until(lambda: "failed" in steps(it))
    assert not places.taken
    callee(it, "Up")
    await until(lambda: it.controller.control(call, DESK) is CommandOutcome.DONE)
    await until(lambda: not it.controller.calls)
    assert places.taken == {call}
    await until(lambda: places.kept[-1:] == [[call]])
    for channel in ("c", f"{call}-transfer"):
        await it.pbx.hang_up(channel)
    it.pbx.bridges.clear()
    await it.all_ended()
    await until(lambda: places.kept[-1] == [])


async def test_nobody_is_dialled_without_a_place_and_the_assistant_says_why(it: World) -> None:
    it.places = Places(free=0)
    it.answers = lambda messages: "Full." if "failed: too many." in messages[-1].content else "?"
    call = await a_call(it)
    it.controller.control(call, DESK)
    await until(lambda: it.of(TurnRecord)[-1].heard_text == "Full.")
    assert not it.pbx.dialled
    await it.pbx.hang_up("c")
    await it.all_ended()


async def test_a_phone_that_asks_for_a_transfer_while_it_talks_to_us_is_declined_once(
    it: World,
) -> None:
    call = await a_call(it)
    asked = {"type": "ChannelTransfer", "referred_by": {"source_channel": it.pbx.channel("c")}}
    await it.pbx.push(asked)
    declined = "POST channels/c/transfer_progress"
    await until(lambda: declined in it.pbx.requests)
    await it.pbx.push(asked | {"state": "channel_declined"})
    assert it.controller.control(call, Say("Still here.", False)) is CommandOutcome.DONE
    await until(lambda: it.of(TurnRecord)[-1].heard_text == "Still here.")
    assert it.pbx.requests.count(declined) == 1
    await it.pbx.hang_up("c")
    await it.all_ended()
    assert it.end == ENDED


async def test_what_the_briefing_of_a_human_took_is_written_down(it: World) -> None:
    callee(it, "Up")
    it.answers = lambda messages: (
        [Token("Bo "), Usage(40, 2)] if messages[-1].role == "system" else "Yes."
    )
    call = await a_call(it)
    it.stt.say("I am Bo")
    await until(lambda: it.of(TurnRecord)[-1].heard_text == "Yes.")
    it.controller.control(call, replace(DESK, mode="warm"))
    await until(lambda: len(it.stt.streams) == 2)
    await until(lambda: any("I have a caller for you. Bo Press 1" in s for s in it.tts.said))
    it.stt.say("no")
    await until(lambda: "failed" in steps(it))
    used = [note.detail for note in it.of(CallNote) if note.kind == "usage"]
    summary, briefing = (dict(detail["usage"]) for detail in used)
    assert summary == {"llm_input_tokens": 40, "llm_output_tokens": 2}
    assert 0 < briefing.pop("stt_seconds") < 10
    assert 0 < briefing.pop("tts_characters") <= len(it.tts.said[-1]) + 60
    assert not briefing
    assert used[1]["models"] == {"stt": "told/stt", "tts": "scripted/tts"}
    await it.pbx.hang_up("c")
    await it.all_ended()


async def test_whom_a_phone_joins_with_its_assistant_calls_that_number_anew(it: World) -> None:
    await a_call(it)
    it.pbx.channels["human"] = "Up"
    taken = {"channel": it.pbx.channel("human"), "replace_channel": it.pbx.channel("c")}
    await it.pbx.push({"type": "StasisStart", "args": [], **taken})
    await it.pbx.hang_up("c")
    await until(lambda: it.pbx.begun_anew == [("human", "1000")])
    await until(lambda: not it.controller.calls)
    assert it.end == ENDED
    del it.pbx.channels["human"]
    await it.all_ended()


async def test_a_caller_talks_on_with_the_assistant_until_somebody_answers(it: World) -> None:
    callee(it, "Ringing")
    call = await a_call(it)
    it.controller.control(call, replace(DESK, hold="assistant"))
    await until(lambda: "ringing" in steps(it))
    it.stt.say("are you there?")
    await until(lambda: it.of(TurnRecord)[-1].heard_text == "Yes.")
    await it.pbx.change(f"{call}-transfer", "Up")
    await until(lambda: not it.controller.calls)
    assert it.of(TurnRecord)[-1].heard_text == "I am putting you through now."
    assert it.end == TRANSFERRED
    assert steps(it) == ["begun", "ringing", "answered", "joined"]
    for channel in ("c", f"{call}-transfer"):
        await it.pbx.hang_up(channel)
    it.pbx.bridges.clear()
    await it.all_ended()


async def test_a_caller_who_talks_meanwhile_hears_why_nobody_takes_his_call(it: World) -> None:
    callee(it, "Ringing")
    it.answers = lambda messages: "Busy." if ": busy (SIP 486" in messages[-1].content else "Yes."
    call = await a_call(it)
    it.controller.control(call, replace(DESK, hold="assistant"))
    await until(lambda: "ringing" in steps(it))
    await it.pbx.refuse_call(f"{call}-transfer", 17, 486)
    await until(lambda: it.of(TurnRecord)[-1].heard_text == "Busy.")
    await it.pbx.hang_up("c")
    await it.all_ended()
    assert it.end == ENDED


async def test_a_tool_lets_the_caller_talk_on_and_only_one_transfer_is_under_way(
    it: World,
) -> None:
    callee(it, "Ringing")
    await a_call(it)
    (live,) = it.controller.calls
    assert live.transfers is not None
    desk = Destination("sip", DESK.destination, "blind", 30.0, None, "assistant")
    assert (await live.transfers.transfer(desk)).pending
    for another in (desk, replace(desk, hold="music")):
        again = await live.transfers.transfer(another)
        assert (again.transferred, again.pending) == (False, False)
        assert again.reason == "the caller is being put through already"
    await until(lambda: "ringing" in steps(it))
    assert len(it.pbx.dialled) == 1
    await it.pbx.hang_up("c")
    await it.all_ended()
    assert it.end == ENDED
