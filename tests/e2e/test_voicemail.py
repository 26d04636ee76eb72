"""Machines that answer calls of ours, with audio at both ends and AMD() of a real PBX."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from tests.support.desk import Desk, desk
from tests.support.platform import Json
from tests.support.reception import Reception, hear_tones, heard_since, said, say_tones
from tests.support.recording import dbfs
from tests.support.sip_callee import Answers, Ringing
from tests.support.speech_samples import silence, speech, tone

GREETING = "you have reached bob please leave a message after the beep"
MESSAGE = "Please call Ann back"
BEEP = tone(950, 0.35)


def words_of_a_machine(pcm: bytes) -> str:
    """Recognise the greeting in anything longer than a cough."""
    frames = (pcm[at : at + 320] for at in range(0, len(pcm), 320))
    return GREETING if sum(dbfs(frame) > -40 for frame in frames) > 50 else ""


async def answered(it: Desk) -> Ringing:
    call = await it.callee.latest()
    async with asyncio.timeout(5):
        while not call.answered_at_s:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return call


async def noted(reception: Reception, record: Json) -> dict[str, list[Mapping[str, Any]]]:
    """The timeline by kind."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for event in (await reception.timeline(record))["events"]:
        found.setdefault(event["kind"], []).append(event["detail"])
    return found


async def test_a_message_is_left_behind_the_beep_and_heard_to_its_end(
    reception: Reception,
) -> None:
    reception.vendor.realtime.recognise = words_of_a_machine
    async with desk(
        reception,
        first_message="Good day, this is Ann of the dentist, how are you today?",
        voicemail_detection=True,
        voicemail_message=MESSAGE,
    ) as it:
        it.callee.plan = Answers(after_s=0.1)
        call_id = await it.call()
        call = await answered(it)
        greeting = silence(0.4) + speech(GREETING, voice="rms") + silence(0.7) + BEEP
        beeped_s = await call.say(greeting)
        begun_s = await call.heard.wait_for_audio(beeped_s, 3.0)
        assert begun_s - beeped_s < 1.5
        assert await call.ended(6) == "far end"
        assert heard_since(call, beeped_s) == [MESSAGE]  # type: ignore[arg-type]
        record = await it.status(call_id, "ended")
    assert (record["end_reason"], record["error"]) == ("voicemail", None)
    assert said(record)[-2:] == [("user", GREETING), ("assistant", MESSAGE)]
    events = await noted(reception, record)
    assert [event["status"] for event in events["amd"]] == ["MACHINE"]
    assert [event["kind"] for event in events["answered_by"]] == ["voicemail"]
    assert events["answered_by"][0]["because"][0].startswith("words, certain: leave a message")
    assert events["voicemail"] == [{"left": True, "behind": "beep"}]


async def test_a_voicemail_without_a_message_for_it_is_hung_up_on_and_a_human_is_talked_to(
    reception: Reception,
) -> None:
    async with desk(reception, first_message="Good day", voicemail_detection=True) as it:
        it.callee.plan = Answers(after_s=0.1)
        call_id = await it.call()
        human = await answered(it)
        greeted_s = await hear_tones(human, "Good day", human.answered_at_s)  # type: ignore[arg-type]
        assert greeted_s - human.answered_at_s < 0.5, "nobody waits for a verdict"
        spoken_s = await say_tones(human, "hello?")  # type: ignore[arg-type]
        await hear_tones(human, "You said: hello?", spoken_s)  # type: ignore[arg-type]
        events: dict[str, list[Mapping[str, Any]]] = {}
        async with asyncio.timeout(8):
            while not {"amd", "answered_by"} <= events.keys():
                await asyncio.sleep(0.3)
                events = await noted(reception, {"id": call_id})
        assert [event["kind"] for event in events["answered_by"]] == ["human"]
        await human.hang_up()
        record = await it.status(call_id, "ended")
        assert record["end_reason"] == "user_hangup"

        reception.vendor.realtime.recognise = words_of_a_machine
        call_id = await it.call()
        await it.callee.latest(2)
        machine = await answered(it)
        await machine.say(silence(0.4) + speech(GREETING, voice="rms"))
        assert await machine.ended(4) == "far end"
        record = await it.status(call_id, "ended")
    assert record["end_reason"] == "voicemail"
    assert said(record)[-1] == ("user", GREETING)
    events = await noted(reception, record)
    assert events["voicemail"] == [{"left": False}]
