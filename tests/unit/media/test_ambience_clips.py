from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from sovereign_ari.media.ambience_clips import CLIPS, LEVEL_DBFS, LOOP_S, clip_loop
from tests.unit.media.signals import clip_pcm, from_pcm

Sound = NDArray[np.float64]
RATES = [8000, 16000]
every_loop = pytest.mark.parametrize(
    ("clip", "rate_hz"), [(clip, rate_hz) for clip in CLIPS for rate_hz in RATES]
)


def loop(clip: str, rate_hz: int = 8000) -> Sound:
    return from_pcm(clip_pcm(clip, rate_hz))


def dbfs(sound: Sound) -> float:
    return float(20 * np.log10(np.sqrt(np.mean(sound**2)) / 32768))


def share_db(sound: Sound, rate_hz: int, low_hz: float, high_hz: float) -> float:
    """How much of a sound lies between two frequencies."""
    power = np.abs(np.fft.rfft(sound)) ** 2
    hz = np.fft.rfftfreq(len(sound), 1 / rate_hz)
    return float(10 * np.log10(power[(hz >= low_hz) & (hz < high_hz)].sum() / power.sum()))


def beyond_band_db(sound: Sound, rate_hz: int) -> float:
    """What lies above the band of a clip, within a window that would hide no step."""
    return share_db(sound * np.blackman(len(sound)), rate_hz, 0.46 * rate_hz, rate_hz / 2)


def loudness(sound: Sound, rate_hz: int, block_s: float) -> Sound:
    blocks = sound.reshape(-1, round(block_s * rate_hz))
    levels: Sound = np.sqrt(np.mean(blocks**2, axis=1))
    return levels


@every_loop
def test_a_clip_has_its_level_all_along_and_room_above(clip: str, rate_hz: int) -> None:
    sound = loop(clip, rate_hz)
    assert len(sound) == LOOP_S * rate_hz
    assert dbfs(sound) == pytest.approx(LEVEL_DBFS, abs=0.05)
    assert dbfs(0.3 * sound) == pytest.approx(-40, abs=0.1)
    seconds = 20 * np.log10(loudness(sound, rate_hz, 1.0) / 32768)
    assert seconds.min() > LEVEL_DBFS - 10
    assert seconds.max() < LEVEL_DBFS + 7
    assert np.abs(sound).max() < 12_000
    assert abs(sound.mean()) < 1


@every_loop
def test_nobody_hears_where_a_loop_begins_again(clip: str, rate_hz: int) -> None:
    sound = loop(clip, rate_hz)
    half = round(0.05 * rate_hz)
    seam = np.concatenate((sound[-half:], sound[:half]))
    assert beyond_band_db(seam, rate_hz) < -45
    torn = [np.concatenate((sound[-half - n : -n], sound[:half])) for n in range(99, 999, 99)]
    assert max(beyond_band_db(tear, rate_hz) for tear in torn) > -45


@every_loop
def test_a_clip_stays_within_the_band_of_the_telephone(clip: str, rate_hz: int) -> None:
    sound = loop(clip, rate_hz)
    assert share_db(sound, rate_hz, 0.45 * rate_hz, rate_hz / 2) < -50
    assert share_db(sound, rate_hz, 0, 50) < -60


@pytest.mark.parametrize("clip", CLIPS)
def test_both_rates_carry_the_same_room(clip: str) -> None:
    narrow, wide = loudness(loop(clip), 8000, 0.5), loudness(loop(clip, 16000), 16000, 0.5)
    assert np.corrcoef(narrow, wide)[0, 1] > 0.8


def test_a_clip_is_the_same_in_every_process() -> None:
    assert clip_loop("forest", 8000) == clip_pcm("forest", 8000)


def test_an_unknown_clip_is_an_error() -> None:
    with pytest.raises(KeyError):
        clip_loop("submarine", 8000)


def test_an_office_hums_and_types() -> None:
    power = np.abs(np.fft.rfft(loop("office"))) ** 2
    for hz in (100, 200, 300):
        line = power[hz * LOOP_S]
        around = np.median(power[hz * LOOP_S - 300 : hz * LOOP_S + 300])
        assert line > 100 * around, hz
    keys = sharp_moments(loop("office"))
    assert 30 < keys < 250
    assert sharp_moments(loop("city")) < keys / 3


def sharp_moments(sound: Sound) -> int:
    """Count the blocks of 5 ms that are far louder than those before, above 1.5 kHz."""
    levels = loudness(filtered(sound, 8000, 1500, 3500), 8000, 0.005)
    before = (levels[1:-2] + levels[:-3]) / 2
    return int(np.count_nonzero(levels[3:] > 4 * before))


def filtered(sound: Sound, rate_hz: int, low_hz: float, high_hz: float) -> Sound:
    spectrum = np.fft.rfft(sound)
    hz = np.fft.rfftfreq(len(sound), 1 / rate_hz)
    spectrum[(hz < low_hz) | (hz > high_hz)] = 0
    return np.fft.irfft(spectrum, len(sound))


def test_a_city_rumbles_and_cars_pass() -> None:
    low = {clip: share_db(loop(clip), 8000, 60, 300) for clip in CLIPS}
    assert low["city"] > -4
    assert low["city"] > max(low["forest"], low["crowded_room"]) + 4
    tyres = loudness(filtered(loop("city"), 8000, 500, 1500), 8000, 0.5)
    assert tyres.max() > 4 * np.percentile(tyres, 20)


def test_birds_sing_in_a_forest() -> None:
    songs = {clip: tonal_moments(loop(clip)) for clip in CLIPS}
    assert songs["forest"] > 3 * max(songs[clip] for clip in CLIPS if clip != "forest"), songs


def tonal_moments(sound: Sound) -> int:
    """Count the moments of 32 ms in which one high tone stands out."""
    moments = sound[: len(sound) // 256 * 256].reshape(-1, 256) * np.hanning(256)
    high = np.abs(np.fft.rfft(moments, axis=1))[:, 60:105] ** 2  # 1.9 to 3.3 kHz
    return int(np.count_nonzero(high.max(axis=1) > 60 * np.median(high, axis=1)))


def test_a_crowd_has_the_rhythm_of_syllables() -> None:
    rhythm = {clip: syllable_rhythm(loop(clip)) for clip in CLIPS}
    assert all(rhythm["crowded_room"] > 1.5 * rhythm[clip] for clip in ("city", "forest")), rhythm


def syllable_rhythm(sound: Sound) -> float:
    """How much the loudness of the band of speech moves at 2 to 7 Hz, against 10 to 20 Hz."""
    levels = loudness(filtered(sound, 8000, 300, 2000), 8000, 0.02)
    moves = np.abs(np.fft.rfft(levels - levels.mean()))
    hz = np.fft.rfftfreq(len(levels), 0.02)
    syllables, flutter = moves[(hz > 2) & (hz < 7)], moves[(hz > 10) & (hz < 20)]
    return float(np.sqrt(np.mean(syllables**2) / np.mean(flutter**2)))
