"""What a telephone line carries besides the caller's words is not speech; what is said is."""

from __future__ import annotations

import numpy as np
import pytest

from sovereign_ari.media.resample import Resampler
from sovereign_ari.media.vad import VoiceActivity
from tests.support import labelled_sounds as sounds
from tests.support.labelled_set import VOICES
from tests.support.labelled_sounds import Samples, nothing, over_the_wire, spoken

CALM_FRAMES = 25
SAID = {"en": "no wait a moment", "nl": "nee wacht even", "de": "nein warte mal"}


def judged(sound: Samples, law: str = "ulaw") -> list[bool]:
    activity, pcm = VoiceActivity(8000), over_the_wire(sound, law)
    return [activity.is_speech(pcm[at : at + 320]) for at in range(0, len(pcm), 320)]


def longest_run(decisions: list[bool]) -> int:
    runs = "".join("x" if one else " " for one in decisions).split()
    return max(map(len, runs), default=0)


@pytest.mark.parametrize("dbfs", [-65, -55, -45, -40])
def test_comfort_noise_is_not_speech(dbfs: float) -> None:
    assert not any(judged(sounds.comfort(3, dbfs)))


@pytest.mark.parametrize("dbfs", [-40, -26, -16])
def test_music_on_hold_is_not_speech(dbfs: float) -> None:
    assert sum(judged(sounds.music(3, dbfs), "alaw")) <= 2


@pytest.mark.parametrize(("dbfs", "on_s"), [(-10, 0.1), (-18, 0.25), (-26, 0.06)])
def test_digits_are_not_speech(dbfs: float, on_s: float) -> None:
    assert longest_run(judged(sounds.digits("159D0*#", dbfs, on_s))) < 2


@pytest.mark.parametrize("dbfs", [-40, -30, -22])
def test_a_car_is_not_speech(dbfs: float) -> None:
    assert not any(judged(sounds.car(3, dbfs)))


@pytest.mark.parametrize("dbfs", [-30, -16, -8])
def test_clicks_are_not_speech(dbfs: float) -> None:
    assert longest_run(judged(sounds.clicks(3, dbfs))) < 2


@pytest.mark.parametrize("dbfs", [-30, -16, -8])
def test_a_cough_is_not_speech_for_long(dbfs: float) -> None:
    assert longest_run(judged(sounds.coughs(3, dbfs))) <= 5


def test_ringing_and_engaged_tones_are_not_speech() -> None:
    assert longest_run(judged(sounds.signal_tone(3, -20))) < 2
    assert longest_run(judged(sounds.signal_tone(3, -14, 1.0, 1.0))) < 2


@pytest.mark.parametrize("voice", VOICES)
def test_every_voice_is_heard_soon_and_until_its_end(voice: str) -> None:
    words = spoken(SAID[VOICES[voice]], voice, -24)
    sound = np.concatenate((nothing(CALM_FRAMES / 50), words, nothing(0.5)))
    heard = judged(sound + sounds.comfort(len(sound) / 8000, -60))
    end = CALM_FRAMES + len(words) // 160
    assert not any(heard[:CALM_FRAMES])
    assert heard.index(True) <= CALM_FRAMES + 5
    assert sum(heard[CALM_FRAMES:end]) > 0.8 * (end - CALM_FRAMES)
    assert not any(heard[end + 3 :])


@pytest.mark.parametrize(
    "behind", [sounds.comfort(4, -46), sounds.car(4, -36), sounds.music(4, -42)]
)
def test_a_turn_ends_although_the_line_is_never_silent(behind: Samples) -> None:
    words = spoken("i would like an appointment", "rms", -20)
    sound = np.concatenate((nothing(0.5), words, nothing(1.5)))
    heard = judged(sound + behind[: len(sound)])
    end = 25 + len(words) // 160
    assert sum(heard[25:end]) > 0.8 * (end - 25)
    assert not any(heard[end + 10 :])


def test_a_voice_across_the_room_does_not_keep_the_turn_of_a_near_one_open() -> None:
    near, far = spoken("tomorrow afternoon", "slt", -16), spoken("where are my keys", "rms", -45)
    heard = judged(np.concatenate((nothing(0.3), near, nothing(0.2), far)))
    assert any(heard)
    assert not any(heard[-len(far) // 160 :])


def test_somebody_else_may_take_the_telephone_and_speak_softly() -> None:
    near, soft = spoken("my wife will tell you", "rms", -12), spoken("good morning", "slt", -34)
    heard = judged(np.concatenate((near, nothing(2.5), soft)))
    assert sum(heard[-len(soft) // 160 :]) > 0.5 * len(soft) / 160


def test_wideband_speech_is_heard_as_well() -> None:
    words = np.concatenate((nothing(0.5), spoken("no wait a moment", "slt", -20)))
    pcm = Resampler(8000, 16000).process(over_the_wire(words, "ulaw"))
    activity = VoiceActivity(16000)
    heard = [activity.is_speech(pcm[at : at + 640]) for at in range(0, len(pcm) - 639, 640)]
    assert 25 <= heard.index(True) <= 30
    assert sum(heard[25:]) > 0.8 * len(heard[25:])


def test_a_rate_that_the_network_does_not_know_is_refused() -> None:
    with pytest.raises(ValueError, match="not 8000 or 16000"):
        VoiceActivity(48_000)
