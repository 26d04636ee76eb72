from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.support.reception import Reception, hear_tones, heard_since, said, say_tones
from tests.support.sip_caller import CallRejected, SipCaller


async def test_a_call_in_which_nobody_speaks_is_ended(reception: Reception) -> None:
    number = await reception.number(silence_timeout_seconds=2)
    async with reception.phone.call(number) as call:
        await call.answered()
        await hear_tones(call, "Hello", call.answered_at_s)
        ending = await call.ended(10)
        assert ending.by == "far end"
        last_s = call.heard.last_audio_before(ending.at_s)
        assert last_s is not None
        assert ending.at_s - last_s > 1.5
    record = await reception.record(number)
    assert (record["status"], record["end_reason"]) == ("ended", "silence_timeout")


async def test_speaking_keeps_a_quiet_call_alive(reception: Reception) -> None:
    number = await reception.number(silence_timeout_seconds=2)
    async with reception.phone.call(number) as call:
        await call.answered()
        await hear_tones(call, "Hello", call.answered_at_s)
        for word in ("one", "two"):
            await asyncio.sleep(1.2)
            spoken_s = await say_tones(call, word)
            await hear_tones(call, f"You said: {word}", spoken_s)
        assert call.live


async def test_the_longest_call_ends_with_a_word(reception: Reception) -> None:
    number = await reception.number(
        max_duration_seconds=10, speech_config={"end_call_message": "Time is up"}
    )
    async with reception.phone.call(number) as call:
        await call.answered()
        await hear_tones(call, "Hello", call.answered_at_s)
        ending = await call.ended(25)
        assert ending.by == "far end"
        assert heard_since(call, call.answered_at_s) == ["Hello", "Time is up"]
        assert 10 < ending.at_s - call.answered_at_s < 16
    record = await reception.record(number)
    assert (record["status"], record["end_reason"]) == ("ended", "max_duration")
    assert said(record)[-1] == ("assistant", "Time is up")


@pytest.fixture
def softphone_password(reception: Reception) -> str:
    return Path(reception.platform.ready["softphone_password_file"]).read_text().strip()


async def test_a_softphone_registers_and_calls_with_its_password(
    reception: Reception, softphone_password: str
) -> None:
    number = await reception.number()
    sip = reception.platform.sip
    async with SipCaller(sip, user="softphone", password=softphone_password) as softphone:
        assert await softphone.register() == 200
        async with softphone.call(number) as call:
            await call.answered()
            assert call.invite.message.header("Authorization").startswith("Digest ")
            await hear_tones(call, "Hello", call.answered_at_s)
        assert await softphone.register(expires_s=0) == 200


async def test_a_softphone_with_a_wrong_password_is_refused(reception: Reception) -> None:
    number = await reception.number()
    sip = reception.platform.sip
    async with SipCaller(sip, user="softphone", password="wrong") as softphone:
        assert await softphone.register() == 401
        async with softphone.call(number) as call:
            with pytest.raises(CallRejected) as refusal:
                await call.answered()
        assert refusal.value.status == 401
    assert await reception.calls(number) == []
