from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sovereign_ari.media.g711 import pcm_to_ulaw
from sovereign_ari.media.ledger import SpokenLedger
from sovereign_ari.media.pcm import G722_16K, ULAW_8K, AudioFormat
from sovereign_ari.media.transcode import encoder_for

SILENCE_S = b"\xff" * 8000


def tone(seconds: float) -> bytes:
    samples = (round(8000 * math.sin(i * 0.3)) for i in range(round(8000 * seconds)))
    return pcm_to_ulaw(b"".join(sample.to_bytes(2, "little", signed=True) for sample in samples))


TONE_S = tone(1.0)


def spoken(*sentences: tuple[str, bytes]) -> SpokenLedger:
    ledger = SpokenLedger(ULAW_8K)
    for text, audio in sentences:
        ledger.begin(text)
        ledger.extend(audio)
        ledger.end()
    return ledger


def test_nothing_played_is_nothing_heard() -> None:
    ledger = spoken(("Hello there.", TONE_S))
    assert ledger.heard(0) == ""
    assert ledger.heard(-160) == ""
    assert SpokenLedger(ULAW_8K).heard(8000) == ""


def test_a_word_is_heard_when_half_of_it_has_left() -> None:
    ledger = spoken(("aaa bbb ccc ddd", TONE_S))
    assert ledger.heard(900) == ""
    assert ledger.heard(1100) == ledger.heard(2800) == "aaa"
    assert ledger.heard(3200) == ledger.heard(4700) == "aaa bbb"
    assert ledger.heard(6700) == "aaa bbb ccc"
    assert ledger.heard(7100) == "aaa bbb ccc ddd"
    assert ledger.heard(8000) == "aaa bbb ccc ddd"


def test_silence_around_and_within_a_sentence_moves_no_word() -> None:
    half = TONE_S[:4000]
    ledger = spoken(("aaa bbb", SILENCE_S + half + SILENCE_S + half + SILENCE_S))
    assert ledger.heard(8000 + 1900) == ""
    assert ledger.heard(8000 + 2200) == "aaa"
    assert ledger.heard(8000 + 4000 + 8000 + 1900) == "aaa"
    assert ledger.heard(8000 + 4000 + 8000 + 2200) == "aaa bbb"


def test_sentences_follow_one_another() -> None:
    ledger = spoken(("Good morning.", TONE_S), ("How are you?", TONE_S))
    assert ledger.heard(8000) == "Good morning."
    assert ledger.heard(8000 + 3000) == "Good morning. How"
    assert ledger.heard(16000) == "Good morning. How are you?" == ledger.text


def test_a_sentence_still_being_synthesised_is_not_heard_whole() -> None:
    ledger = SpokenLedger(ULAW_8K)
    ledger.begin("This is a rather long sentence that takes several seconds to say.")
    ledger.extend(TONE_S)
    heard = ledger.heard(8000)
    assert heard.startswith("This is a")
    assert len(heard) < 30


def test_digits_take_longer_than_letters() -> None:
    ledger = spoken(("77777 abcde", TONE_S))
    assert ledger.heard(2600) == ""
    assert ledger.heard(3200) == ledger.heard(6400) == "77777"


def test_a_script_without_spaces_is_cut_between_characters() -> None:
    assert spoken(("今日はいい天気です", TONE_S)).heard(3800) == "今日はい"


def test_silent_audio_still_counts() -> None:
    ledger = spoken(("aaa bbb", SILENCE_S))
    assert ledger.heard(2200) == "aaa"
    assert ledger.heard(8000) == "aaa bbb"


def test_g722_is_measured_too() -> None:
    pcm = bytes(32000) + b"\x00\x20\x00\xe0" * 8000
    ledger = SpokenLedger(G722_16K)
    ledger.begin("aaa bbb")
    ledger.extend(encoder_for(G722_16K).encode(pcm))
    ledger.end()
    assert ledger.heard(8000) == ""
    assert ledger.heard(8000 + 2160) == "aaa"
    assert ledger.heard(16000) == "aaa bbb"


sentences = st.lists(
    st.tuples(
        st.text(max_size=60),
        st.lists(st.sampled_from([tone(0.05), SILENCE_S[:500], b"\x20" * 33]), max_size=12),
    ),
    max_size=5,
)


@pytest.mark.parametrize("wire", [ULAW_8K, G722_16K])
@given(spoken=sentences, finished=st.booleans())
def test_heard_is_a_growing_prefix_and_whole_at_the_end(
    wire: AudioFormat, spoken: list[tuple[str, list[bytes]]], finished: bool
) -> None:
    ledger, size = SpokenLedger(wire), 0
    for text, chunks in spoken:
        ledger.begin(text)
        for chunk in chunks:
            ledger.extend(chunk)
            size += len(chunk)
    if finished and spoken:
        ledger.end()
    before = ""
    for played in range(0, size + 161, 160):
        heard = ledger.heard(played)
        assert ledger.text.startswith(heard)
        assert heard.startswith(before)
        before = heard
    if finished and all(chunks for _, chunks in spoken):
        assert before == ledger.text
