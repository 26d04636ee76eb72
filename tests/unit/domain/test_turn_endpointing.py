"""When a turn ends, by its words and by what the provider says, and what is anticipated."""

from __future__ import annotations

import pytest

from sovereign_ari.domain.agent import TurnTaking
from sovereign_ari.domain.anticipation import Anticipate
from sovereign_ari.domain.turn import Decision, EndTurn, TurnTaker
from tests.unit.domain.test_turn import Scene


def ended_after_ms(text: str, settings: TurnTaking | None = None, *, asked: str = "") -> int:
    """Silence until the end of the turn, with a recogniser that answers at once."""
    scene = Scene(settings)
    scene.taker.agent_said(asked)
    scene.speak(600)
    for _ in range(400):
        scene.quiet(20)
        if scene.taker.flushes_out:
            scene.words(text)
        if scene.kinds()[-1:] == [EndTurn]:
            return scene.now_ms - 600
    raise AssertionError("the turn did not end")


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("I would like a table", 400),
        ("yes", 240),
        ("nee, dank u", 240),
        ("ja, genau", 240),
        ("no thanks", 240),
        ("zero six one two", 2000),
        ("drie vier", 2000),
        ("06 12", 2000),
        ("06 12 34 56 78", 400),
        ("J A N", 2000),
        ("j for john", 2000),
        ("a table and", 2000),
        ("um", 2000),
        ("ik kom dus", 2000),
        ("weil", 2000),
    ],
)
def test_the_words_decide_how_long_the_silence_must_last(text: str, ms: int) -> None:
    assert ended_after_ms(text) == ms


@pytest.mark.parametrize(
    ("least_s", "text", "ms"),
    [
        (0.1, "yes", 100),
        (0.3, "yes", 200),
        (0.9, "yes", 540),
        (1.0, "yes", 1000),
        (1.5, "yes", 1500),
        (0.1, "a table", 100),
        (1.0, "a table", 1000),
        (2.5, "a table and", 3000),
    ],
)
def test_the_settings_move_every_delay(least_s: float, text: str, ms: int) -> None:
    assert ended_after_ms(text, TurnTaking(least_s, max(least_s, 3.0))) == ms


def test_as_many_digits_as_were_asked_for_are_complete() -> None:
    asked = "What are the last four digits?"
    assert ended_after_ms("one two three four", asked=asked) == 400
    assert ended_after_ms("one two three", asked=asked) == 2000


def test_digits_with_pauses_between_them_are_one_turn() -> None:
    scene = Scene()
    for group in ("06 12", "34 56"):
        scene.speak(800).quiet(220).words(group).quiet(580)
    scene.speak(500).quiet(220).words("78").quiet(180)
    turns = [outcome for _, outcome in scene.log if isinstance(outcome, EndTurn)]
    assert turns == [EndTurn("06 12 34 56 78", 3.7)]


def test_a_provider_that_says_so_ends_the_turn_without_the_answer_to_a_flush() -> None:
    scene = Scene().speak(600).words("a table", final=False, flushed=False)
    scene.quiet(300).words("a table for two", final=False, flushed=False, ends_turn=True)
    scene.quiet(80)
    assert EndTurn not in scene.kinds()  # not before the minimum, nor while the text changes
    scene.quiet(80)
    assert scene.log[-1] == (1040, EndTurn("a table for two", 0.6))


def test_a_provider_shortens_the_wait_for_an_unfinished_sentence_but_not_for_digits() -> None:
    scene = Scene().speak(600).quiet(220).words("a table and", ends_turn=True).quiet(980)
    assert scene.log[-1] == (1800, EndTurn("a table and", 0.6))
    scene = Scene().speak(600).quiet(220).words("06 12", ends_turn=True).quiet(1780)
    assert scene.log[-1] == (2600, EndTurn("06 12", 0.6))


def test_a_caller_who_goes_on_after_the_provider_s_end_is_heard_out() -> None:
    scene = Scene().speak(600).quiet(220).words("a table and", ends_turn=True).quiet(200)
    scene.speak(400).quiet(220).words("a chair").quiet(200)
    assert scene.log[-1][1] == EndTurn("a table and a chair", 1.42)


def test_a_final_text_that_may_be_all_is_anticipated_once() -> None:
    scene = Scene().speak(600).quiet(220).words("a table").quiet(200)
    assert scene.log[1:] == [
        (820, Anticipate("a table")),
        (1000, EndTurn("a table", 0.6)),
    ]


def test_a_partial_text_is_anticipated_when_it_does_not_change_any_more() -> None:
    scene = Scene().speak(600).words("a table", final=False, flushed=False).quiet(140)
    assert scene.log == [(740, Anticipate("a table"))]
    scene.quiet(80).words("A table.")
    assert scene.kinds()[-1] is Decision.FLUSH  # the same words: nothing to retract


def test_a_text_is_not_anticipated_again_before_what_followed_it_is_recognised() -> None:
    scene = Scene().speak(600).quiet(220).words("a table").quiet(60).speak(600).quiet(200)
    assert scene.kinds().count(Anticipate) == 1
    scene.words("for two")
    assert scene.log[-1][1] == Anticipate("a table for two")


@pytest.mark.parametrize("text", ["a table and", "06 12", "um", ""])
def test_what_must_go_on_is_not_anticipated(text: str) -> None:
    scene = Scene().speak(600).quiet(220).words(text).quiet(1000)
    assert Anticipate not in scene.kinds()


def test_other_words_retract() -> None:
    scene = Scene().speak(600).words("a table", final=False, flushed=False).quiet(220)
    scene.words("a table for two")
    assert scene.kinds() == [
        Anticipate,
        Decision.FLUSH,
        Decision.RETRACT,
    ]


def test_a_caller_who_speaks_on_retracts_but_a_click_does_not() -> None:
    scene = Scene().speak(600).quiet(220).words("a table").speak(100)
    assert Decision.RETRACT not in scene.kinds()
    scene.speak(100)
    assert scene.kinds()[-1] is Decision.RETRACT


def test_at_most_two_texts_are_anticipated_in_a_turn() -> None:
    scene = Scene()
    for word in "one more word and again":
        scene.speak(400).quiet(220).words(f"word {word}").quiet(100)
    assert scene.kinds().count(Anticipate) == 2


def test_a_voice_that_only_seemed_to_go_on_had_ended_before() -> None:
    taker = TurnTaker(TurnTaking(endpointing_min_delay_s=0.4), 0.0)
    for number in range(1, 31):
        taker.frame(True, number * 0.02)
    taker.frame(True, 0.62, faint=True)
    ended: list[tuple[int, EndTurn]] = []
    for number in range(32, 60):
        outcomes = taker.frame(False, number * 0.02)
        if Decision.FLUSH in outcomes:
            outcomes += taker.transcript(
                "what time do you open?", final=True, flushed=True, now_s=number * 0.02
            )
        ended += [(number, outcome) for outcome in outcomes if isinstance(outcome, EndTurn)]
    assert ended == [(50, EndTurn("what time do you open?", 0.6))]
