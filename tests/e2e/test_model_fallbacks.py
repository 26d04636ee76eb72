"""Language models that fail in whole calls, and others that stand in for them."""

from __future__ import annotations

from typing import Any

from sovereign_ari.speech.resilience.seam import GO_ON
from tests.e2e.test_turn_taking import Script
from tests.support.fake_openai import Fault
from tests.support.platform import Json
from tests.support.reception import Reception, hear_tones, said
from tests.support.speech_samples import speech

# Circuits are shared by the calls of a controller: no other test asks this model.
PRIMARY = {"provider": "openai", "model": "gpt-4.1-nano"}
STAND_IN = {
    "provider": "parrot",
    "script": [{"match": "weather", "say": "It rains"}, {"match": "where", "say": "Over here"}],
}
NOTES = {"provider_retry", "provider_fallback", "provider_hedge", "circuit_open"}


def changes(timeline: Json) -> list[tuple[str, str, str]]:
    """What became of providers, in order."""
    return [
        (event["kind"], event["detail"]["from"], event["detail"]["to"])
        for event in timeline["events"]
        if event["kind"] in NOTES
    ]


async def test_a_model_that_fails_in_four_ways_costs_its_caller_no_answer(
    reception: Reception,
) -> None:
    """It hangs, breaks off, answers 500 and then 429, and is passed over from then on."""

    def answer(messages: list[dict[str, Any]], _tools: object) -> str:
        return "four five" if messages[-1]["content"] == GO_ON else "one two three four"

    chat = reception.vendor.chat
    reception.vendor.reply = answer
    reception.vendor.realtime.recognise = Script(
        "What is the weather?", "Please count.", "And where is it?", "What is the weather?"
    )
    number = await reception.number(llm_config={**PRIMARY, "fallback": [STAND_IN]})
    async with reception.phone.call(number) as call:
        await call.answered()
        await hear_tones(call, "Hello", call.answered_at_s)

        chat.faults.append(Fault("hang", times=1))
        spoken_s = await call.say(speech("yes"))
        begun_s = await hear_tones(call, "It rains", spoken_s)
        assert begun_s - spoken_s < 5

        chat.faults.append(Fault("drop", after=3, times=1))
        spoken_s = await call.say(speech("yes"))
        await hear_tones(call, "one two three four five", spoken_s)

        chat.faults.append(Fault("status", status=500, times=1))
        chat.faults.append(Fault("status", status=429, retry_after_s=60))
        spoken_s = await call.say(speech("yes"))
        begun_s = await hear_tones(call, "Over here", spoken_s)
        assert begun_s - spoken_s < 4

        chat.faults.clear()
        asked = len(chat.bodies)
        spoken_s = await call.say(speech("yes"))
        await hear_tones(call, "It rains", spoken_s)
        assert len(chat.bodies) == asked
    assert await reception.platform.metric("sovereign_provider_circuit") >= 2
    assert await reception.platform.metric("sovereign_provider_resilience_total") >= 5
    record = await reception.record(number)
    assert (record["status"], record["end_reason"]) == ("ended", "user_hangup")
    assert [words for role, words in said(record) if role == "assistant"] == [
        "Hello", "It rains", "one two three four five", "Over here", "It rains",
    ]  # fmt: skip
    openai, parrot = "openai/gpt-4.1-nano", "parrot/parrot-1"
    assert changes(await reception.timeline(record)) == [
        ("provider_hedge", openai, parrot),
        ("provider_retry", openai, openai),
        ("provider_retry", openai, openai),
        ("provider_fallback", openai, parrot),
        ("circuit_open", openai, parrot),
    ]
