"""Backchannels, noises and real interruptions, on a 20 ms grid."""

from __future__ import annotations

import pytest

from sovereign_ari.domain.agent import TurnTaking
from sovereign_ari.domain.backchannels import beyond_backchannels
from sovereign_ari.domain.turn import Decision, EndTurn
from tests.unit.domain.test_turn import Scene

PAUSE, RESUME, INTERRUPT, FLUSH = (
    Decision.PAUSE,
    Decision.RESUME,
    Decision.INTERRUPT,
    Decision.FLUSH,
)


@pytest.mark.parametrize(
    "text",
    (
        "mm-hm/Mm-hmm./uh-huh/Uhhuh/hm/hmm/mhm/ja/Ja, ja./jaja/ok/Okay/oké/yeah/Right./precies"
        "/genau/ach so/Aha/oh ja/I see./alles klar/ja precies/yeah okay/stimmt/klopt"
        "/uh huh/mm hm/mhm mhm/Hm, hm./got it/all right/sure/right right/ja ja/oké oké/ah ja/a ha"
        "/um hm/Uh huh, uh huh, uh huh./all right, all right, all right/mm hmm mm hmm mm hmm"
    ).split("/"),
)
def test_a_backchannel_resumes_the_agent_and_leaves_no_turn(text: str) -> None:
    scene = Scene().agent_speaks().quiet(1000).speak(420).quiet(260).words(text)
    assert scene.kinds() == [PAUSE, FLUSH, RESUME]
    scene.quiet(4000)
    scene.taker.agent_ended()
    scene.quiet(4000)
    assert scene.kinds() == [PAUSE, FLUSH, RESUME]
    assert scene.taker.resumed_after == "backchannel"


@pytest.mark.parametrize(
    "text",
    (
        "stop/wait/wacht/halt/nein/nee/no/ja maar wacht even/ok stop/yeah but no/um"
        "/mm-hm, and what about Tuesday/yes yes yes yes yes yes"
        "/all right stop/I see but/sure and can you/uh/I/got/all"
    ).split("/"),
)
def test_anything_else_interrupts_and_is_a_turn(text: str) -> None:
    scene = Scene().agent_speaks().quiet(1000).speak(420).quiet(260).words(text).quiet(2500)
    assert [k for k in scene.kinds() if k in (PAUSE, RESUME, INTERRUPT, EndTurn)] == [
        PAUSE,
        INTERRUPT,
        EndTurn,
    ]
    assert scene.log[-1][1] == EndTurn(text, 1.42)


def test_the_same_word_is_an_answer_while_the_agent_is_silent() -> None:
    scene = Scene().quiet(1000).speak(300).quiet(220).words("ja").quiet(100)
    assert scene.log[-1][1] == EndTurn("ja", 1.3)


def test_a_partial_backchannel_resumes_without_waiting_for_the_recogniser() -> None:
    scene = Scene().agent_speaks().quiet(1000).speak(420)
    scene.words("mhm", final=False, flushed=False).quiet(200)
    assert scene.log == [(1040, PAUSE), (1620, RESUME), (1620, FLUSH)]
    scene.words("mhm", final=True, flushed=True).quiet(500)
    scene.taker.agent_ended()
    scene.quiet(2000).speak(600).words("pizza", final=False, flushed=False).quiet(300)
    scene.words("pizza please").quiet(300)
    assert scene.log[-1][1] == EndTurn("pizza please", 4.72)


@pytest.mark.parametrize(
    ("begun", "whole"),
    [
        ("uh", "uh huh"),
        ("I", "I see"),
        ("got", "got it"),
        ("All", "All right."),
        ("right all", "right all right"),
        ("in", "in Ordnung"),
        ("a", "a ha"),
    ],
)
def test_half_a_backchannel_does_not_cut_while_it_may_become_a_whole_one(
    begun: str, whole: str
) -> None:
    scene = Scene().agent_speaks().quiet(1000).speak(420)
    scene.words(begun, final=False, flushed=False).speak(200).quiet(240)
    assert scene.kinds() == [PAUSE, FLUSH]
    scene.words(whole)
    assert scene.kinds() == [PAUSE, FLUSH, RESUME]
    assert scene.taker.resumed_after == "backchannel"


@pytest.mark.parametrize("begun", ["I", "uh", "all"])
def test_half_a_backchannel_that_goes_on_otherwise_cuts_at_once(begun: str) -> None:
    scene = Scene().agent_speaks().quiet(1000).speak(420)
    scene.words(begun, final=False, flushed=False).speak(100)
    scene.words(f"{begun} want", final=False, flushed=False)
    assert scene.kinds() == [PAUSE, INTERRUPT]


