"""The agent's own voice, come back from the line, is neither speech nor for the recogniser."""

from __future__ import annotations

import numpy as np
import pytest

from sovereign_ari.media.echo import EchoGuard
from sovereign_ari.media.hearing import Heard, Hearing
from sovereign_ari.media.pcm import G722_16K, PCM_8K, PCM_16K, ULAW_8K
from sovereign_ari.media.resample import Resampler
from sovereign_ari.media.transcode import encoder_for, silence_frame
from sovereign_ari.media.vad import VoiceActivity
from tests.support import labelled_sounds as sounds
from tests.support.labelled_set import reply
from tests.support.labelled_sounds import Samples, nothing, over_the_wire, spoken

SECONDS = 3.0


def frames(pcm: bytes, size: int = 320) -> list[bytes]:
    return [pcm[at : at + size] for at in range(0, len(pcm) - size + 1, size)]


def heard(sound: Samples, sent: list[bytes | None], law: str = "ulaw") -> list[Heard]:
    hearing = Hearing(PCM_8K, PCM_8K)
    pairs = zip(frames(over_the_wire(sound, law)), sent, strict=True)
    return [hearing.judge(frame, [left]) for frame, left in pairs]


def agent() -> tuple[Samples, list[bytes | None]]:
    sound, wire = reply(SECONDS)
    return sound, [*frames(wire)]


@pytest.mark.parametrize("mobile", [False, True])
@pytest.mark.parametrize(("delay_s", "gain_db"), [(0.03, -20), (0.25, -20), (0.12, -26)])
def test_an_echo_is_not_speech(delay_s: float, gain_db: float, mobile: bool) -> None:
    sound, sent = agent()
    judged = heard(sounds.echo(sound, delay_s, gain_db, mobile=mobile), sent)
    assert sum(one.voiced for one in judged) <= 2
    assert sum(one.echo for one in judged[50:]) > 0.7 * len(judged[50:])


def test_without_the_guard_it_would_be_speech() -> None:
    sound, _ = agent()
    judged = heard(sounds.echo(sound, 0.12, -20), [None] * round(SECONDS * 50))
    assert sum(one.voiced for one in judged) > 50
    assert not any(one.echo for one in judged)


@pytest.mark.parametrize("voice", ["rms", "slt", "en-gb+f3"])
def test_a_caller_who_interrupts_is_heard_at_once_over_an_echo(voice: str) -> None:
    sound, sent = agent()
    words = spoken("wait a moment please", voice, -22)
    line = sounds.echo(sound, 0.14, -26, mobile=True)
    start = 160 * 80
    line[start : start + len(words)] += words[: len(line) - start]
    judged = heard(line, sent)
    assert sum(one.voiced for one in judged[:80]) <= 2
    assert next(n for n, one in enumerate(judged[80:]) if one.voiced) <= 5
    spoken_over = judged[80 : 80 + len(words) // 160]
    assert sum(one.voiced for one in spoken_over) > 0.6 * len(spoken_over)


def test_an_echo_that_comes_behind_a_callers_words_is_not_speech() -> None:
    sound, sent = agent()
    line = sounds.echo(sound, 0.1, -20)
    line[: 160 * 90] = 0
    words = spoken("wait a moment please", "slt", -30)[: 160 * 75]
    line[160 * 5 : 160 * 5 + len(words)] = words
    judged = heard(line, sent)
    assert sum(one.voiced for one in judged[:90]) > 30
    assert sum(one.voiced for one in judged[90:]) <= 2


@pytest.mark.parametrize("dbfs", [-16, -24, -32])
def test_a_caller_on_a_line_without_echo_is_never_taken_for_one(dbfs: float) -> None:
    _, sent = agent()
    words = np.append(nothing(0.6), spoken("no that is not what i asked for", "rms", dbfs))
    line = np.append(words, nothing(SECONDS))[: len(sent) * 160]
    judged = heard(line, sent)
    voiced = sum(one.voiced for one in judged)
    assert voiced > 60
    assert sum(one.echo for one in judged) < 0.05 * voiced


def test_packets_that_leave_and_come_a_frame_sooner_or_later_hide_no_echo() -> None:
    sound, sent = agent()
    line = frames(over_the_wire(sounds.echo(sound, 0.1, -22), "ulaw"))
    hearing = Hearing(PCM_8K, PCM_8K)
    dice, waiting, voiced = np.random.default_rng(5), list(sent), 0
    for number, frame in enumerate(line):
        due = number + int(dice.integers(0, 3)) - (len(sent) - len(waiting))
        left = [waiting.pop(0) for _ in range(max(0, min(due, len(waiting))))]
        voiced += hearing.judge(frame, left).voiced
    assert voiced <= 4


def test_the_delay_of_the_line_is_learnt() -> None:
    sound, sent = agent()
    guard, activity = EchoGuard(8000, bytes), VoiceActivity(8000)
    assert guard.delay_s is None
    for frame, left in zip(
        frames(over_the_wire(sounds.echo(sound, 0.18, -22), "ulaw")), sent, strict=True
    ):
        guard.sent(left)
        voiced = activity.is_speech(frame)
        guard.is_echo(frame, activity.level, voiced=voiced)
    assert guard.delay_s == pytest.approx(0.18, abs=0.01)


def test_while_the_agent_is_silent_nothing_is_an_echo() -> None:
    words = spoken("good morning i have a question", "slt", -20)
    judged = heard(words[: len(words) // 160 * 160], [None] * (len(words) // 160))
    assert sum(one.voiced for one in judged) > 50
    assert not any(one.echo for one in judged)


def test_a_wideband_echo_is_told_as_well() -> None:
    sound, sent = agent()
    line = over_the_wire(sounds.echo(sound, 0.1, -22), "ulaw")
    wide = [
        frames(Resampler(8000, 16000).process(pcm), 640)
        for pcm in (line, b"".join(left or b"" for left in sent))
    ]
    encoder = encoder_for(G722_16K)
    hearing = Hearing(G722_16K, PCM_16K)
    pairs = zip(*wide, strict=True)
    judged = [hearing.judge(encoder.encode(frame), [left]) for frame, left in pairs]
    assert sum(one.voiced for one in judged) <= 3


def test_a_frame_of_the_wire_is_judged_as_it_stands_there() -> None:
    hearing = Hearing(ULAW_8K, ULAW_8K)
    assert hearing.judge(silence_frame(ULAW_8K), [None, silence_frame(ULAW_8K)]) == Heard(
        voiced=False, echo=False
    )


def test_a_sound_like_words_that_is_not_taken_for_speech_is_in_doubt_once_it_is_over() -> None:
    whistle = sounds.signal_tone(1.0, -20, 1.0, 0.1)
    line = np.concatenate((nothing(0.4), whistle, nothing(0.6), whistle, nothing(0.6)))
    judged = heard(line, [None] * (len(line) // 160))
    doubts = [number for number, one in enumerate(judged) if one.doubtful]
    assert len(doubts) == 1
    assert 70 + 15 <= doubts[0] <= 70 + 25
    assert sum(one.voiced for one in judged) <= 2


def test_neither_speech_nor_echo_nor_a_click_nor_silence_is_in_doubt() -> None:
    sound, sent = agent()
    words = np.append(spoken("no wait a moment", "slt", -20), nothing(1.0))
    assert not any(one.doubtful for one in heard(sounds.echo(sound, 0.1, -22), sent))
    for line in (words, sounds.clicks(3, -16), sounds.comfort(3, -46), nothing(3)):
        whole = line[: len(line) // 160 * 160]
        assert not any(one.doubtful for one in heard(whole, [None] * (len(whole) // 160)))
