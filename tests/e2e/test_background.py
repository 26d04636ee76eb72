"""A room behind the voice, as the caller hears it."""

from __future__ import annotations

from sovereign_ari.control.room_files import Room
from sovereign_ari.settings import read_settings
from tests.support.fake_ari import until
from tests.support.reception import Reception, hear_tones, heard_since, said
from tests.support.sip_call import Call
from tests.support.tone_code import encode

GAP_S = 0.7
FIRST_AUDIO_S = 1.5  # the room fades in; to make one takes longer
ROOM_DBFS, VOICE_DBFS = -50.0, -30.0
"""Above the first something is heard, above the second it is a voice."""


def in_two_halves(text: str, rate_hz: int) -> bytes:
    """Synthetic speech with a pause that is part of it."""
    spoken = encode(text, rate_hz)
    return spoken + bytes(2 * round(GAP_S * rate_hz)) + spoken


async def made(clip: str) -> None:
    """Wait until this machine has a room, which takes a new one a few seconds."""
    room = Room(clip, 8000).file(read_settings({}, None).cache / "rooms")
    await until(room.is_file, 20)


async def listened(call: Call, seconds: float) -> float:
    """Listen for a while; the level of what was heard."""
    from_s = call.heard.packets[-1].arrived_s
    await call.heard.wait_until(lambda: call.heard.packets[-1].arrived_s > from_s + seconds, 10)
    return call.heard.level_dbfs(from_s, from_s + seconds)


async def test_a_room_is_heard_in_silence_and_steps_back_for_the_agent(
    reception: Reception,
) -> None:
    reception.vendor.speech.render = in_two_halves
    room = {"background_audio": {"enabled": True, "clip": "office", "volume": 0.3}}
    number = await reception.number(first_message=None, speech_config=room)
    await made("office")
    async with reception.phone.call(number) as call:
        await call.answered()
        begun_s = await call.heard.wait_for_audio(call.answered_at_s, 20, ROOM_DBFS)
        assert begun_s - call.answered_at_s < FIRST_AUDIO_S
        await listened(call, 0.3)
        assert -43 < await listened(call, 1.0) < -37
        live = await reception.record(number, lambda found: found["status"] == "in-progress")
        asked_s = call.heard.packets[-1].arrived_s
        line = {"type": "say", "content": "In this room", "end_after": False}
        await reception.api.request("POST", f"/calls/{live['id']}/control", line)
        begun_s = await call.heard.wait_for_audio(asked_s, 10, VOICE_DBFS)
        ended_s = await call.heard.wait_for_silence(GAP_S + 0.6, 15, VOICE_DBFS)
        assert heard_since(call, asked_s) == ["In this room"] * 2
        half_s = (ended_s - begun_s - GAP_S) / 2
        gap_s = begun_s + half_s
        assert call.heard.level_dbfs(begun_s + 0.1, gap_s - 0.1) > -20
        ducked = call.heard.level_dbfs(gap_s + 0.1, gap_s + GAP_S - 0.1)
        assert -55 < ducked < -49
        assert -43 < call.heard.level_dbfs(ended_s + 0.3, ended_s + GAP_S + 0.5) < -37
    record = await reception.record(number)
    assert said(record) == [("assistant", "In this room")]


async def test_without_a_room_silence_is_silent(reception: Reception) -> None:
    number = await reception.number()
    async with reception.phone.call(number) as call:
        await call.answered()
        await hear_tones(call, "Hello", call.answered_at_s)
        await listened(call, 0.1)
        assert await listened(call, 0.3) == -120
