"""Callers who say nothing, on a real PBX: asked, waited for, and hung up on, come what may."""

from __future__ import annotations

import asyncio
import audioop
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp

from sovereign_ari.conversation.silence import ASK
from tests.support.fake_openai import Call as ToolCall
from tests.support.platform import Json, Platform
from tests.support.reception import Reception, hear_tones, heard_since, said
from tests.support.sip_caller import Line
from tests.support.sip_session import audio_offer
from tests.support.speech_samples import noise, speech, tone
from tests.support.tool_server import answering, running_tools

LINE_NOISE_DBFS = -42.0  # comfort noise is fainter
RESTARTS_WITHIN_S = 60.0
QUESTION = "How is the weather?"
QUIETEST_QUESTION = 1000  # RMS; a noisy line has a quarter of it, the hum two thirds
HUM_DBFS = -34.0
SILENCE = {
    "first_check_seconds": 1,
    "interval_seconds": 3,
    "max_attempts": 1,
    "messages": ["Still there"],
    "final_message": "So long",
}


async def patient_number(reception: Reception, tools: list[Json], **silence: object) -> str:
    return await reception.number(
        autonomous_silence_handling=True,
        speech_config={"silence": SILENCE | silence},
        llm_config={"provider": "openai", "model": "gpt-5.4", "tools": tools},
    )


async def checks_of(reception: Reception, record: Json) -> list[int]:
    events = (await reception.timeline(record))["events"]
    assert "talk_detection_missing" not in [event["kind"] for event in events]
    return [e["detail"]["attempt"] for e in events if e["kind"] == "silence_check"]


async def a_noisy_line_is_a_silent_line(reception: Reception) -> None:
    number = await patient_number(reception, [], max_attempts=2)
    async with reception.phone.call(number) as call:
        await call.answered()
        call.say_now(noise(30.0, level_dbfs=LINE_NOISE_DBFS))
        ending = await call.ended(25)
        assert ending.by == "far end"
        heard = heard_since(call, call.answered_at_s)
        assert heard == ["Hello", "Still there", "Still there", "So long"]
        began_s = await call.heard.wait_for_audio(call.answered_at_s, 1)
        assert 9 < ending.at_s - began_s < 20  # 1 + 3 + 3 s of silence, and what was said
    record = await reception.record(number)
    assert (record["status"], record["end_reason"]) == ("ended", "silence_timeout")
    assert said(record) == [("assistant", words) for words in heard]
    assert await checks_of(reception, record) == [1, 2]


async def a_model_finds_the_words(reception: Reception) -> None:
    number = await patient_number(reception, [], messages=[], final_message=None)
    async with reception.phone.call(number) as call:
        await call.answered()
        await call.ended(25)
        heard = heard_since(call, call.answered_at_s)
    assert heard == ["Hello", "Are you there Bob", "Bye Bob"]
    record = await reception.record(number)
    assert record["end_reason"] == "silence_timeout"
    assert said(record) == [("assistant", words) for words in heard]


async def a_word_begins_anew_and_a_tool_stops_the_clock(reception: Reception, tool: Json) -> None:
    number = await patient_number(reception, [tool])
    async with reception.phone.call(number) as call:
        await call.answered()
        await hear_tones(call, "Still there", call.answered_at_s)
        spoken_s = await call.say(speech(QUESTION))
        await hear_tones(call, "It is sunny", spoken_s, timeout_s=12)
        await hear_tones(call, "Still there", spoken_s, timeout_s=12)
        assert heard_since(call, spoken_s) == ["Looking", "It is sunny", "Still there"]
    record = await reception.record(number)
    assert record["end_reason"] == "user_hangup"
    assert await checks_of(reception, record) == [1, 1]


async def what_the_pbx_hears_counts_although_nobody_understands_it(reception: Reception) -> None:
    """The telephone sends nothing after its sound: the PBX must notice the end of it anyway."""
    number = await patient_number(reception, [], first_check_seconds=3)
    async with reception.phone.call(number, line=Line(dtx=True)) as call:
        await call.answered()
        await hear_tones(call, "Hello", call.answered_at_s)
        await asyncio.sleep(0.5)
        hummed_s = await call.say(tone(60.0, 2.0, level_dbfs=HUM_DBFS))
        asked_s = await hear_tones(call, "Still there", hummed_s)
        assert 2.5 < asked_s - hummed_s < 6.0
    record = await reception.record(number)
    assert await checks_of(reception, record) == [1]


