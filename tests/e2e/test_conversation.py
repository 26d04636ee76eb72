from __future__ import annotations

import asyncio

import pytest

from tests.support.fake_openai import Call as ToolCall
from tests.support.reception import (
    END_CALL_TOOL,
    Reception,
    hear_tones,
    heard_since,
    said,
    say_tones,
)
from tests.support.speech_samples import noise
from tests.support.tone_code import encode

LONG = "Once upon a time there was a telephone that spoke for a very long time about nothing."


async def test_a_call_is_answered_and_greeted(reception: Reception) -> None:
    number = await reception.number(first_message="Good morning")
    async with reception.phone.call(number) as call:
        await call.answered()
        assert call.ringing_at_s is not None
        assert call.invite_sent_at_s < call.ringing_at_s <= call.answered_at_s
        greeted_s = await hear_tones(call, "Good morning", call.answered_at_s)
        assert greeted_s - call.answered_at_s < 2
        live = await reception.record(number, lambda found: found["status"] == "in-progress")
        assert live["started_at"] is not None
        assert live["ended_at"] is None
    record = await reception.record(number)
    assert (record["status"], record["end_reason"]) == ("ended", "user_hangup")
    assert record["direction"] == "inbound"
    assert record["phone_number"] == number
    assert said(record) == [("assistant", "Good morning")]


async def test_the_answer_is_to_what_the_caller_said(reception: Reception) -> None:
    number = await reception.number()
    reception.vendor.reply = lambda messages, _: f"Re {messages[-1]['content']}"
    async with reception.phone.call(number) as call:
        await call.answered()
        await hear_tones(call, "Hello", call.answered_at_s)
        spoken_s = await say_tones(call, "tickets")
        await hear_tones(call, "Re tickets", spoken_s)
    record = await reception.record(number)
    assert said(record) == [
        ("assistant", "Hello"),
        ("user", "tickets"),
        ("assistant", "Re tickets"),
    ]


async def test_three_turns_are_one_conversation(reception: Reception) -> None:
    number = await reception.number()
    reception.vendor.reply = lambda messages, _: f"Turn {len(messages) // 2}"
    async with reception.phone.call(number) as call:
        await call.answered()
        await hear_tones(call, "Hello", call.answered_at_s)
        for turn in (1, 2, 3):
            spoken_s = await say_tones(call, f"ask {turn}")
            await hear_tones(call, f"Turn {turn}", spoken_s)
    record = await reception.record(number)
    assert [words for role, words in said(record) if role == "user"] == ["ask 1", "ask 2", "ask 3"]
    timeline = await reception.timeline(record)
    turns = timeline["turns"]
    assert [turn["number"] for turn in turns] == [0, 1, 2, 3]
    for turn in turns[1:]:
        assert (
            turn["user_stopped_ms"]
            <= turn["turn_ended_ms"]
            <= turn["llm_first_token_ms"]
            <= turn["first_sentence_ms"]
            <= turn["tts_first_byte_ms"]
            <= turn["first_packet_ms"]
            <= turn["reply_ended_ms"]
        )


async def test_an_interruption_stops_the_agent_and_cuts_the_record(reception: Reception) -> None:
    number = await reception.number()
    reception.vendor.reply = lambda messages, _: (
        LONG if messages[-1]["content"] == "story" else "Fine"
    )
    async with reception.phone.call(number) as call:
        await call.answered()
        await hear_tones(call, "Hello", call.answered_at_s)
        spoken_s = await say_tones(call, "story")
        begun_s = await call.heard.wait_for_audio(spoken_s, 5)
        await call.heard.wait_until(lambda: len(heard_since(call, begun_s)) > 0, 5)
        interrupting = call.say_now(encode("stop please", 8000))
        interrupted_s = await interrupting.started
        spoken_s = await interrupting.finished
        stopped_s = call.heard.last_audio_before(spoken_s)
        assert stopped_s is not None
        assert stopped_s - interrupted_s < 1.0
        await hear_tones(call, "Fine", spoken_s)
    record = await reception.record(number)
    timeline = await reception.timeline(record)
    story = timeline["turns"][1]
    assert story["interrupted"] is True
    assert story["agent"] == LONG
    assert LONG.startswith(story["heard"].rstrip(" ."))
    assert len(story["heard"]) < len(LONG)
    assert ("assistant", story["heard"]) in said(record)
    prompt = reception.vendor.chat.bodies[-1]["messages"]
    spoken = [message["content"] for message in prompt if message["role"] == "assistant"]
    assert spoken[-1] == story["heard"]


