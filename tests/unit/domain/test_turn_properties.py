"""Turn taking whatever happens: any voice, any words, in any order."""

from __future__ import annotations

from typing import TypeAlias

from hypothesis import given
from hypothesis import strategies as st

from sovereign_ari.domain.agent import TurnTaking
from sovereign_ari.domain.anticipation import Anticipate
from sovereign_ari.domain.turn import Decision, EndTurn
from tests.unit.domain.test_turn import Scene

Step: TypeAlias = tuple[str, object]

TEXTS = ["", "hi", "yes and", "ja", "mm-hm", "stop", "06 12", "ja maar", "a table for two", "um"]
VOICE = st.tuples(st.sampled_from(["speak", "quiet"]), st.integers(1, 60))
WORDS = st.tuples(
    st.just("words"),
    st.tuples(st.sampled_from(TEXTS), st.booleans(), st.booleans(), st.booleans()),
)
AGENT = st.tuples(st.sampled_from(["agent ends", "agent begins", "agent is cut"]), st.none())
STEPS = st.lists(st.one_of(VOICE, VOICE, WORDS, AGENT), max_size=60)
SETTINGS = st.builds(
    lambda least, most, duration, words, timeout: TurnTaking(
        least, max(least, most), duration, words, timeout
    ),
    st.floats(0.1, 2),
    st.floats(0.1, 5),
    st.floats(0.05, 2),
    st.integers(0, 3),
    st.one_of(st.none(), st.floats(0.2, 5)),
)


def play(scene: Scene, steps: list[Step]) -> None:
    for what, value in steps:
        match value:
            case int():
                scene.frames(value, what == "speak")
            case tuple():
                text, final, flushed, ends = value
                scene.words(text, final=final, flushed=flushed, ends_turn=ends)
            case _ if what == "agent begins":
                if not scene.taker.caller_has_floor:
                    scene.agent_speaks()
            case _:
                scene.agent_stops(cut=what == "agent is cut")


def wait_in_silence(scene: Scene) -> None:
    """Let eight seconds pass, with a recogniser that answers and knows nothing more."""
    for _ in range(400):
        scene.frames(1, voiced=False)
        for _ in range(scene.taker.flushes_out):
            scene.words("", final=True, flushed=True)


@given(steps=STEPS, taking=SETTINGS)
def test_a_pause_is_followed_by_one_end_of_it(steps: list[Step], taking: TurnTaking) -> None:
    scene = Scene(taking).agent_speaks()
    play(scene, steps)
    scene.quiet(12_000)
    paused = False
    for kind in scene.events:
        if kind is Decision.PAUSE:
            assert not paused
            paused = True
        elif kind in (Decision.RESUME, Decision.INTERRUPT):
            assert paused
            paused = False
        elif kind is EndTurn:
            assert not paused
        elif kind == "agent ended":
            paused = False
    assert not paused


@given(steps=STEPS, taking=SETTINGS)
def test_no_words_are_answered_twice_and_no_turn_is_empty(
    steps: list[Step], taking: TurnTaking
) -> None:
    """Every word given to the taker is numbered: none stands in two turns."""
    scene = Scene(taking)
    numbered: list[Step] = []
    for number, (what, value) in enumerate(steps):
        if isinstance(value, tuple) and value[0]:
            value = (f"{value[0]} w{number}", *value[1:])
        numbered.append((what, value))
    play(scene, numbered)
    scene.quiet(12_000)
    turns = [o.text for _, o in scene.log if isinstance(o, EndTurn)]
    assert all(turns)
    words = [word for turn in turns for word in turn.split() if word.startswith("w")]
    assert len(words) == len(set(words))


@given(steps=STEPS, taking=SETTINGS)
def test_the_floor_is_never_stuck(steps: list[Step], taking: TurnTaking) -> None:
    """After the longest delay of silence everything is decided, when the recogniser answers."""
    scene = Scene(taking)
    play(scene, steps)
    wait_in_silence(scene)
    assert not scene.taker.caller_has_floor
    assert scene.taker.text == ""


@given(steps=STEPS, taking=SETTINGS)
def test_what_is_anticipated_is_answered_or_retracted(
    steps: list[Step], taking: TurnTaking
) -> None:
    scene = Scene(taking)
    play(scene, steps)
    wait_in_silence(scene)
    live, tried = False, 0
    for kind in scene.events:
        if kind is Anticipate:
            assert not live, "one at a time"
            live = True
            tried += 1
            assert tried <= 2
        elif kind is Decision.RETRACT:
            assert live
            live = False
        elif kind in (EndTurn, "agent began"):
            live, tried = False, 0
    assert not live
