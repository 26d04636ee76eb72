"""Vendors that die during a call whose assistant has others to fall back on."""

from __future__ import annotations

import asyncio
import audioop
from typing import Any

from tests.support.fake_openai import Fault
from tests.support.reception import Reception, hear_tones, heard_since, said
from tests.support.sip_call import Call
from tests.support.speech_samples import speech
from tests.support.tone_code import encode

EARS = {
    "provider": "openai",
    "model": "gpt-4o-transcribe",
    "fallback": [{"provider": "openai", "model": "gpt-4o-mini-transcribe"}],
}
VOICES = {
    "provider": "openai",
    "voice_id": "alloy",
    "fallback": [{"provider": "openai", "voice_id": "verse"}],
}
LINE = "alpha bravo charlie delta echo foxtrot golf hotel india juliet kilo lima."
LONGEST_HOLE_S = 2.0
SENTENCE = speech("i would like to make an appointment")
LOUD_RMS = 300
FRAME_BYTES = 320


def loud_frames(pcm_8k: bytes) -> int:
    frames = (pcm_8k[at : at + FRAME_BYTES] for at in range(0, len(pcm_8k), FRAME_BYTES))
    return sum(audioop.rms(frame, 2) > LOUD_RMS for frame in frames)


def as_share(pcm_8k: bytes) -> str:
    """Recognise how much of the sentence there is."""
    share = loud_frames(pcm_8k) / loud_frames(SENTENCE)
    return "" if share < 0.05 else "all" if 0.95 < share < 1.05 else f"{share:.0%}"


def word_by_word(text: str, rate_hz: int) -> bytes:
    """Speech of which every word can be told."""
    return b"".join(encode(word, rate_hz) for word in text.split())


async def changes(reception: Reception, number: str, kind: str) -> list[dict[str, Any]]:
    """What the timeline of a call says about the providers of one kind."""
    record = await reception.record(number)
    events = (await reception.timeline(record))["events"]
    details = [{"what": event["kind"], **event["detail"]} for event in events]
    return [detail for detail in details if detail.get("kind") == kind]


async def heard_to_the_end(call: Call, after_s: float, last: str) -> list[str]:
    """Every word from `after_s` until one that ends what is said."""
    async with asyncio.timeout(25):
        while last not in (words := heard_since(call, after_s)):  # noqa: ASYNC110 - read anew
            await asyncio.sleep(0.2)
    await call.heard.wait_for_silence(0.3, 5)
    return words


async def test_a_voice_that_dies_in_the_middle_is_followed_by_another(
    reception: Reception,
) -> None:
    synthesis = reception.vendor.speech
    synthesis.render, synthesis.chunk_s = word_by_word, 0.08
    reception.vendor.reply = lambda _messages, _tools: LINE
    reception.vendor.realtime.recognise = as_share
    number = await reception.number(first_message=None, tts_config=VOICES)
    async with reception.phone.call(number) as call:
        await call.answered()
        synthesis.faults.append(Fault("drop", after=25, times=2))
        spoken_s = await call.say(SENTENCE)
        begun_s = await call.heard.wait_for_audio(spoken_s, 10)
        words = await heard_to_the_end(call, spoken_s, "lima.")
        ended_s = call.heard.last_audio_before(call.heard.packets[-1].arrived_s)
        assert ended_s is not None
        assert call.heard.holes(begun_s, ended_s, LONGEST_HOLE_S) == []
    reached = 0
    for word in words:
        place = LINE.split().index(word)
        assert place <= reached, f"a word is missing before {word}: {words}"
        reached = max(reached, place + 1)
    assert len(words) <= len(LINE.split()) + 5, "much was said twice"
    voices = [
        body["voice"] for kind, body in reception.vendor.journal.requests if kind == "speech"
    ]
    assert voices == ["alloy", "alloy", "verse"]
    assert said(await reception.record(number)) == [("user", "all"), ("assistant", LINE)]
    told = await changes(reception, number, "tts")
    assert [each["what"] for each in told] == ["provider_retry", "provider_fallback"]


async def test_a_recogniser_that_is_killed_in_the_middle_of_a_sentence_costs_no_word(
    reception: Reception,
) -> None:
    number = await reception.number(stt_config=EARS)
    realtime = reception.vendor.realtime
    realtime.recognise = as_share
    async with reception.phone.call(number) as call:
        await call.answered()
        await hear_tones(call, "Hello", call.answered_at_s)
        saying = call.say_now(SENTENCE)
        await asyncio.sleep(0.8)
        realtime.faults.append(Fault(status=500, times=2))  # nor does it let anybody in again
        realtime.sessions[-1].break_off()
        spoken_s = await saying.finished
        await hear_tones(call, "You said: all", spoken_s)
    assert said(await reception.record(number)) == [
        ("assistant", "Hello"),
        ("user", "all"),
        ("assistant", "You said: all"),
    ]
    models = [s.config["audio"]["input"]["transcription"]["model"] for s in realtime.sessions]
    assert models == ["gpt-4o-transcribe", "gpt-4o-mini-transcribe"]
    told = await changes(reception, number, "stt")
    assert told[-1]["what"] == "provider_fallback"
    assert told[-1]["to"] == "openai/gpt-4o-mini-transcribe"


async def test_with_a_bad_key_the_fallback_hears_from_the_first_word(
    reception: Reception,
) -> None:
    reception.vendor.realtime.recognise = as_share
    number = await reception.number(first_message=None, stt_config=EARS)
    reception.vendor.realtime.faults.append(Fault(status=401, times=1))
    async with reception.phone.call(number) as call:
        await call.answered()
        spoken_s = await call.say(SENTENCE)
        await hear_tones(call, "You said: all", spoken_s)
    (told,) = await changes(reception, number, "stt")
    assert (told["what"], told["code"]) == ("provider_fallback", "provider_refused")
    assert "the key is wrong" in told["message"]
    assert (told["from"], told["to"]) == (
        "openai/gpt-4o-transcribe",
        "openai/gpt-4o-mini-transcribe",
    )
