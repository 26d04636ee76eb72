from __future__ import annotations

import audioop

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sovereign_ari.media.level import amplified
from sovereign_ari.media.pcm import Encoding
from sovereign_ari.media.utterance import BYTES_PER_S, MAX_UTTERANCE_S, Utterance
from tests.support.vowel import vowel

FRAME_BYTES = 160
SILENCE = b"\xff"


def said(ulaw: bytes, utterance: Utterance | None = None) -> tuple[Utterance, int]:
    utterance = utterance or Utterance(Encoding.ULAW)
    frames = [ulaw[i : i + FRAME_BYTES] for i in range(0, len(ulaw), FRAME_BYTES)]
    return utterance, sum(utterance.add(frame) for frame in frames)


def voice(seconds: float) -> bytes:
    return audioop.lin2ulaw(vowel(seconds), 2)


def test_silence_around_speech_is_cut_and_the_pause_is_told_once() -> None:
    utterance, pauses = said(SILENCE * 8000 + voice(1.0) + SILENCE * 8000)
    assert pauses == 1
    assert len(utterance.trimmed()) / BYTES_PER_S == pytest.approx(1.3, abs=0.05)


def test_every_pause_after_speech_is_told() -> None:
    _, pauses = said((voice(0.5) + SILENCE * 4000) * 3)
    assert pauses == 3


def test_a_short_gap_is_no_pause() -> None:
    utterance, pauses = said(voice(0.5) + SILENCE * 1280 + voice(0.5))
    assert pauses == 0
    assert utterance.speaking


def test_after_a_restart_old_speech_is_gone() -> None:
    utterance, _ = said(voice(1.0) + SILENCE * 4000)
    utterance.restart()
    assert utterance.trimmed() == b""
    utterance, pauses = said(voice(0.5) + SILENCE * 4000, utterance)
    assert pauses == 1
    assert len(utterance.trimmed()) / BYTES_PER_S == pytest.approx(0.8, abs=0.05)


@pytest.mark.parametrize("seconds", [0.05, 0.3, 1.5])
def test_a_cough_is_not_speech(seconds: float) -> None:
    cough = np.random.default_rng(5).normal(0, 3000, round(8000 * seconds))
    pcm = np.clip(cough, -32768, 32767).astype("<i2").tobytes()
    utterance, _ = said(SILENCE * 2400 + audioop.lin2ulaw(pcm, 2) + SILENCE * 2400)
    assert utterance.trimmed() == b""


def test_an_endless_utterance_keeps_its_last_seconds() -> None:
    utterance, _ = said(voice(2.0) * 10)
    assert len(utterance.trimmed()) <= MAX_UTTERANCE_S * BYTES_PER_S


@given(st.lists(st.binary(max_size=400), max_size=10), st.sampled_from(["ulaw", "alaw"]))
def test_any_bytes_are_taken(payloads: list[bytes], encoding: str) -> None:
    utterance = Utterance(Encoding(encoding))
    for payload in payloads:
        utterance.add(payload)
    assert len(utterance.trimmed()) <= 4 * sum(map(len, payloads))


@given(st.binary(max_size=600).filter(lambda pcm: len(pcm) % 2 == 0), st.floats(0, 8))
def test_a_gain_never_wraps_and_keeps_the_sign(pcm: bytes, gain: float) -> None:
    before = np.frombuffer(pcm, dtype="<i2").astype(int)
    after = np.frombuffer(amplified(pcm, gain), dtype="<i2").astype(int)
    assert len(after) == len(before)
    assert np.all(after * before >= 0)
    assert np.all(np.abs(after) <= np.maximum(np.abs(before) * gain + 1, 0))


def test_quiet_sound_is_multiplied_exactly() -> None:
    pcm = np.array([0, 100, -1000, 8000], dtype="<i2").tobytes()
    after = np.frombuffer(amplified(pcm, 2.0), dtype="<i2")
    assert np.allclose(after, [0, 200, -2000, 16000], atol=1)
