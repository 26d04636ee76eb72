"""What a caller hears who waits for somebody else."""

from __future__ import annotations

import audioop

import pytest

from sovereign_ari.media.pcm import BY_CODEC, PCM_16K, AudioFormat
from sovereign_ari.media.waiting import PAUSE_S, RINGING_S, Sound, Waiting

ULAW = BY_CODEC["ulaw"]


@pytest.mark.parametrize("sound", Sound)
@pytest.mark.parametrize("wire", [ULAW, BY_CODEC["alaw"], PCM_16K])
def test_every_frame_lasts_20_ms_and_the_sound_never_ends(sound: Sound, wire: AudioFormat) -> None:
    waiting = Waiting(sound, wire)
    sizes = {len(waiting.next_frame()) for _ in range(2500)}
    assert sizes == {wire.frame_bytes}


def test_ringing_is_a_second_of_tone_and_four_of_silence() -> None:
    waiting = Waiting(Sound.RINGBACK, PCM_16K)
    loud = [audioop.rms(waiting.next_frame(), 2) > 100 for _ in range(500)]
    ring, pause = [True] * round(RINGING_S * 50), [False] * round(PAUSE_S * 50)
    assert loud == (ring + pause) * 2


def test_the_music_is_quiet_and_has_no_gap() -> None:
    waiting = Waiting(Sound.MUSIC, PCM_16K)
    levels = [audioop.rms(b"".join(waiting.next_frame() for _ in range(25)), 2) for _ in range(40)]
    assert 200 < min(levels)
    assert max(levels) < 3000