def test_half_a_backchannel_that_is_all_is_no_backchannel() -> None:
    scene = Scene().agent_speaks().quiet(1000).speak(420)
    scene.words("I", final=False, flushed=False).quiet(240).words("I", final=False)
    assert scene.kinds() == [PAUSE, FLUSH, INTERRUPT]


@pytest.mark.parametrize(
    "text",
    (
        "uh huh/mm hm/mhm mhm/hm hm/I see/got it/all right/sure/right right/ja ja/oké oké/ach so"
        "/ah ja/aha/a ha"
    ).split("/"),
)
def test_every_backchannel_is_a_turn_while_the_agent_is_silent(text: str) -> None:
    scene = Scene().quiet(1000).speak(300).quiet(220).words(text).quiet(400)
    assert scene.log[-1][1] == EndTurn(text, 1.3)


def test_words_that_follow_a_backchannel_interrupt() -> None:
    scene = Scene().agent_speaks().quiet(1000).speak(300)
    scene.words("ja", final=False, flushed=False).quiet(100).speak(600)
    scene.words("ja maar wacht even", final=False, flushed=False)
    assert scene.kinds() == [PAUSE, INTERRUPT]


@pytest.mark.parametrize("final", [True, False])
def test_words_that_come_late_behind_what_seemed_a_backchannel_interrupt(final: bool) -> None:
    scene = Scene().agent_speaks().quiet(1000).speak(900)
    scene.words("yes", final=False, flushed=False).quiet(240)
    assert scene.kinds() == [PAUSE, RESUME, FLUSH]
    if not final:
        scene.words("yes but", final=False, flushed=False).quiet(20)
    scene.words("yes but wait a moment").quiet(1500)
    assert scene.kinds()[:5] == [PAUSE, RESUME, FLUSH, PAUSE, INTERRUPT]
    assert RESUME not in scene.kinds()[5:]
    ended = scene.log[-1][1]
    assert isinstance(ended, EndTurn)
    assert ended.text == "yes but wait a moment"


def test_a_backchannel_that_turns_out_to_be_more_stands_once_in_the_turn() -> None:
    scene = Scene().agent_speaks().quiet(1000).speak(900)
    scene.words("yes", final=False, flushed=False).quiet(240)
    scene.taker.agent_ended()
    scene.quiet(40).words("yes but wait").quiet(2000)
    assert [ended.text for _, ended in scene.log if isinstance(ended, EndTurn)] == ["yes but wait"]


def test_a_backchannel_that_meets_the_last_words_of_a_reply_is_an_answer() -> None:
    scene = Scene().agent_speaks().quiet(1000).speak(300).quiet(260).words("ja").quiet(500)
    scene.taker.agent_ended()
    scene.quiet(40)
    assert scene.log[-1][1] == EndTurn("ja", 1.3)


def test_a_reply_that_is_cut_for_something_else_takes_its_backchannel_along() -> None:
    scene = Scene().agent_speaks().quiet(1000).speak(300).quiet(260).words("ja").quiet(500)
    scene.taker.agent_ended(cut=True)
    scene.quiet(3000)
    assert EndTurn not in scene.kinds()


@pytest.mark.parametrize("voice_ms", [200, 420, 1000, 3000])
@pytest.mark.parametrize("how", ["noise", "deaf"])
def test_voice_without_words_resumes_however_long_it_is(voice_ms: int, how: str) -> None:
    scene = Scene().agent_speaks().quiet(1000).speak(voice_ms).quiet(220)
    if how == "noise":
        scene.words("")
        assert scene.kinds() == [PAUSE, FLUSH, RESUME]
        assert scene.taker.resumed_after == "no_words"
        return
    scene.quiet(2000)
    assert scene.log[-1] == (1000 + voice_ms + 1500, RESUME)
    assert scene.taker.resumed_after == "timeout"


def test_words_that_come_after_the_time_out_still_interrupt() -> None:
    scene = Scene().agent_speaks().quiet(1000).speak(420).quiet(1600).words("stop it").quiet(400)
    wanted = [PAUSE, FLUSH, RESUME, PAUSE, INTERRUPT]
    assert scene.kinds()[:5] == wanted
    assert scene.kinds()[-1] is EndTurn


def test_without_a_time_out_the_recogniser_decides_and_nobody_waits_for_ever() -> None:
    settings = TurnTaking(false_interruption_timeout_s=None)
    scene = Scene(settings).agent_speaks().quiet(1000).speak(420).quiet(1000).words("")
    assert scene.kinds() == [PAUSE, FLUSH, RESUME]
    scene = Scene(settings).agent_speaks().quiet(1000).speak(420).quiet(6000)
    assert scene.kinds() == [PAUSE, FLUSH, RESUME]


