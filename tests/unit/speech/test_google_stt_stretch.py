"""A stretch of audio over calls that break wherever they like."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sovereign_ari.media.pcm import ULAW_8K
from sovereign_ari.speech.google_stt_stretch import MESSAGE_BYTES, Result, Stretch

STEPS = st.lists(
    st.tuples(st.sampled_from(["audio", "send", "final", "break"]), st.integers(1, 20_000)),
    max_size=60,
)


@given(STEPS)
def test_every_sample_is_made_final_once_whatever_breaks(
    steps: list[tuple[str, int]],
) -> None:
    stretch = Stretch(ULAW_8K, kept_s=1000, quiet_kept_s=1000)
    began = sent = stretch.begin(0)
    done: list[tuple[int, int]] = []
    for what, amount in [*steps, ("send", 10**6), ("final", 10**6)]:
        if what == "audio":
            stretch.append(bytes(amount))
        elif what == "send":
            while (taken := stretch.take(sent))[0] and amount > 0:
                piece, sent = taken
                amount -= len(piece)
                assert 0 < len(piece) <= MESSAGE_BYTES
        elif what == "final":
            start = done[-1][1] if done else 0
            end = min(start + amount, sent)
            if end > start:
                done.append((start, end))
                text = f"{start}-{end}"
                stretch.on_results([Result(text, True, (end - began) / 8000)], sent)
        else:
            began = sent = stretch.begin(sent)
            assert began == (done[-1][1] if done else 0)
    assert list(stretch.finals) == [f"{start}-{end}" for start, end in done]
    assert (done[-1][1] if done else 0) == stretch.end


def test_words_whose_audio_is_gone_stand_and_the_next_call_goes_on_behind_them() -> None:
    stretch = Stretch(ULAW_8K, kept_s=1, quiet_kept_s=1)
    stretch.append(bytes(8000))
    stretch.on_results([Result("an endless", False, 0)], 8000)
    stretch.append(bytes(8000))
    assert stretch.begin(12_000) == 12_000
    assert list(stretch.finals) == ["an endless"]
    stretch.on_results([Result("sentence", True, 0.5)], 16_000)
    assert stretch.text == "an endless sentence"


def test_what_was_heard_before_a_break_is_shown_until_as_much_is_heard_again() -> None:
    stretch = Stretch(ULAW_8K, kept_s=9, quiet_kept_s=9)
    stretch.append(bytes(8000))
    stretch.on_results([Result("one two three", False, 0)], 8000)
    stretch.begin(8000)
    stretch.on_results([Result("one", False, 0)], 4000)
    assert stretch.text == "one two three"
    stretch.on_results([Result("one two three four", False, 0)], 8000)
    assert stretch.text == "one two three four"


def test_quiet_audio_is_forgotten_once_it_was_sent_and_not_before() -> None:
    stretch = Stretch(ULAW_8K, kept_s=10, quiet_kept_s=1)
    for _ in range(5):
        stretch.append(bytes(8000))
    assert stretch.begin(0) == 0
    sent = 0
    while (taken := stretch.take(sent))[0]:
        sent = taken[1]
    stretch.append(bytes(8000))
    assert stretch.begin(sent) >= 2 * MESSAGE_BYTES
