"""Who has the floor, in whole calls: a caller with a human voice, a recogniser with a script."""

from __future__ import annotations

import audioop
from collections.abc import Sequence

import pytest

from tests.support.platform import Json
from tests.support.reception import Reception, hear_tones, said
from tests.support.sip_call import Call
from tests.support.speech_samples import silence, speech
from tests.support.tone_code import encode

LONG = "Once upon a time there was a telephone that spoke for a very long time about nothing."
LONG_S = len(encode(LONG, 8000)) / 16000
LOUD_RMS = 300
FRAME_BYTES = 320


class Script:
    """Recognises what is loud as the next of its lines, and everything else as nothing."""

    def __init__(self, *lines: str) -> None:
        self.lines = list(lines)

    def __call__(self, pcm_8k: bytes) -> str:
        frames = (pcm_8k[at : at + FRAME_BYTES] for at in range(0, len(pcm_8k), FRAME_BYTES))
        loud = sum(audioop.rms(frame, 2) > LOUD_RMS for frame in frames if frame)
        return self.lines.pop(0) if loud >= 5 and self.lines else ""


async def speaking(call: Call, after_s: float, for_s: float) -> float:
    """Wait until the agent has spoken for a while; returns when it began."""
    begun_s = await call.heard.wait_for_audio(after_s, 5)
    await call.heard.wait_until(lambda: call.heard.packets[-1].arrived_s > begun_s + for_s, 5)
    return begun_s


def audible_s(call: Call, from_s: float, to_s: float) -> float:
    """How much of what was heard was no silence."""
    loud = (max(p.levels) > LOUD_RMS for p in call.heard.packets if from_s <= p.arrived_s < to_s)
    return 0.02 * sum(loud)


def notes(timeline: Json, kind: str) -> list[Json]:
    return [event["detail"] for event in timeline["events"] if event["kind"] == kind]


async def say_parts(call: Call, *parts: str | float) -> float:
    """Say texts with pauses of so many seconds between them."""
    spoken = [speech(part) if isinstance(part, str) else silence(part) for part in parts]
    return await call.say(b"".join(spoken))


async def test_a_backchannel_does_not_cut_but_the_same_word_is_an_answer(
    reception: Reception,
) -> None:
    number = await reception.number(first_message=LONG)
    reception.vendor.realtime.recognise = Script("Mm-hmm.", "Yes.")
    reception.vendor.reply = lambda *_: "Good."
    async with reception.phone.call(number) as call:
        await call.answered()
        begun_s = await speaking(call, call.answered_at_s, 1.5)
        spoken_s = await call.say(speech("mm hmm"))
        resumed_s = await call.heard.wait_for_audio(spoken_s + 0.1, 4)
        assert resumed_s - spoken_s < 1.5
        await call.heard.wait_for_silence(1.2, 12)  # an answer would come in this time
        ended_s = call.heard.last_audio_before(call.heard.packets[-1].arrived_s)
        assert ended_s is not None
        assert ended_s - begun_s > LONG_S + 0.3, "it was paused"
        assert audible_s(call, begun_s, ended_s) == pytest.approx(LONG_S, abs=0.1)
        spoken_s = await call.say(speech("yes"))
        await hear_tones(call, "Good.", spoken_s)
    record = await reception.record(number)
    assert said(record) == [("assistant", LONG), ("user", "Yes."), ("assistant", "Good.")]
    timeline = await reception.timeline(record)
    assert [note["cause"] for note in notes(timeline, "false_interruption")] == ["backchannel"]
    assert [turn["interrupted"] for turn in timeline["turns"]] == [False, False]


async def test_words_cut_the_agent_and_digits_with_pauses_are_one_turn(
    reception: Reception,
) -> None:
    number = await reception.number(first_message=LONG)
    groups = ("06 12", "34 56", "78")
    reception.vendor.realtime.recognise = Script("yes but wait a moment", *groups)
    reception.vendor.reply = lambda *_: "Noted."
    async with reception.phone.call(number) as call:
        await call.answered()
        begun_s = await speaking(call, call.answered_at_s, 1.5)
        saying = call.say_now(speech("yes but wait a moment"))
        started_s = await saying.started
        spoken_s = await saying.finished
        stopped_s = call.heard.last_audio_before(spoken_s)
        assert stopped_s is not None
        assert begun_s < stopped_s < started_s + 0.8
        await hear_tones(call, "Noted.", spoken_s)
        spoken_s = await say_parts(
            call, "zero six one two", 0.8, "three four five six", 0.8, "seven eight"
        )
        await hear_tones(call, "Noted.", spoken_s)
    record = await reception.record(number)
    assert [words for role, words in said(record) if role == "user"] == [
        "yes but wait a moment",
        "06 12 34 56 78",
    ]
    timeline = await reception.timeline(record)
    first = timeline["turns"][0]
    assert first["interrupted"] is True
    assert 0 < len(first["heard"]) < len(LONG)


def answer_delays_ms(turns: Sequence[Json]) -> list[int]:
    return [turn["first_packet_ms"] - turn["turn_ended_ms"] for turn in turns]


async def test_a_right_guess_is_used_and_a_wrong_one_leaves_no_trace(
    reception: Reception,
) -> None:
    patient = {"endpointing_min_delay": 0.9}
    number = await reception.number(speech_config={"turn_taking": patient})
    lines = ("I would like a table", "for two tomorrow", "what time do you open")
    reception.vendor.realtime.recognise = Script(*lines)
    reception.vendor.chat.first_token_s = 0.2
    reception.vendor.reply = lambda messages, _: f"Re {str(messages[-1]['content'])[-12:]}"
    async with reception.phone.call(number) as call:
        await call.answered()
        await hear_tones(call, "Hello", call.answered_at_s)
        spoken_s = await say_parts(call, "I would like a table", 0.5, "for two tomorrow")
        await hear_tones(call, "Re two tomorrow", spoken_s)
        spoken_s = await call.say(speech("what time do you open"))
        await hear_tones(call, "Re do you open", spoken_s)
    record = await reception.record(number)
    assert [words for role, words in said(record) if role == "user"] == [
        "I would like a table for two tomorrow",
        "what time do you open",
    ]
    timeline = await reception.timeline(record)
    assert len(timeline["turns"]) == 3
    outcomes = [note["outcome"] for note in notes(timeline, "speculation")]
    assert outcomes == ["discarded", "used", "used"]
    prompt = reception.vendor.chat.bodies[-1]["messages"]
    assert "I would like a table" not in [message["content"] for message in prompt]
    print("answered after, ms:", answer_delays_ms(timeline["turns"][1:]))  # noqa: T201
