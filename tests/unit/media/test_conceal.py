from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sovereign_ari.media.conceal import Concealer
from sovereign_ari.media.pcm import ALAW_8K, G722_16K, PCM_16K, ULAW_8K, AudioFormat
from sovereign_ari.media.transcode import decoder_for, encoder_for, silence_frame
from tests.unit.media.signals import from_pcm, level_db, sine, to_pcm

WIRES = [ULAW_8K, ALAW_8K, G722_16K, PCM_16K]


def tone_frames(wire: AudioFormat, count: int) -> list[bytes]:
    audio = encoder_for(wire).encode(to_pcm(sine(210, wire.rate_hz, count * 0.020)))
    size = wire.frame_bytes
    return [audio[at : at + size] for at in range(0, len(audio), size)]


@pytest.mark.parametrize("wire", WIRES)
def test_what_came_is_passed_on_unchanged(wire: AudioFormat) -> None:
    concealer = Concealer(wire)
    for frame in tone_frames(wire, 10):
        assert concealer.fill(frame) is frame


@pytest.mark.parametrize("wire", WIRES)
def test_a_vowel_is_continued_and_falls_silent_after_60_ms(wire: AudioFormat) -> None:
    concealer, decoder = Concealer(wire), decoder_for(wire)
    heard = b""
    for frame in [*tone_frames(wire, 10), *[None] * 6]:
        heard += decoder.decode(concealer.fill(frame))
    samples = from_pcm(heard)
    size = wire.rate_hz // 50
    levels = [level_db(samples[at : at + size]) for at in range(0, len(samples), size)]
    assert levels[9] == pytest.approx(0, abs=1)
    assert -4 < levels[10] < 0
    assert levels[10] > levels[11] > levels[12]
    assert all(level < -40 for level in levels[14:])


@pytest.mark.parametrize("wire", [ULAW_8K, ALAW_8K, PCM_16K])
def test_the_continuation_keeps_the_pitch_and_does_not_jump(wire: AudioFormat) -> None:
    concealer = Concealer(wire)
    frames = [concealer.fill(frame) for frame in [*tone_frames(wire, 10), None]]
    samples = from_pcm(decoder_for(wire).decode(b"".join(frames)))
    expected = sine(210, wire.rate_hz, 0.220)
    size = wire.rate_hz // 50
    assert np.corrcoef(samples[-size:], expected[-size:])[0, 1] > 0.95
    steepest = np.abs(np.diff(expected)).max()
    assert np.abs(np.diff(samples))[-size - 2 :].max() < 2 * steepest


def test_a_loss_before_anything_came_is_silence() -> None:
    concealer = Concealer(ULAW_8K)
    assert concealer.fill(None) == silence_frame(ULAW_8K)


@pytest.mark.parametrize("wire", WIRES)
@settings(max_examples=25)
@given(pattern=st.lists(st.none() | st.integers(0, 255), max_size=30))
def test_every_frame_in_gives_one_whole_frame_out(
    wire: AudioFormat, pattern: list[int | None]
) -> None:
    concealer = Concealer(wire)
    for value in pattern:
        frame = None if value is None else bytes([value]) * wire.frame_bytes
        assert len(concealer.fill(frame)) == wire.frame_bytes
