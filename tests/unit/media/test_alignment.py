"""Words are found in the sound of voices that speak as they like, and in no sound at all."""

from __future__ import annotations

import random
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sovereign_ari.domain.pronunciation import Pronunciation
from sovereign_ari.media.alignment import Word, word_spans
from sovereign_ari.media.g711 import pcm_to_ulaw
from sovereign_ari.media.ledger import Pace, SpokenLedger
from sovereign_ari.media.pcm import PCM_8K, ULAW_8K
from tests.support.speech_samples import noise, speech, tone
from tests.support.vowel import vowel
from tests.support.word_voice import RULES, count_words, render, story

RATE_HZ = 8000


def heard_after(ledger: SpokenLedger, seconds: float) -> int:
    return len(ledger.heard(PCM_8K.bytes_for(seconds)).split())


def said(text: str, pcm: bytes) -> SpokenLedger:
    ledger = SpokenLedger(PCM_8K)
    ledger.begin(text)
    ledger.extend(pcm)
    ledger.end()
    return ledger


@pytest.mark.parametrize("seed", range(8))
def test_a_voice_that_draws_words_out_as_it_likes_is_followed_to_the_word(seed: int) -> None:
    text = story(f"seed {seed}")
    pcm = render(text, RATE_HZ)
    ledger = said(text, pcm)
    chance = random.Random(seed)
    for _ in range(12):
        at_s = chance.uniform(0.1, len(pcm) / 2 / RATE_HZ)
        truth = count_words(text, pcm[: PCM_8K.bytes_for(at_s)], RATE_HZ)
        assert abs(heard_after(ledger, at_s) - truth.half) <= 1


@pytest.mark.parametrize("gap_s", [0.02, 0.05, 0.2])
def test_pauses_between_all_words_part_them(gap_s: float) -> None:
    words = "a reservation is an unfortunately long word beside it of course".split()
    chance, pcm, ends = random.Random(4), b"", []
    for _ in words:
        pcm += vowel(chance.uniform(0.12, 0.6))
        ends.append(len(pcm) / 2 / RATE_HZ)
        pcm += bytes(2 * round(gap_s * RATE_HZ))
    ledger = said(" ".join(words), pcm)
    for count, end_s in enumerate(ends, 1):
        assert heard_after(ledger, end_s) == count


def test_the_beginning_of_a_sentence_is_placed_by_the_pace_of_the_voice() -> None:
    text = "Good evening, you are speaking with the reception of the old hotel by the sea."
    pcm, pace = speech(text), Pace()
    whole = SpokenLedger(PCM_8K, pace)
    whole.begin(text)
    whole.extend(pcm)
    whole.end()
    for share in (0.3, 0.5, 0.8):
        part = SpokenLedger(PCM_8K, pace)
        part.begin(text)
        part.extend(pcm[: int(len(pcm) * share) & ~1])
        at_s = share * len(pcm) / 2 / RATE_HZ - 0.1
        assert abs(heard_after(part, at_s) - heard_after(whole, at_s)) <= 1


def test_words_count_as_written_for_as_long_as_they_are_spoken() -> None:
    text = "You have a reservation, very much information now."
    ledger = SpokenLedger(ULAW_8K)
    spoken = ledger.begin(text, Pronunciation(RULES).swaps(text))
    assert spoken == "yoo have a ray zo vah shown, much information now."
    pcm = render(spoken, RATE_HZ)
    ledger.extend(pcm_to_ulaw(pcm))
    ledger.end()
    for at_s in np.arange(0.1, len(pcm) / 2 / RATE_HZ, 0.05):
        part = pcm[: PCM_8K.bytes_for(float(at_s))]
        truth = count_words(text, part, RATE_HZ, ["very"])
        heard = ledger.heard(ULAW_8K.bytes_for(float(at_s)))
        assert text.startswith(heard)
        kept = [word for word in re.findall(r"\w+", heard) if word != "very"]
        assert abs(len(kept) - truth.half) <= 1
    assert ledger.heard(len(pcm) // 2) == ledger.text == text


def test_a_phrase_of_several_words_is_heard_word_by_word_and_asked_for_as_a_whole() -> None:
    text = "In New York City they say so."
    rules = Pronunciation([("new york city", "en why see")])
    ledger = SpokenLedger(PCM_8K)
    assert ledger.begin(text, rules.swaps(text)) == "In en why see they say so."
    ledger.extend(tone(500, 0.8))
    rest = ledger.break_off()
    assert rest in ("In en why see they say so.", "en why see they say so.")
    ledger.extend(tone(500, 2.0))
    ledger.end()
    assert ledger.heard(PCM_8K.bytes_for(2.8)) == text


SOUNDS = [tone(440, 0.3), noise(0.2), bytes(1600), vowel(0.4), b"\x01", b"", bytes(160)]


@given(
    st.lists(st.sampled_from(SOUNDS), max_size=8),
    st.lists(st.tuples(st.floats(0, 40), st.booleans()), max_size=30),
    st.one_of(st.none(), st.floats(0.001, 1.0)),
)
def test_any_sound_and_any_words_make_spans_in_order(
    sounds: list[bytes], known: list[tuple[float, bool]], pace_s: float | None
) -> None:
    words = [Word(weight, pause) for weight, pause in known]
    pcm = b"".join(sounds)
    spans = word_spans(pcm, RATE_HZ, words, pace_s)
    assert len(spans) <= len(words)
    assert all(0 <= begin <= end <= len(pcm) / 2 / RATE_HZ + 1e-9 for begin, end in spans)
    assert [begin for begin, _ in spans] == sorted(begin for begin, _ in spans)
    if pace_s is None and len(pcm) >= 2 * RATE_HZ // 100:
        assert len(spans) == len(words)
