"""Beeps, fax, special information and busy tones; and what is none of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sovereign_ari.media.tones import Signal, ToneDetector
from tests.support import labelled_sounds as sounds
from tests.support.labelled_greetings import tone
from tests.support.labelled_sounds import Samples, nothing, spoken
from tests.support.speech_samples import pcm16, resampled


def signals(*pieces: Samples, law: str = "ulaw") -> list[Signal]:
    pcm = sounds.over_the_wire(np.concatenate(pieces), law)
    return heard(pcm, 8000)


def heard(pcm: bytes, rate_hz: int) -> list[Signal]:
    detector, size = ToneDetector(rate_hz), rate_hz // 25
    frames = (pcm[at : at + size] for at in range(0, len(pcm) - size + 1, size))
    return [signal for frame in frames if (signal := detector.hear(frame)) is not None]


@given(
    hz=st.floats(400, 2000),
    seconds=st.floats(0.16, 1.4),
    dbfs=st.floats(-28, -6),
    lead_s=st.floats(0.2, 0.5),
    law=st.sampled_from(("ulaw", "alaw")),
)
def test_a_steady_tone_between_silences_is_one_beep(
    hz: float, seconds: float, dbfs: float, lead_s: float, law: str
) -> None:
    beep = tone(seconds, hz, dbfs=dbfs)
    assert signals(nothing(lead_s), beep, nothing(0.6), law=law) == ["beep"]


def test_a_beep_is_heard_in_the_noise_of_a_line_and_in_wideband() -> None:
    sound = np.concatenate([nothing(0.5), tone(0.4, 1000), nothing(0.6)])
    noisy = sound + sounds.comfort(2.0, -46)[: len(sound)]
    assert signals(noisy) == ["beep"]
    assert heard(resampled(pcm16(sound), 8000, 16000), 16000) == ["beep"]


def test_two_beeps_in_a_row_are_one_signal() -> None:
    beep = tone(0.15, 1000)
    assert signals(nothing(0.5), beep, nothing(0.12), beep, nothing(0.6)) == ["beep"]


def test_a_tone_that_does_not_end_or_is_followed_by_sound_is_no_beep() -> None:
    assert signals(nothing(0.5), tone(3.0, 1000), nothing(0.6)) == []
    words = spoken("hello there", "slt", -20)
    assert signals(nothing(0.5), tone(0.4, 1000), words, nothing(0.6)) == []


def test_a_fax_machine_is_recognised_however_it_whistles() -> None:
    answer = tone(3.0, 2100)
    turned = answer * np.where(np.arange(len(answer)) // 3600 % 2 == 0, 1.0, -1.0)
    assert signals(nothing(0.5), answer)[:1] == ["fax"]
    assert signals(nothing(0.5), turned)[:1] == ["fax"], "ANSam turns its phase"
    calling = [nothing(0.5), *[tone(0.5, 1100), nothing(3.0)] * 2]
    assert signals(*calling) == ["beep", "fax"], "one burst of 1100 Hz may be a beep; two are not"


@pytest.mark.parametrize(
    ("hz", "lengths_s"),
    [
        ((950, 1400, 1800), (0.33, 0.33, 0.33)),
        ((913.8, 1370.6, 1776.7), (0.274, 0.274, 0.38)),
        ((985.2, 1428.5, 1776.7), (0.38, 0.38, 0.38)),
        ((913.8, 1428.5, 1776.7), (0.38, 0.274, 0.38)),
    ],
)
def test_special_information_is_recognised_and_is_no_beep(
    hz: tuple[float, ...], lengths_s: tuple[float, ...]
) -> None:
    rising = [tone(s, f) for f, s in zip(hz, lengths_s, strict=True)]
    assert signals(nothing(0.5), *rising, nothing(1.0)) == ["special"]
    falling = list(reversed(rising))
    assert "special" not in signals(nothing(0.5), *falling, nothing(1.0))


def test_a_busy_tone_is_known_by_its_third_burst() -> None:
    reorder = [tone(0.25, 480, 620), nothing(0.25)]
    assert signals(*reorder * 3)[-1:] == ["busy"]
    assert "busy" not in signals(*reorder * 2, nothing(0.5))
    assert "busy" in signals(sounds.signal_tone(4.0, -18))
    assert "busy" in signals(sounds.signal_tone(3.0, -18, 0.25, 0.25))


def test_neither_voices_nor_music_nor_digits_nor_ringing_are_signals() -> None:
    for voice, text in (
        ("slt", "hello? who is this? do you know who you are talking to?"),
        ("nl+f2", "hallo met piet, wie is daar? de mooie boot vaart op de zee"),
        ("de+m3", "guten tag, wer ist da bitte? die schöne kuh"),
    ):
        assert signals(nothing(0.3), spoken(text, voice, -18), nothing(0.6)) == [], text
    assert signals(sounds.music(10.0, -20)) == []
    assert signals(sounds.babble(6.0, -24)) == []
    assert signals(sounds.car(4.0, -24)) == []
    assert signals(sounds.digits("159D0*#2684", -15, 0.3, 0.4)) == []
    assert "busy" not in signals(*[tone(2.0, 440, 480), nothing(4.0)] * 2)


@given(st.binary(min_size=320, max_size=320 * 6).map(lambda raw: raw[: len(raw) // 320 * 320]))
def test_any_bytes_are_heard(pcm: bytes) -> None:
    heard(pcm, 8000)
