from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sovereign_ari.media.ambience import Ambience
from sovereign_ari.media.ambience_clips import CLIPS, LOOP_FRAMES
from sovereign_ari.media.pcm import ALAW_8K, PCM_8K, PCM_16K, ULAW_8K, AudioFormat
from sovereign_ari.media.transcode import decoder_for, encoder_for, silence_frame
from tests.unit.media.signals import clip_pcm, from_pcm, sine, to_pcm

STEADY = to_pcm(np.full(1600, 8000.0))  # a loop that shows nothing but its gain
VOICE = to_pcm(sine(440, 8000, 0.02, peak=4600))  # -20 dBFS
UNDER_SPEECH = 10 ** (-12 / 20)


def steady(volume: float = 1.0) -> Ambience:
    """A room that has come up already."""
    room = Ambience(STEADY, volume, PCM_8K)
    for _ in range(10):
        room.frame(None)
    return room


def levels(frames: Iterable[bytes]) -> list[float]:
    """The gain at the end of each frame of a steady room, in dB."""
    return [20 * float(np.log10(from_pcm(frame)[-1] / 8000)) for frame in frames]


def under(voice: bytes, frame: bytes) -> bytes:
    return to_pcm(from_pcm(frame) - from_pcm(voice))


@pytest.mark.parametrize(
    ("clip", "wire"),
    [*((clip, ULAW_8K) for clip in CLIPS), ("forest", ALAW_8K), ("forest", PCM_16K)],
)
def test_a_room_at_the_default_volume_is_heard_at_minus_40_dbfs(
    clip: str, wire: AudioFormat
) -> None:
    room = Ambience(clip_pcm(clip, wire.rate_hz), 0.3, wire)
    frames = [room.frame(None) for _ in range(LOOP_FRAMES)]
    assert {len(frame) for frame in frames} == {wire.frame_bytes}
    heard = from_pcm(decoder_for(wire).decode(b"".join(frames)))
    assert 20 * np.log10(heard.std() / 32768) == pytest.approx(-40, abs=0.5)


def test_a_room_steps_back_by_12_db_within_100_ms_of_speech_and_comes_back_in_200() -> None:
    room = steady()
    down = levels(under(VOICE, room.frame(VOICE)) for _ in range(8))
    assert down == sorted(down, reverse=True)
    assert down[:5] == pytest.approx([-2.4, -4.8, -7.2, -9.6, -12.0], abs=0.1)
    assert down[4:] == pytest.approx([-12.0] * 4, abs=0.1)
    up = levels(room.frame(None) for _ in range(12))
    assert up[:10] == pytest.approx([-12 + 1.2 * n for n in range(1, 11)], abs=0.1)
    assert up[9:] == pytest.approx([0.0] * 3, abs=0.01)


def test_speech_that_stops_on_the_way_down_turns_the_room_round_where_it_is() -> None:
    room = steady()
    assert levels([under(VOICE, room.frame(VOICE))]) == pytest.approx([-2.4], abs=0.1)
    assert levels([room.frame(None)]) == pytest.approx([-1.2], abs=0.1)
    again = [under(VOICE, room.frame(VOICE)) for _ in range(5)]
    assert levels(again) == pytest.approx([-3.6, -6.0, -8.4, -10.8, -12.0], abs=0.1)


@pytest.mark.parametrize("wire", [ULAW_8K, ALAW_8K, PCM_16K])
def test_the_room_alone_goes_on_where_the_voice_stopped(wire: AudioFormat) -> None:
    size = wire.rate_hz // 50
    loop = to_pcm(np.repeat([1000.0, 2000.0, 3000.0], size))  # each frame says which it is
    room, silence = Ambience(loop, 0.5, wire, start_frame=2), silence_frame(wire)
    voices = [None] * 14 + [silence] * 6 + [None] * 25
    heard = [from_pcm(decoder_for(wire).decode(room.frame(voice))) for voice in voices]
    for number, frame in enumerate(heard):
        if voices[max(0, number - 10) : number + 1] == [None] * 11:
            level = 500 * (1 + (number + 2) % 3)
            assert frame == pytest.approx(np.full(size, level), rel=0.04)


@given(st.lists(st.booleans(), max_size=60))
def test_the_gain_never_jumps(speaks: list[bool]) -> None:
    room, silence = steady(), bytes(320)
    heard = from_pcm(b"".join(room.frame(silence if voice else None) for voice in speaks))
    if len(heard):
        assert np.abs(np.diff(heard)).max() <= 14  # of 8000: a ramp of a frame, 2.4 dB
        assert heard.max() <= 8000
        assert heard.min() >= 8000 * UNDER_SPEECH - 2


def test_the_voice_is_untouched_but_for_the_room() -> None:
    room = steady(volume=0.5)
    for _ in range(5):
        room.frame(VOICE)
    left = from_pcm(under(VOICE, room.frame(VOICE)))
    assert left == pytest.approx(np.full(160, 4000 * UNDER_SPEECH), abs=1)


@given(
    peak=st.floats(0, 32767),
    volume=st.floats(0.05, 1),
    before=st.integers(0, 12),
    sign=st.sampled_from([1, -1]),
)
def test_no_voice_is_ever_clipped(peak: float, volume: float, before: int, sign: int) -> None:
    room = Ambience(STEADY, volume, PCM_8K)
    voice = to_pcm(sign * sine(500, 8000, 0.02, peak=peak) - (peak > 32766))
    for _ in range(before):
        room.frame(voice)
    left = from_pcm(room.frame(voice)) - from_pcm(voice)
    assert left.min() >= 0
    # The room's gain may glide through a frame; a clipped voice would dent it at each crest.
    assert np.abs(np.diff(left)).max() <= 14


@pytest.mark.parametrize("wire", [ULAW_8K, ALAW_8K])
def test_the_loudest_voice_of_g711_keeps_its_crests(wire: AudioFormat) -> None:
    loudest = encoder_for(wire).encode(np.full(160, 32767, dtype="<i2").tobytes())
    room = Ambience(STEADY, 1.0, wire)
    for _ in range(8):
        assert room.frame(loudest) == loudest


def test_a_loop_goes_round_and_each_call_begins_in_a_place_of_its_own() -> None:
    loop = to_pcm(np.repeat(np.arange(10.0) * 100, 160))
    first, other = Ambience(loop, 1.0, PCM_8K), Ambience(loop, 1.0, PCM_8K, start_frame=1504)
    rounds = [round(from_pcm(first.frame(None))[-1] / 100) for _ in range(30)][10:]
    assert rounds == [*range(10), *range(10)]
    others = [round(from_pcm(other.frame(None))[-1] / 100) for _ in range(20)][10:]
    assert others == [4, 5, 6, 7, 8, 9, 0, 1, 2, 3]


def test_a_room_comes_up_rather_than_being_switched_on() -> None:
    room = Ambience(STEADY, 1.0, PCM_8K)
    assert levels(room.frame(None) for _ in range(3)) == pytest.approx(
        [-10.8, -9.6, -8.4], abs=0.1
    )