def test_a_time_out_shorter_than_the_recogniser_loses_no_word() -> None:
    settings = TurnTaking(false_interruption_timeout_s=0.2)
    scene = Scene(settings).agent_speaks().quiet(1000).speak(420).quiet(240)
    assert scene.kinds() == [PAUSE, RESUME, FLUSH]
    scene.words("stop that").quiet(500)
    assert scene.kinds()[3:5] == [PAUSE, INTERRUPT]
    assert scene.kinds()[-1] is EndTurn


def _shouted(ms: int, settings: TurnTaking) -> list[object]:
    scene = Scene(settings).agent_speaks().quiet(1000).speak(ms).quiet(240).words("stop now")
    return scene.kinds()


@pytest.mark.parametrize(
    ("duration_s", "ms", "cut"),
    [
        (0.05, 140, True),
        (0.3, 200, True),
        (1.0, 500, False),
        (1.0, 1000, True),
        (2.0, 1000, False),
        (2.0, 2000, True),
    ],
)
def test_speech_shorter_than_the_min_duration_does_not_interrupt(
    duration_s: float, ms: int, *, cut: bool
) -> None:
    kinds = _shouted(ms, TurnTaking(interruption_min_duration_s=duration_s))
    assert (INTERRUPT in kinds) is cut
    assert (RESUME in kinds) is not cut


@pytest.mark.parametrize(
    ("text", "cut"), [("stop", False), ("ja ok stop", False), ("ok hold on", True)]
)
def test_words_of_backchannels_do_not_count_as_words(text: str, *, cut: bool) -> None:
    scene = Scene(TurnTaking(interruption_min_words=2)).agent_speaks().quiet(1000).speak(600)
    scene.quiet(240).words(text)
    assert (INTERRUPT in scene.kinds()) is cut


def test_a_radio_does_not_keep_the_agent_quiet() -> None:
    scene = Scene().agent_speaks().quiet(1000).speak(4200)
    assert scene.kinds() == [PAUSE, FLUSH]
    scene.words("").speak(3000)
    assert scene.kinds() == [PAUSE, FLUSH, RESUME]
    scene.words("turn it off", final=False, flushed=False)
    assert scene.kinds()[3:] == [PAUSE, INTERRUPT]


def test_a_turn_ends_although_a_noise_goes_on() -> None:
    scene = Scene().speak(1000).words("a pizza", final=False, flushed=False).speak(4200)
    assert scene.kinds() == [FLUSH]
    scene.words("a pizza").speak(100)
    assert scene.kinds() == [FLUSH, EndTurn]


def test_an_answer_about_a_doubtful_sound_settles_no_words() -> None:
    scene = Scene()
    scene.taker.asked()
    scene.speak(600).quiet(240)
    scene.words("a table", final=False, flushed=False).words("").quiet(400)
    assert scene.kinds() == [FLUSH]
    scene.words("a table for two").quiet(400)
    assert scene.log[-1][1] == EndTurn("a table for two", 0.6)


def test_what_is_left_behind_backchannels() -> None:
    assert beyond_backchannels("Ja, maar wacht even!") == ["maar", "wacht", "even"]
    assert beyond_backchannels("mm-hm") == []
    assert beyond_backchannels("") == []
    assert beyond_backchannels("...") == []


@pytest.mark.parametrize(
    "hello", ["Hello?", "Hallo, met Piet Jansen.", "Hello, this is John Miller speaking.", ""]
)
@pytest.mark.parametrize("after_ms", [60, 800, 1400])
def test_who_is_called_says_hello_over_our_first_words_and_does_not_cut_them(
    hello: str, after_ms: int
) -> None:
    scene = Scene()
    scene.taker.begin(placed=True)
    scene.agent_speaks().quiet(after_ms).speak(900)
    if hello:
        scene.words(hello, final=False, flushed=False)
    scene.quiet(400).words(hello)
    assert scene.kinds() == [PAUSE, FLUSH, RESUME]
    assert scene.taker.resumed_after == "greeting"
    scene.quiet(3000)
    scene.taker.agent_ended()
    assert scene.quiet(3000).kinds() == [PAUSE, FLUSH, RESUME]


def test_who_was_called_and_speaks_later_or_says_more_than_hello_interrupts() -> None:
    long = "no thank you please do not ever call me here again"
    for after_ms, words in ((1800, "wait a moment"), (100, long)):
        scene = Scene()
        scene.taker.begin(placed=True)
        scene.agent_speaks().quiet(after_ms).speak(1500)
        scene.words(words, final=False, flushed=False)
        assert scene.kinds() == [PAUSE, INTERRUPT]
