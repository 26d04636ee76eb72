from __future__ import annotations

import pytest

from sovereign_ari.conversation.own_words import ENGLISH
from tests.support import tone_code
from tests.support.fake_openai import Fault
from tests.support.fake_openai_faults import Service
from tests.support.reception import Reception, hear_tones, heard_since, say_tones
from tests.support.recognise import best_match
from tests.support.sip_call import Call

APOLOGY = ENGLISH.apology
SPOKEN_APOLOGY = APOLOGY.lower().replace(".", "").replace(",", "")
OTHER_SENTENCES = (
    "what are your opening hours",
    "you said i would like an appointment",
    "good morning and welcome how can i help you today",
)
ENDS_WITHIN_S = 45.0


def service(reception: Reception, name: str) -> Service:
    services: dict[str, Service] = {
        "chat": reception.vendor.chat,
        "speech": reception.vendor.speech,
        "realtime": reception.vendor.realtime,
    }
    return services[name]


async def apologises_and_hangs_up(call: Call, after_s: float) -> None:
    """The apology comes in the assistant's voice, which is tones, or in the offline voice."""
    ending = await call.ended(ENDS_WITHIN_S)
    assert ending.by == "far end"
    if tone_code.literal(APOLOGY) in heard_since(call, after_s):
        return
    last_s = call.heard.last_audio_before(ending.at_s)
    assert last_s is not None, "hung up without a word"
    begun_s = _beginning_of_last_words(call, last_s)
    sound = call.heard.pcm(begun_s - 0.1, last_s + 0.1)
    candidates = (SPOKEN_APOLOGY, *OTHER_SENTENCES)
    assert best_match(sound, call.heard.rate_hz, candidates) == SPOKEN_APOLOGY


def _beginning_of_last_words(call: Call, last_s: float) -> float:
    """Go back from the end until half a second of silence."""
    begun_s = last_s
    while (before_s := call.heard.last_audio_before(begun_s - 0.005)) is not None:
        if begun_s - before_s > 0.7:
            break
        begun_s = before_s - 0.005
    return begun_s


async def assert_recorded(reception: Reception, number: str) -> None:
    record = await reception.record(number)
    assert (record["status"], record["end_reason"]) == ("ended-with-error", "provider_error")
    assert record["error"]


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("chat", Fault("status", status=500)),
        ("chat", Fault("status", status=401)),
        ("chat", Fault("hang")),
        ("chat", Fault("drop", after=3)),
        ("chat", Fault("malformed", after=1)),
        ("realtime", Fault("drop")),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{value.kind} {value.status}",
)
async def test_a_fault_while_answering_is_apologised_for(
    reception: Reception, name: str, fault: Fault
) -> None:
    number = await reception.number()
    service(reception, name).faults.append(fault)
    async with reception.phone.call(number) as call:
        await call.answered()
        await hear_tones(call, "Hello", call.answered_at_s)
        spoken_s = await say_tones(call, "help")
        await apologises_and_hangs_up(call, spoken_s)
    await assert_recorded(reception, number)


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("speech", Fault("status", status=500)),
        ("speech", Fault("hang")),
        ("speech", Fault("hang", after=2)),
        ("speech", Fault("drop", after=2)),
        ("realtime", Fault("status", status=500)),
        ("realtime", Fault("hang")),
        ("realtime", Fault("drop", after_s=1.0)),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{value.kind} {value.after}",
)
async def test_a_fault_during_the_greeting_is_apologised_for(
    reception: Reception, name: str, fault: Fault
) -> None:
    number = await reception.number(first_message="Good morning, welcome")
    service(reception, name).faults.append(fault)
    async with reception.phone.call(number) as call:
        await call.answered()
        await apologises_and_hangs_up(call, call.answered_at_s)
    await assert_recorded(reception, number)


@pytest.mark.parametrize("name", ["chat", "speech"])
async def test_a_fault_that_passes_is_not_noticed(reception: Reception, name: str) -> None:
    number = await reception.number()
    async with reception.phone.call(number) as call:
        await call.answered()
        await hear_tones(call, "Hello", call.answered_at_s)
        service(reception, name).faults.append(Fault("status", status=503, times=1))
        spoken_s = await say_tones(call, "again")
        await hear_tones(call, "You said: again", spoken_s)
        assert call.live


async def test_a_malformed_event_of_the_recogniser_is_passed_over(reception: Reception) -> None:
    number = await reception.number()
    reception.vendor.realtime.faults.append(Fault("malformed"))
    async with reception.phone.call(number) as call:
        await call.answered()
        await hear_tones(call, "Hello", call.answered_at_s)
        spoken_s = await say_tones(call, "torn")
        await hear_tones(call, "You said: torn", spoken_s)


async def test_a_model_that_says_nothing_leaves_the_floor_to_the_caller(
    reception: Reception,
) -> None:
    number = await reception.number()
    async with reception.phone.call(number) as call:
        await call.answered()
        await hear_tones(call, "Hello", call.answered_at_s)
        reception.vendor.chat.faults.append(Fault("silent", times=1))
        await say_tones(call, "nothing")
        await reception.vendor.until(lambda: len(reception.vendor.chat.bodies) >= 1)
        await call.heard.wait_for_silence(0.5, 5)
        spoken_s = await say_tones(call, "hello again")
        await hear_tones(call, "You said: hello again", spoken_s)
