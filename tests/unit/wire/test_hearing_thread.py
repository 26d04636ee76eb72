"""Many callers are judged together, and each as if he were alone."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from sovereign_ari.media.silero import DESK, Silero
from sovereign_ari.wire.hearing_thread import HearingThread
from tests.support.speech_samples import noise, silence, speech

RATES = (8000, 16000)


@pytest.fixture
def thread() -> Iterator[HearingThread]:
    thread = HearingThread()
    thread.start()
    yield thread
    thread.stop()
    assert DESK.submit is None


def until(stream: Silero, probability: float) -> None:
    for _ in range(500):
        if abs(stream.probability - probability) < 0.02:
            return
        time.sleep(0.01)
    pytest.fail(f"{stream.probability} did not become {probability}")


def test_every_stream_gets_what_it_would_get_alone(request: pytest.FixtureRequest) -> None:
    sounds = [
        (rate_hz, sound)
        for rate_hz in RATES
        for sound in (speech("good morning", rate_hz), noise(0.8, rate_hz), silence(0.8, rate_hz))
    ]
    alone = [Silero(rate_hz).hear(sound) for rate_hz, sound in sounds]
    assert max(alone) > 0.5 > min(alone)
    request.getfixturevalue("thread")
    streams = [Silero(rate_hz) for rate_hz, _ in sounds]
    for stream, (_, sound) in zip(streams, sounds, strict=True):
        stream.hear(sound)
    for stream, probability in zip(streams, alone, strict=True):
        until(stream, probability)


def test_an_answer_about_what_has_passed_is_not_taken() -> None:
    asked: list[tuple[Silero, bytes]] = []
    stream = Silero(8000)
    DESK.submit = lambda *one: asked.append(one)
    try:
        stream.hear(speech("good morning"))
        stream.skip(silence(0.1))
    finally:
        DESK.submit = None
    assert asked
    stream.settle(0.9, stream.state)
    assert stream.probability == 0.0


def test_a_fault_in_a_batch_ends_nothing(
    thread: HearingThread, caplog: pytest.LogCaptureFixture
) -> None:
    broken = Silero(8000)
    broken.state = broken.state[:1]
    thread.submit(broken, bytes(512))
    well = Silero(8000)
    time.sleep(0.1)
    well.hear(speech("good morning"))
    for _ in range(500):
        if well.probability > 0.1:
            break
        time.sleep(0.01)
    assert well.probability > 0.1
    assert "could not be judged" in caplog.text
