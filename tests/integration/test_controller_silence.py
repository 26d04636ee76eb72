"""What a controller has the PBX do about silence, and what becomes of it when the PBX does not."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from sovereign_ari.domain.agent import SilencePlan
from sovereign_ari.domain.dialplan import GLOBAL_ENDED
from sovereign_ari.domain.ids import CallId, ChannelId
from sovereign_ari.domain.records import CallClosed, CallNote, CallStatus, EndReason, TurnRecord
from sovereign_ari.telephony import silence
from sovereign_ari.wire.ari_http import AriHttp
from tests.support.controller_world import ASSISTANT, World, world
from tests.support.fake_ari import until
from tests.support.rtp_packets import FRAME_S, TICK, RtpPacket

MINDED = replace(
    ASSISTANT, silence=SilencePlan(0.5, 0.5, 2, messages=("Hello?",), final_message="Bye.")
)


@pytest.fixture
async def it() -> AsyncIterator[World]:
    before = len(os.listdir("/proc/self/fd"))
    async with world() as it:
        it.assistant = MINDED
        yield it
    await until(lambda: len(os.listdir("/proc/self/fd")) <= before)


def variables(it: World) -> list[tuple[str, str]]:
    """Every variable that was set: `channel.name`, value."""
    return [
        (f"{what.split('/')[1]}.{name}", value)
        for what, values in zip(it.pbx.requests, it.pbx.queries, strict=True)
        if what.endswith("/variables")
        for name, value in values.items()
    ]


async def send_packets(it: World, duration_s: float) -> None:
    """Have the PBX send us the audio of its only call."""
    asked = it.pbx.queries[it.pbx.requests.index("POST channels/externalMedia")]
    host, port = asked["external_host"].split(":")
    (far_end,) = it.pbx.far_ends.values()
    for number in range(round(duration_s / FRAME_S)):
        packet = RtpPacket(0, number, TICK * number, 1, b"\xff" * TICK)
        far_end.sendto(packet.to_bytes(), (host, int(port)))
        await asyncio.sleep(FRAME_S)


def notes(it: World) -> list[str]:
    return [note.kind for note in it.of(CallNote)]


async def test_a_silent_caller_is_asked_and_hung_up_on(it: World) -> None:
    await it.pbx.call("c")
    await it.all_ended()
    assert it.end == (CallStatus.ENDED, EndReason.SILENCE_TIMEOUT)
    assert [t.agent_text for t in it.of(TurnRecord) if t.reply_ended_ms is not None] == [
        "Hi.",
        "Hello?",
        "Hello?",
        "Bye.",
    ]
    assert notes(it).count("silence_check") == 2
    assert ("c.SOVEREIGN_TALK", "500,320") in variables(it)
    assert ("c.SOVEREIGN_ALONE_REASON", "silence_timeout") in variables(it)


async def test_what_the_pbx_hears_holds_the_first_check_back(it: World) -> None:
    await it.pbx.call("c")
    await it.greeted()
    for kind in ("ChannelTalkingStarted", "ChannelTalkingFinished"):
        await it.pbx.push({"type": kind, "channel": it.pbx.channel("c"), "duration": -1})
        await send_packets(it, 1.0 if kind.endswith("Started") else 0)
        assert "silence_check" not in notes(it)
    await until(lambda: "silence_check" in notes(it))
    await it.pbx.hang_up("c")
    await it.all_ended()
    assert "talk_detection_missing" not in notes(it)


async def test_a_line_that_sends_nothing_any_more_is_silent_although_the_pbx_never_said_so(
    it: World,
) -> None:
    await it.pbx.call("c")
    await it.greeted()
    await it.pbx.push({"type": "ChannelTalkingStarted", "channel": it.pbx.channel("c")})
    await send_packets(it, 1.0)
    assert "silence_check" not in notes(it)
    await until(lambda: "silence_check" in notes(it))
    await it.pbx.hang_up("c")
    await it.all_ended()


async def test_nothing_listens_where_silence_does_not_matter(it: World) -> None:
    it.assistant = replace(ASSISTANT, tts={"language": "nl-NL"})
    await it.pbx.call("c")
    await it.greeted()
    await until(lambda: ("c.SOVEREIGN_ALONE_REASON", "error") in variables(it))
    assert ("c.SOVEREIGN_ALONE_S", "30") in variables(it)
    assert ("c.SOVEREIGN_LANGUAGE", "nl") in variables(it)
    await it.pbx.hang_up("c")
    await it.all_ended()
    assert ("c.SOVEREIGN_TALK", "") in variables(it)


async def test_a_lease_is_renewed_and_never_reaches_beyond_the_longest_call(
    it: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(silence, "RENEWED_AFTER", 0.02)
    it.assistant = replace(ASSISTANT, max_duration_s=9.0)
    await it.pbx.call("c")

    def leases() -> list[float]:
        found = [value for name, value in variables(it) if name == "c.TIMEOUT(absolute)"]
        return [float(value) for value in found]

    await until(lambda: any(lease < 8.0 for lease in leases()))
    assert ("c.SOVEREIGN_LEASE_S", "8") in variables(it)
    assert leases()[:3] == [8.0, 8.0, 8.0]
    await asyncio.sleep(0.5)
    assert len([lease for lease in leases() if lease < 8.0]) == 1, "the last one is the true end"
    await it.pbx.hang_up("c")
    await it.all_ended()


async def test_a_lease_that_lapsed_because_we_were_slow_costs_no_call(it: World) -> None:
    it.assistant = ASSISTANT
    await it.pbx.call("c")
    await it.greeted()
    joined = it.pbx.requests.count(join := next(r for r in it.pbx.requests if "addChannel" in r))
    assert ("c.SOVEREIGN_LAPSED", "") not in variables(it)
    await it.pbx.enter("c", "timeout")
    await until(lambda: ("c.SOVEREIGN_LAPSED", "") in variables(it))
    assert it.pbx.requests.count(join) == joined + 1
    assert it.controller.calls[0].is_talking
    await it.pbx.hang_up("c")
    await it.all_ended()
    assert it.end == (CallStatus.ENDED, EndReason.USER_HANGUP)


@pytest.mark.parametrize("thaws_first", [True, False])
async def test_a_call_that_the_pbx_ended_while_we_were_frozen_ended_when_the_pbx_says(
    it: World, monkeypatch: pytest.MonkeyPatch, thaws_first: bool
) -> None:
    it.assistant = ASSISTANT
    monkeypatch.setattr(silence.LineGuard, "has_lapsed", property(lambda _: True))
    await it.pbx.call("c")
    await it.greeted()
    call = it.controller.call_ids()[0]
    note = {f"{GLOBAL_ENDED}{call}": "max_duration:1767268800"}
    if not thaws_first:
        it.pbx.globals |= note
    await it.pbx.hang_up("c")
    if thaws_first:
        asks = "GET asterisk/variable"
        await until(lambda: asks in it.pbx.requests)
        it.pbx.globals |= note
    await it.all_ended()
    assert it.end == (CallStatus.ENDED_WITH_ERROR, EndReason.MAX_DURATION)
    assert it.of(CallClosed)[0].at == datetime.fromtimestamp(1767268800, UTC)
    assert it.pbx.globals == {}


async def test_a_lease_that_was_not_renewed_in_time_is_remembered(it: World) -> None:
    now = [0.0]
    async with AriHttp(it.pbx.address) as ari:
        it.pbx.channels["c"] = "Up"
        limits = silence.LineLimits(60.0, None)
        call = CallId("call-inbound-01arz3ndektsv4rrffq69g5fav")
        guard = silence.LineGuard(ari, call, ChannelId("c"), lambda: now[0], limits)
        guard.start()
        before = guard.has_lapsed
        now[0] = limits.lease_s + 1  # frozen, and back
        guard.bring_back()
        await until(lambda: ("c.TIMEOUT(absolute)", "8.000") in variables(it))
        assert (before, guard.has_lapsed) == (False, True)
        await guard.stop()
    it.pbx.forget_everything()


async def test_hold_stops_the_clock_and_the_agent(it: World) -> None:
    await it.pbx.call("c")
    await it.greeted()
    await it.pbx.push({"type": "ChannelHold", "channel": it.pbx.channel("c")})
    await until(lambda: "hold" in notes(it))
    checks = notes(it).count("silence_check")
    await asyncio.sleep(1.5)
    assert notes(it).count("silence_check") == checks
    await it.pbx.push({"type": "ChannelUnhold", "channel": it.pbx.channel("c")})
    await it.all_ended()
    assert it.end == (CallStatus.ENDED, EndReason.SILENCE_TIMEOUT)


async def test_a_key_that_is_pressed_is_a_sign_of_life(it: World) -> None:
    await it.pbx.call("c")
    await it.greeted()
    event = {"type": "ChannelDtmfReceived", "digit": "1", "duration_ms": 100}
    for _ in range(8):
        await it.pbx.push({**event, "channel": it.pbx.channel("c")})
        await asyncio.sleep(0.2)
    assert "silence_check" not in notes(it)
    await it.pbx.hang_up("c")
    await it.all_ended()
