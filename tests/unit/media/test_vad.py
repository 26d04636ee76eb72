from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from sovereign_ari.media.g711 import pcm_to_ulaw, ulaw_to_pcm
from sovereign_ari.media.resample import Resampler
from sovereign_ari.media.vad import VoiceActivity, level_dbfs
from tests.unit.media.signals import SPEECH, from_pcm, sine, to_pcm, white_noise

QUIET_FRAMES = 50


def speech_at(name: str, dbfs: float) -> NDArray[np.float64]:
    """The sample with its loudest frame at a level."""
    samples = from_pcm(ulaw_to_pcm((SPEECH / name).read_bytes()))
    loudest = max(level_dbfs(frame) for frame in frames(to_pcm(samples), 8000))
    return samples * 10 ** ((dbfs - loudest) / 20)


def frames(pcm: bytes, rate_hz: int) -> list[bytes]:
    size = rate_hz // 50 * 2
    return [pcm[at : at + size] for at in range(0, len(pcm) - size + 1, size)]


def over_the_telephone(samples: NDArray[np.float64]) -> bytes:
    return ulaw_to_pcm(pcm_to_ulaw(to_pcm(samples)))


def decisions(pcm: bytes, rate_hz: int = 8000) -> list[bool]:
    activity = VoiceActivity(rate_hz)
    return [activity.is_speech(frame) for frame in frames(pcm, rate_hz)]


@pytest.mark.parametrize("name", ["espeak.ulaw", "flite.ulaw"])
@pytest.mark.parametrize("dbfs", [-6, -20, -30])
@pytest.mark.parametrize("noise_dbfs", [-90, -52])
def test_the_onset_of_speech_is_seen_within_two_frames(
    name: str, dbfs: float, noise_dbfs: float
) -> None:
    speech = np.concatenate((np.zeros(160 * QUIET_FRAMES), speech_at(name, dbfs), np.zeros(8000)))
    pcm = over_the_telephone(speech + white_noise(8000, len(speech) / 8000, noise_dbfs))
    heard = decisions(pcm)
    levels = [level_dbfs(frame) for frame in frames(pcm, 8000)]
    audible = max(-42.0, dbfs - 15)
    onset = next(index for index, level in enumerate(levels) if level > audible)
    first = heard.index(True)
    assert QUIET_FRAMES <= first <= onset + 2
    loud = [decision for decision, level in zip(heard, levels, strict=True) if level > audible]
    assert sum(loud) > 0.85 * len(loud)
    assert not any(heard[-40:])


def test_speech_at_16_khz_is_seen_too() -> None:
    pcm = Resampler(8000, 16000).process(to_pcm(speech_at("espeak.ulaw", -12)))
    assert sum(decisions(pcm, 16000)) > 100


@pytest.mark.parametrize("dbfs", [-90, -55, -46])
def test_faint_noise_is_not_speech(dbfs: float) -> None:
    assert not any(decisions(over_the_telephone(white_noise(8000, 3, dbfs))))


def test_digital_silence_is_not_speech() -> None:
    assert not any(decisions(bytes(160_000)))
    assert not any(decisions(ulaw_to_pcm(b"\xff" * 80_000)))


@pytest.mark.parametrize("rate_hz", [8000, 16000])
@pytest.mark.parametrize("hz", [50, 60])
@pytest.mark.parametrize("peak", [100, 3000, 10_000])
def test_mains_hum_is_not_speech(rate_hz: int, hz: int, peak: float) -> None:
    assert not any(decisions(over_the_telephone(sine(hz, rate_hz, 2, peak)), rate_hz))


def test_steady_buzz_and_loud_noise_are_told_from_speech_within_a_second() -> None:
    buzz = sum(sine(50 * k, 8000, 3, 400 / k) for k in range(1, 8))
    assert isinstance(buzz, np.ndarray)
    assert not any(decisions(over_the_telephone(buzz))[50:])
    assert not any(decisions(over_the_telephone(white_noise(8000, 3, -33)))[50:])


def test_speech_after_loud_noise_is_seen() -> None:
    noise = white_noise(8000, 3, -35)
    pcm = over_the_telephone(np.concatenate((noise, speech_at("flite.ulaw", -6))))
    assert sum(decisions(pcm)[150:]) > 50


def test_speech_without_any_pause_stays_speech() -> None:
    """As on a line that sends nothing between words: the floor must not rise to the speech."""
    pcm = over_the_telephone(np.tile(speech_at("espeak.ulaw", -12), 3))
    loud = b"".join(frame for frame in frames(pcm, 8000) if level_dbfs(frame) > -28)
    judged = decisions(loud)
    assert len(judged) > 200
    assert sum(judged[100:]) > 0.9 * len(judged[100:])


@pytest.mark.parametrize("size", [0, 318, 322, 640])
def test_a_frame_of_another_length_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="not 20 ms"):
        VoiceActivity(8000).is_speech(bytes(size))


@given(st.binary(min_size=320, max_size=320))
def test_any_frame_is_judged(pcm: bytes) -> None:
    assert VoiceActivity(8000).is_speech(pcm) in (True, False)


def test_levels_are_relative_to_full_scale() -> None:
    assert level_dbfs(b"") == level_dbfs(bytes(320)) == -96
    assert level_dbfs(b"\x00\x80" * 160) == 0
    assert level_dbfs(to_pcm(sine(400, 8000, 1, 32767))) == pytest.approx(-3.01, abs=0.01)
