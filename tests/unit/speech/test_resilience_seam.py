from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sovereign_ari.speech.resilience import hedging
from sovereign_ari.speech.resilience.hedging import Pace, Paces
from sovereign_ari.speech.resilience.seam import Seam


def joined(said: str, *rest: str) -> str:
    seam = Seam(said)
    return said + "".join([seam.join(text) for text in rest]) + seam.end()


def test_a_word_that_follows_gets_its_space() -> None:
    assert joined("We are open", "from ten", " on.") == "We are open from ten on."
    assert joined("We are open", " from ten.") == "We are open from ten."
    assert joined("We are open ", "from ten.") == "We are open from ten."
    assert joined("We are open", ", from ten.") == "We are open, from ten."


def test_a_model_that_begins_again_is_not_heard_twice() -> None:
    assert joined("We are open", "We", " are", " open", " from ten.") == "We are open from ten."
    assert joined("We are open ", "We are open from ten.") == "We are open from ten."


def test_what_only_looks_like_a_repetition_is_said() -> None:
    assert joined("We are open", "We", " close at six.") == "We are open We close at six."
    assert joined("Yes, yes", "Yes") == "Yes, yes Yes"


def test_without_anything_before_it_nothing_changes() -> None:
    assert joined("", " Yes", ", sir.") == " Yes, sir."


@given(st.text(max_size=20), st.lists(st.text(min_size=1, max_size=8), max_size=6))
def test_no_letter_of_the_rest_is_lost_unless_it_repeats_the_beginning(
    said: str, rest: list[str]
) -> None:
    text, whole = joined(said, *rest), "".join(rest)
    assert text.startswith(said)
    if not (said.strip() and whole.lstrip().startswith(said.strip())):
        assert text[len(said) :].split() == whole.split()


@given(st.lists(st.floats(0, 60, allow_nan=False), max_size=300))
def test_the_patience_with_a_model_has_bounds(samples_s: list[float]) -> None:
    pace = Pace()
    for sample_s in samples_s:
        pace.took(sample_s)
    assert hedging.SHORTEST_S <= pace.patience_s <= hedging.LONGEST_S


def test_the_patience_is_the_time_that_nineteen_of_twenty_keep() -> None:
    pace = Pace()
    for number in range(100):
        pace.took(0.5 + number / 100)
    assert pace.patience_s == 1.44
    for _ in range(hedging.SAMPLES):
        pace.took(0.7)
    assert pace.patience_s == 0.7, "what was long ago counts no more"


@given(st.lists(st.booleans(), max_size=200))
def test_no_more_than_a_share_of_requests_is_doubled(slow: list[bool]) -> None:
    pace, doubled = Pace(), 0
    for is_slow in slow:
        pace.asked()
        doubled += is_slow and pace.may_double()
    assert doubled <= hedging.RESERVE + hedging.SHARE * len(slow)


def test_paces_of_models_do_not_pile_up() -> None:
    paces = Paces()
    first = paces.of("0")
    assert paces.of("0") is first
    for number in range(hedging.MOST_LABELS + 1):
        paces.of(str(number))
    assert paces.of("0") is not first