async def nobody_is_asked_while_on_hold(reception: Reception) -> None:
    number = await patient_number(reception, [])
    async with reception.phone.call(number) as call:
        await call.answered()
        await hear_tones(call, "Hello", call.answered_at_s)
        offer = audio_offer("127.0.0.1", call.rtp.port, ("ulaw",), 1)
        assert await call.reinvite(offer.replace(b"a=sendrecv", b"a=sendonly")) == 200
        held_s = time.monotonic()
        await asyncio.sleep(3.0)
        assert heard_since(call, held_s) == []
        assert await call.reinvite(offer) == 200
        await hear_tones(call, "Still there", held_s)
    record = await reception.record(number)
    events = (await reception.timeline(record))["events"]
    assert [e["detail"]["on"] for e in events if e["kind"] == "hold"] == [True, False]


def loud_as_question(pcm: bytes) -> str:
    return QUESTION if audioop.rms(pcm, 2) > QUIETEST_QUESTION else ""


def reply(messages: list[dict[str, Any]], _tools: object) -> Any:
    last = messages[-1]
    if last["role"] == "tool":
        return "It is sunny"
    if last["content"] == QUESTION:
        return [ToolCall("weather")]
    return "Are you there Bob" if last["content"] == ASK else "Bye Bob"


async def test_silent_callers_are_asked_and_hung_up_on(reception: Reception) -> None:
    reception.vendor.reply = reply
    async with asyncio.TaskGroup() as calls:
        calls.create_task(a_noisy_line_is_a_silent_line(reception))
        calls.create_task(a_model_finds_the_words(reception))
    bodies = reception.vendor.chat.bodies
    (asked,) = [body for body in bodies if body["messages"][-1]["content"] == ASK]
    assert "tools" not in asked


async def test_callers_who_do_something_are_waited_for(reception: Reception) -> None:
    reception.vendor.reply = reply
    reception.vendor.realtime.recognise = loud_as_question
    async with (
        running_tools(answering({"result": "sunny"}, after_s=2.4)) as server,
        asyncio.TaskGroup() as calls,
    ):
        tool = {
            "name": "weather",
            "description": "How the weather is",
            "url": server.url(),
            "message": "Looking",
        }
        calls.create_task(a_word_begins_anew_and_a_tool_stops_the_clock(reception, tool))
        calls.create_task(what_the_pbx_hears_counts_although_nobody_understands_it(reception))
        calls.create_task(nobody_is_asked_while_on_hold(reception))


@contextmanager
def no_controller(platform: Platform) -> Iterator[None]:
    """Kill the controller, and keep the supervisor from starting it again."""
    controller = platform.controller_pid
    supervisor = int(Path(f"/proc/{controller}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(supervisor, signal.SIGSTOP)
    try:
        os.kill(controller, signal.SIGKILL)
        yield
    finally:
        os.kill(supervisor, signal.SIGCONT)


async def a_new_controller(platform: Platform) -> None:
    async with asyncio.timeout(RESTARTS_WITHIN_S):
        while True:
            with suppress(aiohttp.ClientError):
                if await platform.metric("sovereign_ari_connected"):
                    return
            await asyncio.sleep(0.1)


async def test_the_pbx_ends_a_call_whose_controller_was_killed(reception: Reception) -> None:
    number = await reception.number(silence_timeout_seconds=3)
    async with reception.phone.call(number) as call:
        await call.answered()
        await hear_tones(call, "Hello", call.answered_at_s)
        await reception.record(number, lambda found: found["status"] == "in-progress")
        with no_controller(reception.platform):
            killed_s = time.monotonic()
            ending = await call.ended(20)
        assert ending.by == "far end"
        assert ending.at_s - killed_s < 3 + 9  # of which 5 s are a goodbye by the PBX
        assert call.heard.level_dbfs(ending.at_s - 4, ending.at_s - 2) > -40, "a voice"
    await a_new_controller(reception.platform)
    record = await reception.record(number)
    assert (record["status"], record["end_reason"]) == ("ended-with-error", "silence_timeout")
    assert said(record) == [("assistant", "Hello")]
    assert abs(record["duration_seconds"] - (ending.at_s - call.answered_at_s)) < 2.5
