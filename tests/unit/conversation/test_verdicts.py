"""Calls that are judged together hear what each would hear alone: all, in order, and in time."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from math import pi

import numpy as np
import pytest

from sovereign_ari.conversation import verdicts as module
from sovereign_ari.conversation.ears import Ears
from sovereign_ari.conversation.verdicts import BEAT_S, Verdicts, verdicts
from sovereign_ari.media import hearing, silero
from sovereign_ari.media.g711 import pcm_to_ulaw
from sovereign_ari.media.hearing import Heard, Hearing
from sovereign_ari.media.pcm import ULAW_8K
from sovereign_ari.media.silero import Silero
from sovereign_ari.media.vad import VoiceActivity
from tests.support.scripted_speech import ScriptedStt, TimedMouth
from tests.support.speech_samples import silence, speech
from tests.support.virtual_time import run_in_virtual_time

CALLS = 12


@pytest.fixture(autouse=True)
def real_detector(loud_is_speech: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hearing, "VoiceActivity", VoiceActivity)


@pytest.fixture(scope="module")
def words() -> list[bytes]:
    audio = pcm_to_ulaw(silence(0.3) + speech("yes but wait a moment") + silence(0.5))
    return [audio[at : at + 160] for at in range(0, len(audio) - 159, 160)]


class Caller:
    """Hears one stream, and notes what came of it and when."""

    def __init__(self) -> None:
        self.heard: list[tuple[Heard, float]] = []
        self.delays_s: list[float] = []
        mouth = TimedMouth(ULAW_8K)
        self.ears = Ears(ScriptedStt(), ULAW_8K, mouth, lambda _: None, self._take)

    def _take(self, heard: Heard, arrived_s: float) -> None:
        self.heard.append((heard, arrived_s))
        self.delays_s.append(asyncio.get_running_loop().time() - arrived_s)


def test_many_callers_hear_every_frame_once_in_order_as_if_alone(words: list[bytes]) -> None:
    async def talk(caller: Caller, shift_s: float) -> list[float]:
        loop, arrivals = asyncio.get_running_loop(), []
        await asyncio.sleep(shift_s)
        for frame in words:
            arrivals.append(loop.time())
            caller.ears.hear(frame, arrivals[-1])
            await asyncio.sleep(0.02)
        return arrivals

    async def scene() -> tuple[list[Caller], list[list[float]]]:
        callers = [Caller() for _ in range(CALLS)]
        talks = (talk(caller, n * 0.0017) for n, caller in enumerate(callers))
        return callers, await asyncio.gather(*talks)

    callers, arrivals = run_in_virtual_time(scene())
    alone = Hearing(ULAW_8K, ULAW_8K)
    expected = [alone.judge(frame, []) for frame in words]
    assert sum(one.voiced for one in expected) > 30
    for caller, times in zip(callers, arrivals, strict=True):
        assert caller.heard == list(zip(expected, times, strict=True))
        assert max(caller.delays_s) <= BEAT_S + 0.001
    assert max(max(caller.delays_s) for caller in callers) > 0, "nothing was put together"


def test_a_caller_alone_is_judged_at_once(words: list[bytes]) -> None:
    async def scene() -> Caller:
        caller, loop = Caller(), asyncio.get_running_loop()
        for number, frame in enumerate(words, 1):
            caller.ears.hear(frame, loop.time())
            assert len(caller.heard) == number
            await asyncio.sleep(0.02)
        return caller

    assert set(run_in_virtual_time(scene()).delays_s) == {0.0}


def test_frames_that_come_all_at_once_are_judged_each(words: list[bytes]) -> None:
    async def scene() -> Caller:
        caller = Caller()
        for frame in words:
            caller.ears.hear(frame, 1.0)
        caller.ears.flush()
        return caller

    caller = run_in_virtual_time(scene())
    alone = Hearing(ULAW_8K, ULAW_8K)
    assert [heard for heard, _ in caller.heard] == [alone.judge(frame, []) for frame in words]


def due() -> Silero:
    stream = Silero(8000)
    tone = 8000 * np.sin(2 * pi * 200 * np.arange(256) / 8000)
    stream.take(tone.astype("<i2").tobytes())
    return stream


def test_a_fault_in_one_call_keeps_no_verdict_from_the_others() -> None:
    told: list[int] = []

    def fail() -> None:
        raise ZeroDivisionError

    async def scene() -> list[object]:
        faults: list[object] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: faults.append(context["exception"]))
        them = Verdicts()
        for _ in range(3):  # so that the next ones wait for the beat
            them.ask(due(), lambda: None)
        them.ask(due(), lambda: told.append(1))
        them.ask(due(), fail)
        them.ask(due(), lambda: told.append(2))
        assert told == []
        await asyncio.sleep(2 * BEAT_S)
        return faults

    (fault,) = run_in_virtual_time(scene())
    assert isinstance(fault, ZeroDivisionError)
    assert told == [1, 2]


def test_who_cannot_wait_has_all_judged_and_the_others_are_told_on_their_beat(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    batches: list[int] = []

    def judge(streams: Collection[Silero]) -> None:
        batches.append(len(streams))
        silero.judge(streams)

    monkeypatch.setattr(module, "judge", judge)
    told: list[int] = []

    async def scene() -> None:
        them = Verdicts()
        for _ in range(3):
            them.ask(due(), lambda: None)
        batches.clear()
        first, second = due(), due()
        them.ask(first, lambda: told.append(1))
        them.ask(second, lambda: told.append(2))
        them.settle(second)
        them.settle(second)
        assert told == [2]
        assert batches == [2]
        await asyncio.sleep(2 * BEAT_S)
        assert told == [2, 1]

    run_in_virtual_time(scene())


def test_an_event_loop_has_one_place_where_all_is_judged() -> None:
    async def scene() -> tuple[Verdicts, Verdicts]:
        return verdicts(), verdicts()

    first, again = run_in_virtual_time(scene())
    other, _ = run_in_virtual_time(scene())
    assert first is again
    assert first is not other
