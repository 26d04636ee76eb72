from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sovereign_ari.media.resample import Resampler
from tests.unit.media.signals import from_pcm, level_db, sine, to_pcm, white_noise

RATIOS = [
    (8000, 16000),
    (16000, 8000),
    (8000, 24000),
    (24000, 8000),
    (16000, 24000),
    (24000, 16000),
    (22050, 8000),
    (22050, 16000),
    (48000, 8000),
]


def converted(samples: np.ndarray, source_hz: int, target_hz: int) -> np.ndarray:
    resampler = Resampler(source_hz, target_hz)
    return from_pcm(resampler.process(to_pcm(samples)) + resampler.flush())


@pytest.mark.parametrize(("source_hz", "target_hz"), RATIOS)
@pytest.mark.parametrize("share", [0.05, 0.25, 0.5, 0.75, 0.80])
def test_the_passband_is_flat(source_hz: int, target_hz: int, share: float) -> None:
    hz = share * min(source_hz, target_hz) / 2
    output = converted(sine(hz, source_hz, 1), source_hz, target_hz)
    settled = output[target_hz // 10 : -target_hz // 10]
    assert level_db(settled) == pytest.approx(0, abs=0.3)


@pytest.mark.parametrize(("source_hz", "target_hz"), RATIOS)
@pytest.mark.parametrize("share", [1.0, 1.1, 1.5, 1.9])
def test_aliases_and_images_are_below_60_db(source_hz: int, target_hz: int, share: float) -> None:
    """Going down nothing may fold; going up nothing may appear above the old Nyquist."""
    nyquist_hz = min(source_hz, target_hz) / 2
    if source_hz > target_hz:
        hz = share * nyquist_hz
        if hz >= source_hz / 2:
            hz = 0.99 * source_hz / 2
        output = converted(sine(hz, source_hz, 1, 30_000), source_hz, target_hz)
        assert level_db(output[target_hz // 10 : -target_hz // 10], 30_000) < -60
    else:
        hz = nyquist_hz * (share - 1) * 0.9 + 50
        output = converted(sine(hz, source_hz, 1, 30_000), source_hz, target_hz)
        settled = output[target_hz // 10 : -target_hz // 10]
        spectrum = np.abs(np.fft.rfft(settled * np.blackman(len(settled))))
        frequencies = np.fft.rfftfreq(len(settled), 1 / target_hz)
        images = spectrum[frequencies > nyquist_hz * 1.02]
        assert 20 * np.log10(images.max() / spectrum.max()) < -60


@pytest.mark.parametrize(("source_hz", "target_hz"), RATIOS)
def test_the_lag_is_constant_and_at_most_5_ms(source_hz: int, target_hz: int) -> None:
    """Clicks a second apart come out where the filter says, to half a sample."""
    clicks_s = [0.1013, 0.5, 0.9037]
    samples = np.zeros(source_hz)
    for click_s in clicks_s:
        samples[round(click_s * source_hz)] = 30_000
    resampler = Resampler(source_hz, target_hz)
    output = from_pcm(resampler.process(to_pcm(samples)) + resampler.flush())
    assert resampler.lag_s <= 0.005
    for click_s in clicks_s:
        at = round(click_s * source_hz) / source_hz + resampler.lag_s
        near = slice(round((at - 0.02) * target_hz), round((at + 0.02) * target_hz))
        weights = output[near] ** 2
        centre = np.sum(np.arange(near.start, near.stop) * weights) / weights.sum() / target_hz
        assert centre == pytest.approx(at, abs=0.5 / target_hz)


@pytest.mark.parametrize(("source_hz", "target_hz"), RATIOS)
def test_nothing_is_held_back_but_the_lag(source_hz: int, target_hz: int) -> None:
    resampler = Resampler(source_hz, target_hz)
    frame, made = bytes(source_hz // 50 * 2), 0
    for number in range(1, 200):
        made += len(resampler.process(frame)) // 2
        due = number * (source_hz // 50) * target_hz / source_hz
        assert due - 1 <= made <= due + 1


@pytest.mark.parametrize(("source_hz", "target_hz"), RATIOS)
def test_the_length_is_kept_and_the_end_is_not_cut(source_hz: int, target_hz: int) -> None:
    resampler = Resampler(source_hz, target_hz)
    samples = np.concatenate((np.zeros(source_hz // 2), np.full(source_hz // 2, 8000.0)))
    output = from_pcm(resampler.process(to_pcm(samples)) + resampler.flush())
    assert len(output) == pytest.approx((1 + resampler.lag_s) * target_hz, abs=3)
    last_full_s = np.flatnonzero(output > 4000)[-1] / target_hz
    assert last_full_s == pytest.approx(1 + resampler.lag_s, abs=0.001)


@pytest.mark.parametrize(("source_hz", "target_hz"), RATIOS)
@settings(max_examples=15)
@given(sizes=st.lists(st.integers(0, 900), min_size=1, max_size=8))
def test_the_chunks_do_not_matter(source_hz: int, target_hz: int, sizes: list[int]) -> None:
    pcm = to_pcm(white_noise(8000, 0.15, -12))
    whole = Resampler(source_hz, target_hz)
    expected = whole.process(pcm) + whole.flush()
    pieces, output, at = Resampler(source_hz, target_hz), b"", 0
    while at < len(pcm):
        for size in [*sizes, 1]:
            output += pieces.process(pcm[at : at + size])
            at += size
    assert output + pieces.flush() == expected


def test_after_a_flush_it_begins_anew() -> None:
    pcm = to_pcm(white_noise(8000, 0.1, -12))
    resampler = Resampler(8000, 16000)
    first = resampler.process(pcm) + resampler.flush()
    assert resampler.process(pcm) + resampler.flush() == first


def test_full_scale_does_not_wrap_around() -> None:
    square = np.where(sine(300, 8000, 0.5) > 0, 32767.0, -32768.0)
    output = converted(square, 8000, 16000)
    expected = np.repeat(np.sign(square), 2)
    middle = slice(4000, 4400)
    shifted = output[47:][middle]
    assert np.mean(np.sign(shifted) == expected[middle]) > 0.97


def test_equal_rates_change_nothing() -> None:
    resampler = Resampler(8000, 8000)
    assert resampler.process(b"\x01\x02\x03") == b"\x01\x02\x03"
    assert resampler.flush() == b""
