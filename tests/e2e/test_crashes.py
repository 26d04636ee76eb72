"""Processes that are killed during calls, on a real PBX: callers wait, and calls go on."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from typing import Any

from sovereign_ari.conversation.own_words import ENGLISH
from sovereign_ari.conversation.resumed_dialogue import BROKEN_OFF
from tests.support.desk import THEM, Desk, desk
from tests.support.platform import Json, Platform
from tests.support.reception import Reception, hear_tones, heard_since, said, say_tones
from tests.support.sip_callee import Answers, Ringing, rings_for_ever

RESTARTS_WITHIN_S = 60.0
HELD_WITHIN_S = 8.0
RINGS, COLLEAGUE = "+31600000480", "+31600000180"
ADOPTED_WITHIN_S = 40.0  # of the kill, on a loaded machine; Python's own start is most of it
WRITTEN_WITHIN_S = 8.0
SORRY = ENGLISH.where_were_we


def kill(platform: Platform, name: str) -> int:
    pid = platform.pids[name]
    os.kill(pid, signal.SIGKILL)
    return pid


async def restarted(platform: Platform, name: str, killed: int) -> None:
    async with asyncio.timeout(RESTARTS_WITHIN_S):
        while platform.pids.get(name) in (killed, None):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def note_of(reception: Reception, record: Json, kind: str) -> Json:
    events = (await reception.timeline(record))["events"]
    (found,) = [event["detail"] for event in events if event["kind"] == kind]
    return dict(found)


async def journalled(reception: Reception, record: Json, written: Callable[[Json], bool]) -> None:
    """Wait until the journal has written what another controller will need."""
    async with asyncio.timeout(WRITTEN_WITHIN_S):
        while not written(await reception.timeline(record)):  # noqa: ASYNC110
            await asyncio.sleep(0.1)


def was_heard(words: str) -> Callable[[Json], bool]:
    return lambda timeline: any(
        turn["heard"] == words and turn["reply_ended_ms"] is not None for turn in timeline["turns"]
    )


def was_told(words: str) -> Callable[[Json], bool]:
    return lambda timeline: any(turn["user"] == words for turn in timeline["turns"])


def rings(timeline: Json) -> bool:
    steps = [event["detail"] for event in timeline["events"] if event["kind"] == "transfer"]
    return any(step["step"] == "ringing" for step in steps)


def remembering(messages: list[dict[str, Any]], _tools: object) -> Any:
    """Tell what the caller said first, as far as the model is told of it."""
    told = [message["content"] for message in messages if message["role"] == "user"]
    return f"You said {told[0]} first" if len(told) > 1 else f"Fine {told[0]}"


async def test_a_call_survives_the_death_of_its_controller(reception: Reception) -> None:
    reception.vendor.reply = remembering
    number = await reception.number(max_duration_seconds=120)
    platform = reception.platform
    async with reception.phone.call(number) as call:
        await call.answered()
        await hear_tones(call, "Hello", call.answered_at_s)
        spoken_s = await say_tones(call, "Bob")
        await hear_tones(call, "Fine Bob", spoken_s)
        live = await reception.record(number, lambda found: found["status"] == "in-progress")
        await journalled(reception, live, was_heard("Fine Bob"))
        kill(platform, "controller")
        killed_s = time.monotonic()
        await call.heard.wait_for_audio(killed_s + 0.2, HELD_WITHIN_S)
        assert heard_since(call, killed_s) == [], "a beep, not yet the assistant"
        await hear_tones(call, SORRY, killed_s, timeout_s=ADOPTED_WITHIN_S)
        spoken_s = await say_tones(call, "Again")
        await hear_tones(call, "You said Bob first", spoken_s)
        assert heard_since(call, spoken_s) == ["You said Bob first"]
    record = await reception.record(number)
    assert record["id"] == live["id"], "the same call"
    assert (record["status"], record["end_reason"]) == ("ended", "user_hangup")
    assert said(record) == [
        ("assistant", "Hello"),
        ("user", "Bob"),
        ("assistant", "Fine Bob"),
        ("assistant", SORRY),
        ("user", "Again"),
        ("assistant", "You said Bob first"),
    ]
    adopted = await note_of(reception, record, "adopted")
    assert adopted["turns"] == 2
    assert adopted["gap_ms"] < ADOPTED_WITHIN_S * 1000


class Killed:
    """What the callers of a test know of the death of their controller."""

    def __init__(self) -> None:
        self.frozen, self.event, self.at_s = asyncio.Event(), asyncio.Event(), 0.0
        self.ready = asyncio.Semaphore(0)


async def waits_for_an_answer(reception: Reception, number: str, killed: Killed) -> None:
    async with reception.phone.call(number) as call:
        await call.answered()
        await hear_tones(call, "Hello", call.answered_at_s)
        await say_tones(call, "Bob")
        await reception.vendor.until(lambda: bool(reception.vendor.chat.bodies))
        live = await reception.record(number, lambda found: found["status"] == "in-progress")
        await journalled(reception, live, was_told("Bob"))
        killed.ready.release()
        await killed.event.wait()
        await hear_tones(call, ENGLISH.back, killed.at_s, timeout_s=ADOPTED_WITHIN_S)
        await hear_tones(call, "You said: Bob", killed.at_s)
    record = await reception.record(number)
    assert (record["status"], record["end_reason"]) == ("ended", "user_hangup")


async def hangs_up_while_nobody_lives(reception: Reception, number: str, killed: Killed) -> None:
    async with reception.phone.call(number) as call:
        await call.answered()
        await hear_tones(call, "Hello", call.answered_at_s)
        live = await reception.record(number, lambda found: found["status"] == "in-progress")
        await journalled(reception, live, was_heard("Hello"))
        killed.ready.release()
        await killed.event.wait()
        lasted_s = time.monotonic() - call.answered_at_s
    async with asyncio.timeout(ADOPTED_WITHIN_S):
        while not (await reception.calls(number))[0]["ended_at"]:  # noqa: ASYNC110
            await asyncio.sleep(0.3)
    record = await reception.record(number)
    assert record["end_reason"] == "user_hangup"
    assert abs(record["duration_seconds"] - lasted_s) < 2.5


async def rings_meanwhile(reception: Reception, number: str, killed: Killed) -> None:
    await killed.frozen.wait()
    async with reception.phone.call(number) as call:
        await asyncio.sleep(0.5)
        killed.ready.release()
        await call.answered(ADOPTED_WITHIN_S)
        await hear_tones(call, "Hello", call.answered_at_s)


async def one_answers(call: Ringing) -> None:
    theirs = call.invite.start_line.startswith(f"INVITE sip:{THEM}@")
    await (Answers(after_s=0.1) if theirs else rings_for_ever)(call)


async def answered_a_call_of_ours(it: Desk, killed: Killed) -> None:
    call_id = await it.call(first_message="Good day")
    call = await it.rung(THEM)
    await hear_tones(call, "Good day", call.called_at_s)  # type: ignore[arg-type]
    live = await it.status(call_id, "in-progress")
    await journalled(it.reception, live, was_heard("Good day"))
    killed.ready.release()
    await killed.event.wait()
    await hear_tones(call, SORRY, killed.at_s, timeout_s=ADOPTED_WITHIN_S)  # type: ignore[arg-type]
    spoken_s = await say_tones(call, "Again")  # type: ignore[arg-type]
    await hear_tones(call, "You said: Again", spoken_s)  # type: ignore[arg-type]
    await call.hang_up()
    record = await it.status(call_id, "ended")
    assert (record["end_reason"], record["error"]) == ("user_hangup", None)
    assert said(record)[:3] == [
        ("assistant", "Good day"),
        ("assistant", SORRY),
        ("user", "Again"),
    ]


async def is_being_called(it: Desk, killed: Killed) -> None:
    call_id = await it.call(RINGS)
    call = await it.rung(RINGS)
    await it.status(call_id, "ringing")
    killed.ready.release()
    await killed.event.wait()
    assert await call.ended(HELD_WITHIN_S) == "far end"
    assert call.was_cancelled
    record = await it.status(call_id, "failed", timeout_s=ADOPTED_WITHIN_S)
    assert (record["end_reason"], record["started_at"]) == ("error", None)


async def is_being_put_through(it: Desk, killed: Killed) -> None:
    reception = it.reception
    async with reception.phone.call(it.number) as call:
        await call.answered()
        await hear_tones(call, "Hello", call.answered_at_s)
        live = await it.inbound("in-progress")
        wanted = {"type": "transfer", "destination": COLLEAGUE}
        asked = await reception.api.request("POST", f"/calls/{live['id']}/control", wanted)
        assert asked.status == 200
        colleague = await it.rung(COLLEAGUE)
        await journalled(reception, live, rings)
        killed.ready.release()
        await killed.event.wait()
        assert await colleague.ended(HELD_WITHIN_S) == "far end"
        await hear_tones(call, ENGLISH.back, killed.at_s, timeout_s=ADOPTED_WITHIN_S)
    events = (await reception.timeline(live))["events"]
    steps = [event["detail"] for event in events if event["kind"] == "transfer"]
    assert (steps[-1]["step"], steps[-1]["why"]) == ("failed", BROKEN_OFF)


async def test_callers_at_every_step_outlive_their_controller(reception: Reception) -> None:
    reception.vendor.chat.first_token_s = 20.0
    controller, killed = reception.platform.controller_pid, Killed()
    async with desk(reception) as it, asyncio.TaskGroup() as callers:
        it.callee.plan = one_answers
        for caller in (waits_for_an_answer, hangs_up_while_nobody_lives, rings_meanwhile):
            callers.create_task(caller(reception, await reception.number(), killed))
        for of_ours in (answered_a_call_of_ours, is_being_called, is_being_put_through):
            callers.create_task(of_ours(it, killed))
        for _ in range(5):
            await killed.ready.acquire()
        os.kill(controller, signal.SIGSTOP)  # who calls now is in its hands, and only rings
        killed.frozen.set()
        await killed.ready.acquire()
        reception.vendor.chat.first_token_s = 0.0
        os.kill(controller, signal.SIGKILL)
        killed.at_s = time.monotonic()
        killed.event.set()


async def test_a_caller_does_not_notice_that_postgresql_dies(reception: Reception) -> None:
    platform = reception.platform
    number = await reception.number()
    async with reception.phone.call(number) as call:
        await call.answered()
        await hear_tones(call, "Hello", call.answered_at_s)
        await reception.record(number, lambda found: found["status"] == "in-progress")
        killed = kill(platform, "postgres")
        spoken_s = await say_tones(call, "Bob")
        await hear_tones(call, "You said: Bob", spoken_s)
        await restarted(platform, "postgres", killed)
        async with asyncio.timeout(RESTARTS_WITHIN_S):
            while (await reception.api.request("GET", "/assistants")).status != 200:  # noqa: ASYNC110
                await asyncio.sleep(0.2)
        spoken_s = await say_tones(call, "Ann")
        await hear_tones(call, "You said: Ann", spoken_s)
    record = await reception.record(number)
    assert (record["status"], record["end_reason"]) == ("ended", "user_hangup")
    assert [words for who, words in said(record) if who == "user"] == ["Bob", "Ann"]


async def test_a_restart_of_the_pbx_closes_its_calls_and_takes_new_ones(
    reception: Reception,
) -> None:
    platform = reception.platform
    number = await reception.number()
    async with reception.phone.call(number) as call:
        await call.answered()
        await hear_tones(call, "Hello", call.answered_at_s)
        await reception.record(number, lambda found: found["status"] == "in-progress")
        killed = kill(platform, "asterisk")
        await restarted(platform, "asterisk", killed)
        record = await reception.record(number)
    broken = (record["status"], record["end_reason"], record["error"])
    assert broken == ("ended-with-error", "error", "Asterisk was restarted")
    async with asyncio.timeout(RESTARTS_WITHIN_S):
        while not await platform.metric("sovereign_ari_connected"):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    async with reception.phone.call(number) as call:
        await call.answered()
        await hear_tones(call, "Hello", call.answered_at_s)
