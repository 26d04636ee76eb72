"""The beginning of a call that we placed, in the time of the line."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sovereign_ari.domain.answering_machine import Kind, PbxVerdict, Sound, Verdict
from sovereign_ari.domain.screening import (
    BEEP_HOLDS_S,
    FRAME_S,
    HANGS_UP_WITHIN_S,
    LONGEST_GREETING_S,
    SILENCE_FOR_BEEP_S,
    Outcome,
    Screening,
    State,
    Step,
)

MACHINE = PbxVerdict("MACHINE", "MAXWORDS-4-3")
GREETING = "hi you have reached anna please leave a message after the beep"


class Line:
    """A line and what was done about it."""

    def __init__(self, *, message: bool = True) -> None:
        self.screening = Screening(leaves_message=message)
        self.steps: list[Step] = []
        self.kinds: list[Kind] = []

    def take(self, outcomes: list[Outcome]) -> None:
        for outcome in outcomes:
            if isinstance(outcome, Verdict):
                self.kinds.append(outcome.kind)
            else:
                self.steps.append(outcome)

    def voice(self, seconds: float) -> None:
        for _ in range(round(seconds / FRAME_S)):
            self.take(self.screening.frame(voiced=True))

    def quiet(self, seconds: float) -> None:
        for _ in range(round(seconds / FRAME_S)):
            self.take(self.screening.frame(voiced=False))

    def words(self, text: str, *, final: bool = True) -> None:
        self.take(self.screening.words(text, final=final))

    def sound(self, sound: Sound) -> None:
        self.take(self.screening.sound(sound))

    def says(self, text: str, seconds: float = 2.0) -> None:
        self.voice(seconds)
        self.words(text)


def test_a_human_is_left_to_the_conversation() -> None:
    line = Line()
    line.says("hello", 0.5)
    line.quiet(3.0)
    line.take(line.screening.pbx(PbxVerdict("HUMAN", "HUMAN-800-800")))
    line.quiet(30.0)
    assert (line.kinds, line.steps) == ([Kind.HUMAN], [])
    assert line.screening.state is State.OVER


def test_the_message_waits_for_the_beep() -> None:
    line = Line()
    line.says(GREETING, 4.0)
    assert line.steps == [Step.HUSH]
    assert line.screening.hushed
    line.quiet(1.0)
    line.sound("beep")
    assert line.steps == [Step.HUSH, Step.LEAVE_MESSAGE]
    assert (line.screening.awaited, line.screening.hushed) == ("beep", False)


def test_a_beep_that_came_just_before_the_words_was_the_one() -> None:
    line = Line()
    line.voice(4.0)
    line.sound("beep")
    line.quiet(BEEP_HOLDS_S - 0.5)
    line.words(GREETING)
    assert line.steps == [Step.HUSH, Step.LEAVE_MESSAGE]


def test_the_message_is_left_in_the_silence_when_no_beep_comes_and_again_when_it_does() -> None:
    line = Line()
    line.says(GREETING, 4.0)
    line.quiet(SILENCE_FOR_BEEP_S + 0.1)
    assert line.steps == [Step.HUSH, Step.LEAVE_MESSAGE]
    assert line.screening.awaited == "silence"
    line.quiet(2.0)
    line.sound("beep")
    line.sound("beep")
    assert line.steps == [Step.HUSH, Step.LEAVE_MESSAGE, Step.LEAVE_MESSAGE], "once"


def test_without_a_message_the_greeting_is_heard_to_a_pause_and_the_call_ends() -> None:
    line = Line(message=False)
    line.says(GREETING, 4.0)
    line.quiet(0.8)
    assert line.steps == [Step.HUSH]
    line.quiet(0.4)
    assert line.steps == [Step.HUSH, Step.HANG_UP]


def test_a_greeting_without_end_is_given_up() -> None:
    for message, longest_s in ((True, LONGEST_GREETING_S), (False, HANGS_UP_WITHIN_S)):
        line = Line(message=message)
        line.says(GREETING, 4.0)
        line.voice(longest_s - 0.1)
        assert line.steps == [Step.HUSH]
        line.voice(0.2)
        assert line.steps == [Step.HUSH, Step.HANG_UP]


def test_words_that_are_only_likely_wait_for_the_end_of_the_utterance() -> None:
    line = Line()
    line.voice(1.0)
    line.words("john is not available right now", final=False)
    assert line.steps == []
    line.voice(1.0)
    line.words("john is not available right now can i take a message")
    line.quiet(3.0)
    assert (line.kinds, line.steps) == ([Kind.HUMAN], [])
    line = Line()
    line.says("john is not available right now", 2.0)
    line.quiet(1.0)
    assert (line.kinds, line.steps) == ([Kind.VOICEMAIL], [Step.HUSH])


def test_a_human_who_calls_out_behind_the_greeting_has_the_assistant_back() -> None:
    line = Line()
    line.says(GREETING, 4.0)
    line.quiet(1.5)
    line.says("hello? is anybody there?", 1.0)
    assert line.steps == [Step.HUSH, Step.SPEAK_UP]
    assert line.kinds == [Kind.VOICEMAIL, Kind.HUMAN]
    line.quiet(60.0)
    assert line.steps == [Step.HUSH, Step.SPEAK_UP]


def test_a_human_who_goes_on_like_one_was_none_of_the_machines() -> None:
    line = Line()
    line.voice(1.5)
    line.words("leave your message with me", final=False)
    assert line.steps == [Step.HUSH]
    line.voice(1.0)
    line.words("leave your message with me who is calling please can i help you")
    assert line.steps == [Step.HUSH, Step.SPEAK_UP]


def test_a_greeting_says_further_on_that_the_mailbox_is_full() -> None:
    line = Line()
    line.says("you have reached the voicemail of anna", 2.0)
    line.quiet(0.6)
    line.says("the mailbox is full", 1.0)
    line.quiet(1.2)
    assert line.kinds == [Kind.VOICEMAIL, Kind.MAILBOX_FULL]
    assert line.steps == [Step.HUSH, Step.HANG_UP]


def test_who_asks_for_a_name_gets_it_once_and_may_still_turn_out_to_be_a_voicemail() -> None:
    line = Line()
    line.says("please state your name and reason for calling", 2.0)
    line.quiet(2.0)
    line.says("please state your name and reason for calling", 2.0)
    assert (line.kinds, line.steps) == ([Kind.CALL_SCREENING], [Step.INTRODUCE])
    line.quiet(1.0)
    line.says("nobody can take your call please leave a message after the tone", 3.0)
    assert line.steps == [Step.INTRODUCE, Step.HUSH]


def test_a_menu_is_noted_and_talked_to() -> None:
    line = Line()
    line.says("for sales press one for support press two", 3.0)
    line.quiet(3.0)
    assert (line.kinds, line.steps) == ([Kind.IVR], [])


def test_tones_end_the_call_at_once_and_a_beep_alone_does_nothing() -> None:
    sounds: dict[Sound, Kind] = {
        "fax": Kind.FAX,
        "special": Kind.OUT_OF_SERVICE,
        "busy": Kind.BUSY,
    }
    for sound, kind in sounds.items():
        line = Line()
        line.quiet(1.0)
        line.sound("beep")
        assert line.steps == []
        line.sound(sound)
        assert (line.kinds, line.steps) == ([kind], [Step.HANG_UP])


def test_the_pbx_and_a_beep_behind_speech_are_enough_without_words() -> None:
    line = Line()
    line.voice(3.0)
    line.take(line.screening.pbx(MACHINE))
    assert line.steps == []
    line.quiet(0.5)
    line.sound("beep")
    assert line.steps == [Step.HUSH, Step.LEAVE_MESSAGE]


def test_a_voicemail_that_hangs_up_into_a_busy_tone_is_not_talked_to() -> None:
    line = Line()
    line.says(GREETING, 4.0)
    line.sound("beep")
    line.quiet(2.0)
    line.sound("busy")
    assert line.steps == [Step.HUSH, Step.LEAVE_MESSAGE, Step.HANG_UP]
    assert line.kinds == [Kind.VOICEMAIL]


def test_nothing_is_screened_any_more_when_the_time_is_over() -> None:
    line = Line()
    line.says("good morning", 0.5)
    line.quiet(30.0)
    line.says(GREETING, 3.0)
    line.sound("fax")
    assert (line.kinds, line.steps) == ([Kind.HUMAN], [])


_happening = st.one_of(
    st.tuples(st.just("voice"), st.floats(0.02, 3)),
    st.tuples(st.just("quiet"), st.floats(0.02, 5)),
    st.tuples(st.just("words"), st.sampled_from((
        GREETING, "hello?", "not available", "the mailbox is full", "wie is daar", "", "press one",
        "state your name and reason for calling",
    ))),
    st.tuples(st.just("sound"), st.sampled_from(("beep", "busy", "fax", "special"))),
)  # fmt: skip


@given(st.lists(_happening, max_size=12), st.booleans())
def test_whatever_happens_the_steps_make_sense(
    happenings: list[tuple[str, object]], message: bool
) -> None:
    line = Line(message=message)
    for kind, what in happenings:
        getattr(line, kind)(what)
    line.quiet(LONGEST_GREETING_S + 31)
    hushed = left = over = False
    for step in line.steps:
        assert not over, "nothing follows a hang-up"
        match step:
            case Step.HUSH:
                assert not hushed
                hushed = True
            case Step.SPEAK_UP:
                assert hushed
                hushed = False
            case Step.LEAVE_MESSAGE:
                assert message
                assert hushed or left
                hushed, left = False, True
            case Step.HANG_UP:
                hushed, over = False, True
            case Step.INTRODUCE:
                assert not hushed
    assert not hushed, "nobody is left in silence"
    assert line.steps.count(Step.INTRODUCE) <= 1
    assert line.steps.count(Step.LEAVE_MESSAGE) <= 2
