from __future__ import annotations

import asyncio

import pytest

from tests.support.reception import Reception, hear_tones, heard_since, said, say_tones
from tests.support.recognise import best_match
from tests.support.residue import udp_ports
from tests.support.rtp_packets import RtpPacket, codec_named
from tests.support.rtp_port import stranger_speaks
from tests.support.sip_call import Call
from tests.support.sip_caller import Line, NetworkFaults
from tests.support.speech_samples import speech, tone

SPOKEN = "Please listen to the long story"
SENTENCES = (
    "i would like a table for two",
    "when do you open tomorrow",
    "please cancel my appointment",
    "what does a cake cost",
)


async def asks_and_is_answered(call: Call, question: str) -> None:
    spoken_s = await say_tones(call, question)
    await hear_tones(call, f"You said: {question}", spoken_s)


@pytest.mark.parametrize("codec", ["ulaw", "alaw", "g722"])
async def test_every_codec_carries_a_conversation(reception: Reception, codec: str) -> None:
    number = await reception.number()
    async with reception.phone.call(number, codecs=(codec,)) as call:
        await call.answered()
        assert call.heard.codec == codec
        greeted_s = await hear_tones(call, "Hello", call.answered_at_s)
        assert -24 < call.heard.level_dbfs(greeted_s + 0.05, greeted_s + 0.35) < -8
        await asks_and_is_answered(call, "codec")
        assert call.heard.foreign == 0
    record = await reception.record(number)
    assert ("user", "codec") in said(record)


async def test_the_callers_first_codec_is_used(reception: Reception) -> None:
    number = await reception.number()
    async with reception.phone.call(number, codecs=("opus", "alaw", "ulaw")) as call:
        await call.answered()
        assert call.heard.codec == "alaw"
        await hear_tones(call, "Hello", call.answered_at_s)


@pytest.mark.parametrize(
    "faults",
    [
        NetworkFaults(loss=0.05, seed=7),
        NetworkFaults(reorder=0.2, seed=7),
        NetworkFaults(jitter_ms=60, seed=7),
        NetworkFaults(loss=0.05, reorder=0.05, jitter_ms=60, seed=7),
    ],
    ids=["5 % lost", "out of order", "60 ms of jitter", "all of it"],
)
async def test_a_bad_network_does_not_keep_us_from_understanding(
    reception: Reception, faults: NetworkFaults
) -> None:
    number = await reception.number()
    realtime = reception.vendor.realtime
    realtime.recognise = lambda pcm: best_match(pcm, 8000, SENTENCES)
    said_now = SENTENCES[1]
    async with reception.phone.call(number, line=Line(faults=faults)) as call:
        await call.answered()
        await hear_tones(call, "Hello", call.answered_at_s)
        spoken_s = await call.say(speech(said_now))
        await hear_tones(call, f"You said: {said_now}", spoken_s)
        if faults.loss:
            assert call.rtp.path.dropped > 0
        if faults.reorder:
            assert call.rtp.path.swapped > 0
    record = await reception.record(number)
    assert [words for role, words in said(record) if role == "user"] == [said_now]


async def test_a_reply_has_no_hole_and_silence_goes_on_around_it(reception: Reception) -> None:
    number = await reception.number(first_message=SPOKEN)
    async with reception.phone.call(number) as call:
        await call.answered()
        begun_s = await call.heard.wait_for_audio(call.answered_at_s, 5)
        ended_s = await call.heard.wait_for_silence(1.0, 10)
        assert call.heard.holes(begun_s + 0.02, ended_s - 0.02, buffer_s=1.0) == []
        assert call.heard.order.lost == 0
        packets = len(call.heard.packets)
        await call.heard.wait_until(lambda: len(call.heard.packets) > packets + 25, 2)


async def test_a_line_that_falls_silent_without_packets_ends_the_turn(
    reception: Reception,
) -> None:
    number = await reception.number()
    async with reception.phone.call(number, line=Line(dtx=True)) as call:
        await call.answered()
        await hear_tones(call, "Hello", call.answered_at_s)
        await asks_and_is_answered(call, "one way")
        await asks_and_is_answered(call, "and back")


async def test_a_new_source_and_a_new_offer_do_not_disturb_the_call(reception: Reception) -> None:
    number = await reception.number()
    async with reception.phone.call(number) as call:
        await call.answered()
        await hear_tones(call, "Hello", call.answered_at_s)
        call.sender.change_ssrc()
        await asks_and_is_answered(call, "new source")
        assert await call.reinvite() == 200
        await asks_and_is_answered(call, "new offer")
        assert call.live


async def test_digits_stand_in_the_timeline(reception: Reception) -> None:
    number = await reception.number()
    async with reception.phone.call(number) as call:
        await call.answered()
        await hear_tones(call, "Hello", call.answered_at_s)
        await call.press("14*#")
        await asks_and_is_answered(call, "digits")
    record = await reception.record(number)
    timeline = await reception.timeline(record)
    notes = [note for note in timeline["events"] if note["kind"] == "dtmf"]
    assert [note["detail"]["digit"] for note in notes] == ["1", "4", "*", "#"]
    assert [words for role, words in said(record) if role == "user"] == ["digits"]


async def test_rtp_from_a_stranger_is_not_heard(reception: Reception) -> None:
    number = await reception.number(first_message=SPOKEN)
    async with reception.phone.call(number) as call:
        await call.answered()
        begun_s = await call.heard.wait_for_audio(call.answered_at_s, 5)
        (ours,) = udp_ports(reception.platform.controller_pid)
        assert call.rtp.remote is not None
        codec, loud = codec_named("ulaw"), tone(1000, 0.02, level_dbfs=-6)
        for step in range(40):
            packet = RtpPacket(0, step, step * 160, 666, codec.encode(loud))
            garbage = RtpPacket(99, step, step * 160, 667, b"garbage")
            stranger_speaks(("127.0.0.1", ours), [packet, garbage])
            stranger_speaks(call.rtp.remote, [packet, garbage])
            await asyncio.sleep(0.02)
        await call.heard.wait_for_silence(0.5, 10)
        assert heard_since(call, begun_s - 0.02)[:1] == [SPOKEN[:24]]
        (session,) = reception.vendor.sessions
        assert max(session.heard, default=0) == 0
        await asks_and_is_answered(call, "still me")
    record = await reception.record(number)
    assert ("assistant", SPOKEN) in said(record)


async def test_garbage_from_the_callers_own_address_is_dropped(reception: Reception) -> None:
    number = await reception.number()
    async with reception.phone.call(number) as call:
        await call.answered()
        await hear_tones(call, "Hello", call.answered_at_s)
        call.rtp.send_garbage(200)
        await asks_and_is_answered(call, "sorry")
        assert call.live
