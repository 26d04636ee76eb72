from __future__ import annotations

from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sovereign_ari.speech.base import Transcript
from sovereign_ari.speech.openai_stt_items import TranscriptionItems, flush_event_id

PREFIX = "conversation.item.input_audio_transcription."


def committed(item: str) -> dict[str, Any]:
    return {"type": "input_audio_buffer.committed", "item_id": item}


def completed(item: str, text: str) -> dict[str, Any]:
    return {"type": f"{PREFIX}completed", "item_id": item, "transcript": text}


def delta(item: str, text: str) -> dict[str, Any]:
    return {"type": f"{PREFIX}delta", "item_id": item, "delta": text}


def empty(number: int | None) -> dict[str, Any]:
    error: dict[str, Any] = {"code": "input_audio_buffer_commit_empty"}
    if number is not None:
        error["event_id"] = flush_event_id(number)
    return {"type": "error", "error": error}


def finals(items: TranscriptionItems) -> list[tuple[str, bool]]:
    return [(t.text, t.flushed) for t in items.out if t.final]


def test_items_done_out_of_order_are_reported_in_order() -> None:
    items = TranscriptionItems()
    items.flush(1, 10, empty=False)
    items.on_event(committed("a"), 10)
    items.flush(2, 20, empty=False)
    items.on_event(committed("b"), 20)
    items.on_event(completed("b", "second"), 25)
    assert finals(items) == []
    items.on_event(completed("a", "first"), 25)
    assert finals(items) == [("first", True), ("second", True)]
    assert items.done_until == 20


def test_what_was_reported_already_is_not_taken_for_the_answer_to_the_next_flush() -> None:
    items = TranscriptionItems()
    items.flush(1, 10, empty=False)
    items.on_event(committed("a"), 10)
    items.on_event(completed("a", "first"), 12)
    items.flush(2, 20, empty=False)
    items.on_event(completed("a", "first"), 21)
    items.on_event(delta("a", "first"), 21)
    items.on_event(committed("a"), 21)
    assert finals(items) == [("first", True)]
    items.on_event(committed("b"), 22)
    items.on_event(completed("b", "second"), 22)
    assert list(items.out) == [
        Transcript("first", final=True, flushed=True),
        Transcript("second", final=True, flushed=True),
    ]


def test_a_text_that_comes_again_under_another_name_counts_once_unless_audio_was_cut_for_it() -> (
    None
):
    items = TranscriptionItems()
    items.flush(1, 10, empty=False)
    items.on_event(committed("a"), 10)
    items.on_event(completed("a", "yes"), 12)
    items.on_event(completed("b", "yes"), 13)
    assert finals(items) == [("yes", True)]
    items.on_event(committed("c"), 20)
    items.on_event(completed("c", "yes"), 21)
    assert finals(items) == [("yes", True), ("yes", False)]
    items.on_event(completed("d", "no"), 25)
    assert finals(items)[2:] == [("no", False)]


def test_an_item_of_another_connection_may_have_a_name_that_was_reported() -> None:
    items = TranscriptionItems()
    items.flush(1, 10, empty=False)
    items.on_event(completed("a", "first"), 12)
    items.restart()
    items.flush(2, 20, empty=False)
    items.on_event(completed("a", "second"), 21)
    assert finals(items) == [("first", True), ("second", True)]


def test_events_that_name_no_item_are_no_repetition() -> None:
    items = TranscriptionItems()
    items.flush(1, 10, empty=False)
    items.on_event({"type": f"{PREFIX}completed", "transcript": "first"}, 12)
    items.flush(2, 20, empty=False)
    items.on_event(empty(2), 21)
    assert finals(items) == [("first", True), ("", True)]


def test_a_refused_commit_answers_its_own_flush_only() -> None:
    items = TranscriptionItems()
    items.flush(1, 10, empty=False)
    items.on_event(committed("a"), 10)
    items.flush(2, 20, empty=False)
    items.on_event(empty(2), 20)
    assert items.waiting
    items.on_event(completed("a", "words"), 20)
    assert finals(items) == [("words", True), ("", True)]
    assert not items.waiting


def test_partial_words_replace_each_other_and_join_unfinished_items() -> None:
    items = TranscriptionItems()
    items.on_event(committed("a"), 5)
    items.on_event(delta("a", "good "), 5)
    items.on_event(delta("b", "morning"), 6)
    assert list(items.out) == [Transcript("good morning", final=False)]


def test_a_failed_item_is_empty_whatever_its_deltas_said() -> None:
    items = TranscriptionItems()
    items.flush(1, 3, empty=False)
    items.on_event(delta("a", "hal"), 3)
    items.on_event({"type": f"{PREFIX}failed", "item_id": "a"}, 3)
    assert finals(items) == [("", True)]
    assert items.failed == 1


def test_after_a_restart_the_flushes_are_still_owed() -> None:
    items = TranscriptionItems()
    items.flush(1, 3, empty=False)
    items.on_event(committed("a"), 3)
    items.flush(2, 6, empty=False)
    assert items.restart() == [1, 2]
    assert not items.waiting


EVENTS = st.one_of(
    st.builds(committed, st.sampled_from("abc")),
    st.builds(completed, st.sampled_from("abc"), st.text(max_size=3)),
    st.builds(delta, st.sampled_from("abc"), st.text(max_size=3)),
    st.builds(empty, st.none() | st.integers(0, 5)),
    st.dictionaries(st.sampled_from(["type", "item_id", "error"]), st.text() | st.none()),
    st.just("flush"),
)


@given(st.lists(EVENTS, max_size=30))
def test_whatever_comes_no_flush_is_answered_twice_and_partials_do_not_pile_up(
    events: list[Any],
) -> None:
    items = TranscriptionItems()
    flushes = 0
    for position, event in enumerate(events):
        if event == "flush":
            flushes += 1
            items.flush(flushes, position, empty=False)
        else:
            items.on_event(event, position)
        answered = sum(t.flushed for t in items.out)
        assert answered + len(owed(items)) == flushes
        out = list(items.out)
        assert not any(not a.final and not b.final for a, b in pairwise(out))
        assert items.done_until <= position


def owed(items: TranscriptionItems) -> list[int]:
    return [item.flush for item in items._items if item.flush is not None]
