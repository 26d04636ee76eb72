"""Calls without any provider key: offline speech both ways, judged by a recogniser of ours."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.fake_openai import FakeOpenAI
from tests.support.platform import Json, Platform, running_platform
from tests.support.reception import Reception, open_reception, said
from tests.support.recognise import best_match
from tests.support.residue import assert_nothing_left
from tests.support.sip_call import Call
from tests.support.speech_samples import speech

HOURS = "we are open from nine to five"
PLACE = "you can find us at the station"
FAREWELL = "thank you for calling"
SENTENCES = (HOURS, PLACE, FAREWELL, "welcome to the clinic", "please say that again")

OFFLINE: Json = {
    "first_message": "Welcome to the clinic",
    "stt_config": {
        "provider": "pocketsphinx",
        "model": "en-us",
        "language": "en",
        "phrases": ["what are your opening hours", "where are you", "goodbye"],
    },
    "llm_config": {
        "provider": "parrot",
        "model": "parrot-1",
        "tools": [{"type": "end_call"}],
        "script": [
            {"match": "opening hours", "say": HOURS},
            {"match": "where are you", "say": PLACE},
            {"match": "goodbye", "say": FAREWELL, "tool": {"name": "end_call"}},
        ],
    },
    "tts_config": {"provider": "espeak", "voice_id": "en-us", "model": "espeak-ng"},
}


async def words_of_next_reply(call: Call, after_s: float, candidates: tuple[str, ...]) -> str:
    """Listen to one reply to its end and tell which sentence it was."""
    begun_s = await call.heard.wait_for_audio(after_s, 10)
    ended_s = await call.heard.wait_for_silence(0.7, 20)
    assert_pleasant(call, begun_s, ended_s)
    sound = call.heard.pcm(begun_s - 0.05, ended_s + 0.05)
    return await asyncio.to_thread(best_match, sound, call.heard.rate_hz, candidates)


def assert_pleasant(call: Call, from_s: float, to_s: float) -> None:
    """A sane level, and no clipping."""
    assert -30 < call.heard.level_dbfs(from_s, to_s) < -12
    sound = call.heard.pcm(from_s, to_s)
    assert re.search(rb"(?:\xff\x7f|\x7c\x7d){3}|(?:\x00\x80|\x84\x82){3}", sound) is None


async def test_offline_speech_is_understood_in_both_directions(reception: Reception) -> None:
    number = await reception.number(**OFFLINE)
    async with reception.phone.call(number) as call:
        await call.answered()
        greeting = await words_of_next_reply(call, call.answered_at_s, SENTENCES)
        assert greeting == "welcome to the clinic"
        spoken_s = await call.say(speech("where are you"))
        assert await words_of_next_reply(call, spoken_s, SENTENCES) == PLACE
        spoken_s = await call.say(speech("what are your opening hours"))
        assert await words_of_next_reply(call, spoken_s, SENTENCES) == HOURS
        spoken_s = await call.say(speech("goodbye"))
        ending = await call.ended(15)
        assert ending.by == "far end"
        sound = call.heard.pcm(spoken_s + 0.1, ending.at_s)
        assert best_match(sound, call.heard.rate_hz, SENTENCES) == FAREWELL
    record = await reception.record(number)
    assert record["end_reason"] == "assistant_hangup"
    assert said(record)[1:3] == [("user", "where are you"), ("assistant", PLACE)]


async def test_offline_speech_may_be_interrupted_by_speech(reception: Reception) -> None:
    story = " ".join([PLACE, HOURS] * 6)
    number = await reception.number(**{**OFFLINE, "first_message": story})
    async with reception.phone.call(number) as call:
        await call.answered()
        begun_s = await call.heard.wait_for_audio(call.answered_at_s, 10)
        await call.heard.wait_until(lambda: call.heard.packets[-1].arrived_s > begun_s + 2, 5)
        spoken_s = await call.say(speech("what are your opening hours"))
        assert await words_of_next_reply(call, spoken_s + 0.1, SENTENCES) == HOURS
    record = await reception.record(number)
    timeline = await reception.timeline(record)
    assert timeline["turns"][0]["interrupted"] is True
    assert len(timeline["turns"][0]["heard"]) < len(story)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def keyless() -> AsyncIterator[Platform]:
    async with running_platform({}) as platform:
        yield platform


async def test_the_demo_answers_on_1000_without_any_key(
    keyless: Platform, vendor: FakeOpenAI
) -> None:
    async with open_reception(keyless, vendor) as reception:
        listed = (await reception.api.get("/assistants"))["assistants"]
        (demo,) = [assistant for assistant in listed if assistant["name"] == "Demo"]
        script = demo["llm_config"]["script"]
        question = "what are your opening hours"
        answers = [rule for rule in script if re.search(rule["match"], question, re.IGNORECASE)]
        assert answers, "the demo does not know its opening hours"
        candidates = tuple(rule["say"] for rule in script if rule.get("say"))
        async with reception.phone.call("1000") as call:
            await call.answered()
            await call.heard.wait_for_audio(call.answered_at_s, 10)
            await call.heard.wait_for_silence(0.7, 30)
            spoken_s = await call.say(speech(question))
            assert await words_of_next_reply(call, spoken_s, candidates) == answers[0]["say"]
        record = await reception.record("1000")
        assert ("user", question) in said(record)
        assert reception.vendor.open == 0
    await assert_nothing_left(keyless)


async def test_two_products_run_beside_each_other(keyless: Platform, reception: Reception) -> None:
    number = await reception.number()
    async with (
        reception.phone.call(number) as call,
        open_reception(keyless, reception.vendor) as other,
        other.phone.call("1000") as second,
    ):
        await call.answered()
        await second.answered()
        await call.heard.wait_for_audio(call.answered_at_s, 10)
        await second.heard.wait_for_audio(second.answered_at_s, 10)
    assert set(keyless.pids.values()).isdisjoint(reception.platform.pids.values())
    await assert_nothing_left(keyless)


@pytest.mark.parametrize("codec", ["alaw", "g722"])
async def test_offline_speech_works_in_every_codec(reception: Reception, codec: str) -> None:
    number = await reception.number(**OFFLINE)
    async with reception.phone.call(number, codecs=(codec,)) as call:
        await call.answered()
        await words_of_next_reply(call, call.answered_at_s, SENTENCES)
        rate_hz = call.heard.rate_hz
        spoken_s = await call.say(speech("where are you", rate_hz), rate_hz)
        assert await words_of_next_reply(call, spoken_s, SENTENCES) == PLACE
