"""Turn taking on a 20 ms grid: what is decided, and when."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from sovereign_ari.domain.agent import TurnTaking
from sovereign_ari.domain.anticipation import Anticipate
from sovereign_ari.domain.turn import Decision, EndTurn, Outcome, TurnTaker


class Scene:
    """Feeds a turn taker frame by frame and notes each decision with its time in ms."""

    def __init__(self, settings: TurnTaking | None = None) -> None:
        self.taker = TurnTaker(settings or TurnTaking(), 0.0)
        self.now_ms = 0
        self.log: list[tuple[int, Outcome]] = []
        self.events: list[object] = []

    def frames(self, count: int, voiced: bool) -> Scene:
        for _ in range(count):
            self.now_ms += 20
            self._note(self.taker.frame(voiced, self.now_ms / 1000))
        return self

    def speak(self, ms: int) -> Scene:
        return self.frames(ms // 20, True)

    def quiet(self, ms: int) -> Scene:
        return self.frames(ms // 20, False)

    def words(
        self, text: str, *, final: bool = True, flushed: bool = True, ends_turn: bool = False
    ) -> Scene:
        self._note(
            self.taker.transcript(
                text,
                final=final,
                flushed=flushed,
                ends_turn=ends_turn,
                now_s=self.now_ms / 1000,
            )
        )
        return self

    def agent_speaks(self) -> Scene:
        self.taker.agent_began()
        self.events.append("agent began")
        return self

    def agent_stops(self, *, cut: bool = False) -> Scene:
        self.taker.agent_ended(cut=cut)
        self.events.append("agent ended")
        return self

    def _note(self, outcomes: Iterable[Outcome]) -> None:
        for outcome in outcomes:
            self.log.append((self.now_ms, outcome))
            self.events.append(outcome if isinstance(outcome, Decision) else type(outcome))

    def kinds(self) -> list[object]:
        return [o if isinstance(o, Decision) else type(o) for _, o in self.log]


def test_a_turn_ends_after_the_min_delay_once_the_words_are_there() -> None:
    scene = Scene().speak(1000).quiet(200)
    assert scene.log == [(1200, Decision.FLUSH)]
    scene.words("book a table").quiet(200)
    assert scene.log[-1] == (1400, EndTurn("book a table", 1.0))


def test_a_late_recogniser_delays_the_end_by_no_more_than_itself() -> None:
    scene = Scene().speak(1000).quiet(900).words("hello there")
    assert scene.log[-1] == (1900, EndTurn("hello there", 1.0))


def test_a_pause_within_a_sentence_does_not_end_it() -> None:
    scene = Scene().speak(600).quiet(300).words("I would like").speak(600).quiet(200)
    assert EndTurn not in scene.kinds()
    scene.words("a table").quiet(200)
    assert scene.log[-1][1] == EndTurn("I would like a table", 1.5)


def test_an_unfinished_sentence_waits_for_the_max_delay() -> None:
    scene = Scene().speak(600).quiet(300).words("a table and").quiet(1600)
    assert EndTurn not in scene.kinds()
    scene.quiet(100)
    assert scene.log[-1] == (2600, EndTurn("a table and", 0.6))


def test_a_noise_without_words_is_no_turn() -> None:
    scene = Scene().speak(200).quiet(300).words("").quiet(5000)
    assert scene.kinds() == [Decision.FLUSH]


def test_words_that_the_detector_missed_are_a_turn() -> None:
    scene = Scene().quiet(1000).words("hello", flushed=False).quiet(400)
    assert scene.kinds() == [Anticipate, EndTurn]


def test_a_partial_text_never_answered_still_ends_at_the_max_delay() -> None:
    scene = Scene().speak(500).words("hello", final=False, flushed=False).quiet(2000)
    assert scene.log[-1] == (2500, EndTurn("hello", 0.5))


def test_speech_pauses_the_agent_within_two_frames_and_words_cut_it() -> None:
    scene = Scene().agent_speaks().quiet(1000).speak(400)
    assert scene.log == [(1040, Decision.PAUSE)]
    scene.words("I would", final=False, flushed=False)
    assert scene.log[1:] == [(1400, Decision.INTERRUPT)]


def test_one_loud_frame_disturbs_nobody() -> None:
    assert Scene().agent_speaks().quiet(500).speak(20).quiet(1000).log == []


@pytest.mark.parametrize("click_ms", [40, 60, 80, 100, 120])
def test_a_click_pauses_for_a_moment_only(click_ms: int) -> None:
    scene = Scene().agent_speaks().quiet(500).speak(click_ms).quiet(500)
    assert scene.kinds() == [Decision.PAUSE, Decision.RESUME]
    assert scene.log[1][0] <= 500 + click_ms + 80


def test_a_short_word_interrupts_when_the_recogniser_understands_it() -> None:
    scene = Scene().agent_speaks().quiet(500).speak(220).quiet(220)
    assert scene.kinds() == [Decision.PAUSE, Decision.FLUSH]
    scene.words("stop").quiet(400)
    assert scene.kinds() == [Decision.PAUSE, Decision.FLUSH, Decision.INTERRUPT, EndTurn]


def test_a_cough_that_nobody_understands_resumes_the_agent() -> None:
    scene = Scene().agent_speaks().quiet(500).speak(220).quiet(260).words("")
    assert scene.kinds() == [Decision.PAUSE, Decision.FLUSH, Decision.RESUME]


def test_an_unanswered_cough_resumes_after_the_false_interruption_timeout() -> None:
    scene = Scene().agent_speaks().quiet(500).speak(220).quiet(1600)
    assert scene.log[-1] == (500 + 220 + 1500, Decision.RESUME)


def test_min_words_holds_the_cut_back_but_not_the_pause() -> None:
    scene = Scene(TurnTaking(interruption_min_words=2)).agent_speaks().speak(1000).quiet(200)
    scene.words("well")
    assert Decision.INTERRUPT not in scene.kinds()
    scene.words("hold on", flushed=False)
    assert scene.kinds()[-1] is Decision.INTERRUPT


def test_words_that_cut_the_agent_are_answered_although_they_are_taken_back() -> None:
    it = Scene().agent_speaks().quiet(400).speak(700).words("wait", final=False, flushed=False)
    it.speak(200).quiet(300).words("").quiet(3000)
    assert Decision.INTERRUPT in [outcome for _, outcome in it.log]
    assert [o.text for _, o in it.log if isinstance(o, EndTurn)] == ["wait"]
