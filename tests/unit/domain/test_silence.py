"""The silence clock on a 40 ms grid: what is decided, and when."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sovereign_ari.domain.agent import SilencePlan
from sovereign_ari.domain.silence import (
    HANGOVER_S,
    LONGEST_UNHEARD_S,
    Check,
    GivingUp,
    SilenceClock,
    SilenceDecision,
)

PLAN = SilencePlan(first_check_s=3.0, interval_s=5.0, max_attempts=2)
TICK_MS = 40
SLACK_S = 0.2


class Scene:
    """Ticks a clock and notes each decision with its time in seconds."""

    def __init__(self, plan: SilencePlan | None = PLAN, limit_s: float | None = None) -> None:
        self.clock = SilenceClock(plan, limit_s, 0.0)
        self.now_ms = 0
        self.speaking = False
        self.sends = True
        self.log: list[tuple[float, SilenceDecision]] = []

    @property
    def now_s(self) -> float:
        return self.now_ms / 1000

    def wait(self, seconds: float, *, busy: bool = False) -> Scene:
        for _ in range(round(seconds * 1000 / TICK_MS)):
            self.now_ms += TICK_MS
            if self.sends:
                self.clock.received_s = self.now_s
            decided = self.clock.tick(self.now_s, busy=busy, speaking=self.speaking)
            if decided is not None:
                self.log.append((self.now_s, decided))
        return self

    def pbx_hears(self, seconds: float, *, voice: bool = False) -> Scene:
        """A sound of this length on the caller's line, until the PBX says that it is over."""
        self.clock.talking(True, self.now_s)
        self.speaking = voice
        self.wait(seconds)
        self.speaking = False
        self.wait(HANGOVER_S)
        self.clock.talking(False, self.now_s)
        return self

    def understood(self) -> Scene:
        self.clock.understood(self.now_s)
        return self

    def times_s(self) -> list[float]:
        return [at_s for at_s, _ in self.log]

    def decided(self) -> list[SilenceDecision]:
        return [decision for _, decision in self.log]


def test_checks_come_at_their_times_and_then_the_goodbye() -> None:
    scene = Scene().wait(14)
    assert scene.decided() == [Check(1), Check(2), GivingUp.GOODBYE]
    assert scene.times_s() == pytest.approx([3, 8, 13], abs=SLACK_S)


def test_the_interval_begins_when_the_agent_has_finished_the_check() -> None:
    scene = Scene().wait(3.04).wait(2, busy=True).wait(6)
    assert scene.decided() == [Check(1), Check(2)]
    assert scene.times_s()[1] == pytest.approx(10, abs=SLACK_S)


def test_words_reset_the_timer_and_the_count() -> None:
    scene = Scene().wait(8.5).understood().wait(2.9)
    assert scene.decided() == [Check(1), Check(2)]
    assert scene.wait(0.3).decided()[2:] == [Check(1)]


def test_speech_that_nobody_understood_resets_the_timer_and_the_count() -> None:
    scene = Scene().wait(4).pbx_hears(1.0, voice=True).wait(2.9 - HANGOVER_S)
    assert scene.decided() == [Check(1)]
    assert scene.wait(0.3).decided() == [Check(1), Check(1)]


def test_a_noise_that_is_no_voice_moves_the_timer_and_not_the_count() -> None:
    scene = Scene().wait(4).pbx_hears(1.0).wait(4.9 - HANGOVER_S)
    assert scene.decided() == [Check(1)]
    assert scene.wait(0.3).decided() == [Check(1), Check(2)]


def test_a_click_changes_nothing() -> None:
    scene = Scene().wait(2).pbx_hears(0.04).wait(0.8)
    assert scene.decided() == [Check(1)]
    assert scene.times_s() == pytest.approx([3], abs=SLACK_S)


def test_a_line_that_hums_for_ever_is_a_silent_line() -> None:
    scene = Scene()
    scene.clock.talking(True, 0.0)
    scene.wait(LONGEST_UNHEARD_S + 3.1)
    assert scene.decided() == [Check(1)]
    assert scene.times_s() == pytest.approx([LONGEST_UNHEARD_S + 3 - HANGOVER_S], abs=SLACK_S)


def test_a_long_story_is_not_interrupted_while_words_keep_coming() -> None:
    scene = Scene()
    scene.clock.talking(True, 0.0)
    for _ in range(6):
        scene.wait(15).understood()
    assert scene.log == []


def test_a_sound_that_goes_on_is_not_talked_over() -> None:
    scene = Scene().wait(2.5)
    scene.clock.talking(True, scene.now_s)
    assert scene.wait(10).log == []


def test_hold_and_a_busy_agent_stop_the_clock() -> None:
    scene = Scene().wait(2.9)
    scene.clock.hold(True)
    scene.wait(60)
    scene.clock.hold(False)
    assert scene.wait(2.9, busy=False).log == []
    assert scene.wait(0.3).decided() == [Check(1)]
    assert Scene().wait(60, busy=True).log == []