async def test_a_knock_does_not_stop_the_agent(reception: Reception) -> None:
    number = await reception.number(first_message=LONG)
    async with reception.phone.call(number) as call:
        await call.answered()
        begun_s = await call.heard.wait_for_audio(call.answered_at_s, 5)
        await call.heard.wait_until(lambda: call.heard.packets[-1].arrived_s > begun_s + 1.0, 5)
        usual_dbfs = call.heard.level_dbfs(begun_s + 0.2, begun_s + 0.9)
        knocked_s = await call.say(noise(0.06))
        later_s = knocked_s + 0.3
        await call.heard.wait_until(lambda: call.heard.packets[-1].arrived_s > later_s + 0.6, 5)
        assert call.heard.level_dbfs(later_s, later_s + 0.5) == pytest.approx(usual_dbfs, abs=2)
        await call.heard.wait_for_silence(0.5, 10)
    record = await reception.record(number)
    assert said(record) == [("assistant", LONG)]


async def test_the_caller_may_hang_up_in_the_middle_of_a_reply(reception: Reception) -> None:
    number = await reception.number(first_message=LONG)
    async with reception.phone.call(number) as call:
        await call.answered()
        begun_s = await call.heard.wait_for_audio(call.answered_at_s, 5)
        await call.heard.wait_until(lambda: call.heard.packets[-1].arrived_s > begun_s + 1.0, 5)
        await call.hang_up()
    record = await reception.record(number)
    assert (record["status"], record["end_reason"]) == ("ended", "user_hangup")
    ((role, heard),) = said(record)
    assert role == "assistant"
    assert 0 < len(heard) < len(LONG)
    assert LONG.startswith(heard.rstrip(" ."))


async def test_the_caller_may_hang_up_while_speaking(reception: Reception) -> None:
    number = await reception.number()
    async with reception.phone.call(number) as call:
        await call.answered()
        await hear_tones(call, "Hello", call.answered_at_s)
        saying = call.say_now(encode("I wanted to tell you", 8000))
        await saying.started
        await asyncio.sleep(0.5)
        await call.hang_up()
    record = await reception.record(number)
    assert (record["status"], record["end_reason"]) == ("ended", "user_hangup")


async def test_the_agent_hangs_up_after_a_farewell_that_is_heard_to_its_end(
    reception: Reception,
) -> None:
    number = await reception.number(llm_config=_model(tools=[END_CALL_TOOL]))
    reception.vendor.reply = lambda *_: ["Bye now dear caller", ToolCall("end_call")]
    async with reception.phone.call(number) as call:
        await call.answered()
        await hear_tones(call, "Hello", call.answered_at_s)
        spoken_s = await say_tones(call, "bye")
        ending = await call.ended(timeout_s=10)
        assert ending.by == "far end"
        assert heard_since(call, spoken_s) == ["Bye now dear caller"]
        last_s = call.heard.last_audio_before(ending.at_s)
        assert last_s is not None
        assert ending.at_s - last_s < 1.0
    record = await reception.record(number)
    assert (record["status"], record["end_reason"]) == ("ended", "assistant_hangup")
    assert said(record)[-1] == ("assistant", "Bye now dear caller")


async def test_the_agent_that_says_nothing_hangs_up_with_the_configured_farewell(
    reception: Reception,
) -> None:
    number = await reception.number(
        llm_config=_model(tools=[END_CALL_TOOL]),
        speech_config={"end_call_message": "Until next time"},
    )
    reception.vendor.reply = lambda *_: [ToolCall("end_call")]
    async with reception.phone.call(number) as call:
        await call.answered()
        await hear_tones(call, "Hello", call.answered_at_s)
        spoken_s = await say_tones(call, "bye")
        assert (await call.ended(timeout_s=10)).by == "far end"
        assert heard_since(call, spoken_s) == ["Until next time"]


def _model(**fields: object) -> dict[str, object]:
    return {"provider": "openai", "model": "gpt-5.4", **fields}
