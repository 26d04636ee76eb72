"""What counts as loud, when, and how loud."""

from __future__ import annotations

import audioop
import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sovereign_ari.doctor.hearing import Hearing, is_loud, without_silent_end

SAMPLES = 160


def sine(level_dbfs: float, samples: int = SAMPLES) -> bytes:
    peak = 32768 * 10 ** (level_dbfs / 20) * 2**0.5
    values = (
        max(-32768, min(32767, round(peak * math.sin(2 * math.pi * n / 16))))
        for n in range(samples)
    )
    return b"".join(struct.pack("<h", value) for value in values)


def frame(level_dbfs: float) -> bytes:
    return audioop.lin2ulaw(sine(level_dbfs), 2)


SILENCE = b"\xff" * SAMPLES


def test_it_remembers_when_it_was_loud() -> None:
    hearing = Hearing()
    for number in range(20):
        hearing.hear(frame(-20) if number in (5, 6, 12) else SILENCE, number * 0.02)
    assert hearing.first_loud_after(0.0) == pytest.approx(0.10)
    assert hearing.first_loud_after(0.12) == pytest.approx(0.24)
    assert hearing.first_loud_after(0.24) is None
    assert hearing.is_quiet(since_s=0.24)
    assert not hearing.is_quiet(since_s=0.23)


def test_one_loud_moment_of_5_ms_makes_a_frame_loud() -> None:
    assert is_loud(bytes(2 * 120) + sine(-30, 40))
    assert not is_loud(bytes(2 * SAMPLES))
    assert not is_loud(b"")


@given(st.floats(min_value=-38, max_value=-6))
def test_the_level_is_that_of_the_loud_frames_only(level_dbfs: float) -> None:
    hearing = Hearing()
    for number in range(10):
        hearing.hear(SILENCE, number * 0.02)
        hearing.hear(frame(level_dbfs), number * 0.02)
    assert hearing.level_dbfs == pytest.approx(level_dbfs, abs=0.5)
    assert hearing.clipped_share == 0


def test_clipping_is_counted_at_both_ends() -> None:
    hearing = Hearing()
    hearing.hear(frame(0), 0.0)
    assert 0.3 < hearing.clipped_share < 0.9


def test_nothing_has_no_level() -> None:
    hearing = Hearing()
    hearing.hear(SILENCE, 0.0)
    assert hearing.level_dbfs is None
    assert hearing.is_quiet(-1.0)


@given(st.integers(0, 400), st.integers(1, 8), st.integers(0, 2000))
def test_only_silence_is_cut_from_the_end(before: int, blocks: int, after: int) -> None:
    speech = bytes(2 * before) + sine(-20, 40 * blocks)
    cut = without_silent_end(speech + bytes(2 * after))
    assert cut[: len(speech)] == speech[: len(cut)]
    # Blocks are counted from the end, so the last loud one may begin or end in silence.
    assert len(speech) - 80 < len(cut) < len(speech) + 80
    assert is_loud(cut[-80:])


def test_all_silence_is_cut_whole() -> None:
    assert without_silent_end(bytes(1234)) == b""