def test_without_a_plan_the_call_times_out() -> None:
    scene = Scene(None, 4.0).wait(2).pbx_hears(0.6).wait(3.9 - HANGOVER_S)
    assert scene.log == []
    assert scene.wait(0.2).decided() == [GivingUp.TIME_OUT]
    assert Scene(None, None).wait(3600).log == []


def test_an_unheeded_goodbye_is_said_again() -> None:
    scene = Scene().wait(13.5).pbx_hears(0.5).wait(6)
    assert scene.decided()[2:] == [GivingUp.GOODBYE, GivingUp.GOODBYE]


def test_our_own_detection_replaces_a_pbx_that_hears_nothing() -> None:
    scene = Scene().wait(1).understood()
    assert scene.clock.deaf
    scene.speaking = True
    assert scene.wait(10).log == []
    scene.speaking = False  # it says so late as well
    assert scene.wait(2.9 - HANGOVER_S).log == []
    assert scene.wait(0.3).decided() == [Check(1)]


def test_a_pbx_that_hears_is_not_replaced() -> None:
    assert not Scene().pbx_hears(1.0).understood().clock.deaf


def test_a_line_that_stops_to_send_is_silent_whatever_the_pbx_said_last() -> None:
    scene = Scene().wait(1)
    scene.clock.talking(True, scene.now_s)
    scene.wait(2)
    scene.sends = False
    assert scene.wait(3 - SLACK_S).log == []
    assert scene.wait(2 * SLACK_S).decided() == [Check(1)]


def test_a_line_that_sends_again_is_as_loud_as_the_pbx_says() -> None:
    scene = Scene().wait(1)
    scene.clock.talking(True, scene.now_s)
    scene.wait(1)
    scene.sends = False
    scene.wait(2)
    scene.sends = True
    assert scene.wait(10).log == [], "the PBX did not hear the sound end: it says nothing of it"
    scene.clock.talking(False, scene.now_s)
    scene.wait(4)
    assert scene.times_s() == pytest.approx([14 + 3 - HANGOVER_S], abs=SLACK_S)


def test_the_pbx_is_heeded_again_when_it_turns_out_to_hear() -> None:
    scene = Scene().understood()
    assert scene.clock.deaf
    assert not scene.pbx_hears(1.0).clock.deaf


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), st.floats(0.04, 20)),
        st.tuples(st.just("busy"), st.floats(0.04, 20)),
        st.tuples(st.just("talk"), st.booleans()),
        st.tuples(st.just("voice"), st.booleans()),
        st.tuples(st.just("hold"), st.booleans()),
        st.tuples(st.just("words"), st.none()),
        st.tuples(st.just("sends"), st.booleans()),
    ),
    max_size=30,
)


def play(scene: Scene, steps: list[tuple[str, float | bool | None]]) -> None:
    for kind, value in steps:
        match kind, value:
            case "wait", float(seconds):
                scene.wait(seconds)
            case "busy", float(seconds):
                before = len(scene.log)
                scene.wait(seconds, busy=True)
                assert len(scene.log) == before, "nothing is decided while the agent is busy"
            case "talk", on:
                scene.clock.talking(bool(on), scene.now_s)
            case "voice", on:
                scene.speaking = bool(on)
            case "hold", on:
                scene.clock.hold(bool(on))
            case "sends", on:
                scene.sends = bool(on)
            case _:
                scene.understood()


@given(steps=STEPS)
def test_checks_are_counted_without_a_gap_and_never_beyond_the_plan(
    steps: list[tuple[str, float | bool | None]],
) -> None:
    scene = Scene()
    play(scene, steps)
    for before, after in pairwise([None, *scene.decided()]):
        match before, after:
            case _, Check(1):
                pass  # the count began anew
            case Check(1), Check(2):
                pass
            case Check(2) | GivingUp.GOODBYE, GivingUp.GOODBYE:
                pass
            case unexpected:
                pytest.fail(f"{unexpected}")


@given(steps=STEPS)
def test_decisions_are_never_closer_than_the_shortest_delay(
    steps: list[tuple[str, float | bool | None]],
) -> None:
    scene = Scene()
    play(scene, steps)
    times = [0.0, *(at_s for at_s, _ in scene.log)]
    assert all(after - before >= PLAN.first_check_s - 1e-6 for before, after in pairwise(times))


@given(steps=STEPS)
def test_whatever_happened_a_quiet_line_comes_to_its_end(
    steps: list[tuple[str, float | bool | None]],
) -> None:
    scene = Scene()
    play(scene, steps)
    scene.clock.hold(False)
    scene.wait(2 * LONGEST_UNHEARD_S + 3 + 2 * 5 + 1)  # even when its noise goes on
    assert scene.decided()[-1] is GivingUp.GOODBYE
