"""Who answered: humans first, machines by their words, and the PBX's opinion by the way."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sovereign_ari.domain.answering_machine import Evidence, Kind, PbxVerdict, judge
from sovereign_ari.domain.greeting_words import calls_out
from tests.support.greeting_texts import HUMANS, MACHINES

MACHINE = PbxVerdict("MACHINE", "LONGGREETING-1520-1500")
HUMAN = PbxVerdict("HUMAN", "HUMAN-800-800")
ALL_SAID = {
    kind: [
        " ".join(part for part in parts if isinstance(part, str))
        for texts in by_language.values()
        for parts in texts
    ]
    for kind, by_language in {**MACHINES, Kind.HUMAN: HUMANS}.items()
}


@pytest.mark.parametrize("text", ALL_SAID[Kind.HUMAN])
@pytest.mark.parametrize("pbx", [None, MACHINE, HUMAN])
def test_no_human_is_a_machine_whatever_the_pbx_says(text: str, pbx: PbxVerdict | None) -> None:
    verdict = judge(Evidence(text, pbx))
    assert verdict.kind in (Kind.HUMAN, Kind.UNKNOWN), verdict


@pytest.mark.parametrize(
    ("kind", "text"),
    [(kind, text) for kind, texts in ALL_SAID.items() for text in texts if kind is not Kind.HUMAN],
)
def test_a_machine_is_known_by_all_of_its_words(kind: Kind, text: str) -> None:
    if "you know what to do" in text:  # nothing but its beep gives it away
        assert judge(Evidence(text)).kind is not Kind.VOICEMAIL
        assert judge(Evidence(text, sounds=frozenset({"beep"}))).kind is Kind.VOICEMAIL
    else:
        assert judge(Evidence(text)).kind is kind


@pytest.mark.parametrize(
    "keyword",
    [
        "voicemail", "leave a message", "please record", "unavailable", "not available",
        "not here", "after the tone", "after the beep", "press star", "speak your message",
        "call back later", "mailbox",
    ],
)  # fmt: skip
def test_the_keywords_of_the_contract_are_a_voicemail(keyword: str) -> None:
    text = f"hi you have called jim {keyword} thanks"
    assert judge(Evidence(text)).kind is Kind.VOICEMAIL


@pytest.mark.parametrize("keyword", ["message", "beep"])
def test_the_keywords_that_everybody_says_need_company(keyword: str) -> None:
    text = f"hi you have called jim {keyword} thanks"
    assert judge(Evidence(text)).kind is not Kind.VOICEMAIL
    assert judge(Evidence(text, sounds=frozenset({"beep"}))).kind is Kind.VOICEMAIL


def test_the_pbx_alone_decides_nothing() -> None:
    assert judge(Evidence("", MACHINE)).kind is Kind.UNKNOWN
    reception = "good morning this is the reception of the harbour hotel in the old town " * 3
    assert judge(Evidence(reception, MACHINE)).kind is Kind.UNKNOWN


def test_a_beep_behind_a_short_hello_is_no_voicemail() -> None:
    assert judge(Evidence("hello", sounds=frozenset({"beep"}))).kind is Kind.HUMAN


def test_words_behind_the_first_utterance_must_be_certain() -> None:
    text = "this is anna of the front desk sorry piet not available"
    assert judge(Evidence(text, MACHINE)).kind is Kind.VOICEMAIL
    assert judge(Evidence(text, MACHINE, settled=True)).kind is not Kind.VOICEMAIL


def test_a_verdict_tells_why_and_repeats_no_words() -> None:
    text = "hi this is secretname i cannot come to the phone please leave a message"
    verdict = judge(Evidence(text, MACHINE, frozenset({"beep"})))
    assert verdict.because == (
        "words, certain: leave a message, cannot answer",
        "words, faint: message",
        "many words at once",
        "a beep",
        "AMD: MACHINE LONGGREETING-1520-1500",
    )


@pytest.mark.parametrize(
    ("sounds", "kind"),
    [({"fax"}, Kind.FAX), ({"special"}, Kind.OUT_OF_SERVICE), ({"busy"}, Kind.BUSY)],
)
def test_tones_need_no_words(sounds: set[str], kind: Kind) -> None:
    assert judge(Evidence("", sounds=frozenset(sounds))).kind is kind  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text", ["hello?", "Hello, hello?", "hallo, is daar iemand?", "ja hallo wer ist da", "wait!"]
)
def test_somebody_who_calls_out_is_heard(text: str) -> None:
    assert calls_out(text)


@pytest.mark.parametrize("text", ["", "hello you have reached anna", "hallo dit is piet"])
def test_a_greeting_does_not_call_out(text: str) -> None:
    assert not calls_out(text)


@given(st.text(max_size=300), st.text(max_size=20), st.text(max_size=20))
def test_any_text_and_any_answer_of_the_pbx_are_judged(text: str, status: str, cause: str) -> None:
    verdict = judge(Evidence(text, PbxVerdict(status, cause)))
    assert isinstance(verdict.kind, Kind)
