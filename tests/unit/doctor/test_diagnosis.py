"""Each fault of a call is named, with what to do about it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sovereign_ari.doctor.diagnosis import AudioPath, diagnose
from sovereign_ari.doctor.finding import Finding, Grade
from sovereign_ari.doctor.record import Record
from sovereign_ari.doctor.trial import Trial

PATH = AudioPath("10000-19999", "192.0.2.1")
WELL = {"received": 500, "lost": 0, "late": 0, "jitter_ms": 0.4, "strangers": 0}
MODELS = {"stt": "openai/stt-1", "llm": "openai/llm-1", "tts": "openai/tts-1"}
LATENCY = {
    "endpoint_ms": 500,
    "stt_ms": 450,
    "llm_ms": 120,
    "first_sentence_ms": 10,
    "tts_ms": 90,
    "playout_ms": 15,
    "voice_to_voice_ms": 735,
}


def turn(user: str | None = None, **extra: Any) -> dict[str, Any]:
    return {
        "user": user,
        "models": MODELS,
        "first_packet_ms": 10,
        "latency": LATENCY,
        "error": None,
        **extra,
    }


def trial(**extra: Any) -> Trial:
    good: dict[str, Any] = {
        "answer_s": 0.1,
        "greeting_s": 0.2,
        "asked": True,
        "reaction_s": 0.8,
        "connected_s": 10.0,
        "media": WELL,
        "level_dbfs": -20.0,
    }
    return Trial("1000", "00123", **(good | extra))


RECORD = Record(
    end_reason="user_hangup",
    controller="sovereign",
    media=WELL,
    turns=(turn(), turn("what are your opening hours")),
)


def finding(what: str, trial: Trial, record: Record | None = RECORD) -> Finding:
    findings = diagnose(trial, record, PATH)
    (found,) = [finding for finding in findings if finding.what == what]
    return found


def broken(trial: Trial, record: Record | None = RECORD) -> list[str]:
    return [f.what for f in diagnose(trial, record, PATH) if f.grade is Grade.FAIL]


def test_a_good_call_has_no_fault() -> None:
    findings = diagnose(trial(), RECORD, PATH)
    assert {finding.grade for finding in findings} == {Grade.OK}


def test_a_good_call_without_its_record_has_no_fault_either() -> None:
    assert {finding.grade for finding in diagnose(trial(), None, PATH)} == {Grade.OK}


@pytest.mark.parametrize(
    ("cause", "said"),
    [
        (1, "nobody has this number"),
        (0, "the dialplan does not take"),
        (3, "the dialplan does not take"),
        (19, "nobody is there"),
        (34, "no controller is connected"),
        (42, "draining"),
        (58, "codec"),
        (127, "refused"),
    ],
)
def test_a_refusal_is_explained_by_its_cause(cause: int, said: str) -> None:
    refused = trial(answer_s=None, ended_cause=cause)
    (found,) = diagnose(refused, None, PATH)
    assert found.grade is Grade.FAIL
    assert said in found.detail
    assert str(cause) in found.detail
    assert found.remedy


def test_a_refusal_repeats_what_the_record_says() -> None:
    record = Record(error="the assistant is not active")
    refused = trial(answer_s=None, ended_cause=19)
    assert "(the assistant is not active)" in finding("answer", refused, record).detail


def test_no_answer_and_no_refusal_is_a_controller_that_hangs() -> None:
    found = finding("answer", trial(answer_s=None), None)
    assert "not answered within" in found.detail
    assert "a controller took the call and does nothing" in found.remedy


def test_answered_but_silent_is_the_voice_when_nothing_was_sent() -> None:
    record = replace(RECORD, turns=(turn(first_packet_ms=None),))
    found = finding("greeting", trial(greeting_s=None, level_dbfs=None), record)
    assert found.detail == "answered, but silent"
    assert "openai/tts-1" in found.remedy


def test_answered_but_silent_is_the_line_when_something_was_sent() -> None:
    silent = trial(greeting_s=None, level_dbfs=None, media=WELL | {"received": 0})
    assert "nothing of it came through" in finding("greeting", silent).detail
    heard = finding("we hear the agent", silent)
    assert heard.grade is Grade.FAIL
    assert heard.detail == "nothing in 10.0 s"
    assert "192.0.2.1" in heard.remedy
    assert "10000-19999" in heard.remedy


def test_an_assistant_may_have_no_greeting() -> None:
    record = replace(RECORD, turns=(turn("what are your opening hours"),))
    assert finding("greeting", trial(greeting_s=None), record).grade is Grade.OK


def test_an_agent_that_hears_nothing_is_told_by_its_packets() -> None:
    deaf = replace(RECORD, media=WELL | {"received": 0, "strangers": 490}, turns=(turn(),))
    mute = trial(reaction_s=None)
    assert broken(mute, deaf) == ["the agent hears us", "voice to voice"]
    assert "490 from an unexpected address" in finding("the agent hears us", mute, deaf).detail
    assert "does not hear us" in finding("voice to voice", mute, deaf).remedy


def test_an_agent_that_hears_but_does_not_understand_is_the_recogniser() -> None:
    record = replace(RECORD, turns=(turn(),))
    found = finding("voice to voice", trial(reaction_s=None), record)
    assert "recognises nothing: look at openai/stt-1" in found.remedy


def test_an_agent_that_understands_but_is_mute_is_the_model() -> None:
    found = finding("voice to voice", trial(reaction_s=None))
    assert "look at openai/llm-1" in found.remedy


def test_silence_in_both_directions_is_one_fault_more() -> None:
    nothing = WELL | {"received": 0}
    silent = trial(greeting_s=None, reaction_s=None, level_dbfs=None, media=nothing)
    found = finding("audio", silent, replace(RECORD, media=nothing, turns=(turn(),)))
    assert found.detail == "neither side hears the other"


@pytest.mark.parametrize(
    ("media", "grade"),
    [
        ({"lost": 2}, Grade.OK),
        ({"lost": 20}, Grade.POOR),
        ({"late": 20}, Grade.POOR),
        ({"lost": 80}, Grade.FAIL),
        ({"jitter_ms": 31.0}, Grade.POOR),
        ({"received": 200}, Grade.FAIL),
    ],
)
def test_packets_are_judged_in_both_directions(media: dict[str, float], grade: Grade) -> None:
    assert finding("we hear the agent", trial(media=WELL | media)).grade is grade
    record = replace(RECORD, media=WELL | media)
    assert finding("the agent hears us", trial(), record).grade is grade


@pytest.mark.parametrize(
    ("level_dbfs", "clipped_share", "grade"),
    [(-20, 0, Grade.OK), (-40, 0, Grade.POOR), (-5, 0, Grade.POOR), (-15, 0.01, Grade.POOR)],
)
def test_the_level_is_judged(level_dbfs: float, clipped_share: float, grade: Grade) -> None:
    heard = trial(level_dbfs=level_dbfs, clipped_share=clipped_share)
    assert finding("level", heard).grade is grade


@pytest.mark.parametrize(
    ("stage", "named"),
    [
        ("endpoint_ms", "recogniser (openai/stt-1)"),
        ("llm_ms", "model (openai/llm-1)"),
        ("first_sentence_ms", "first sentence (openai/llm-1)"),
        ("tts_ms", "voice (openai/tts-1)"),
        ("playout_ms", "playout:"),
    ],
)
@pytest.mark.parametrize(("reaction_s", "grade"), [(3.7, Grade.SLOW), (4.7, Grade.FAIL)])
def test_the_slowest_stage_is_named(
    stage: str, named: str, reaction_s: float, grade: Grade
) -> None:
    slow = turn("hello", latency=LATENCY | {stage: 3500})
    found = finding("voice to voice", trial(reaction_s=reaction_s), replace(RECORD, turns=(slow,)))
    assert found.grade is grade
    assert f"most of it is the {named}" in found.remedy


def test_a_long_configured_delay_is_not_blamed_on_the_recogniser() -> None:
    slow = turn("hello", latency=LATENCY | {"endpoint_ms": 3020})
    record = replace(RECORD, turns=(slow,), end_of_turn_s=3.0)
    found = finding("voice to voice", trial(reaction_s=3.3), record)
    assert "most of it is the configured end-of-turn delay: 3000 ms" in found.remedy
    assert "recogniser 20" in found.detail


def test_a_fault_of_a_provider_is_repeated() -> None:
    fault = {"code": "provider_refused", "message": "openai/tts-1: 401"}
    record = replace(RECORD, events=({"kind": "provider_fault", "detail": fault},))
    found = finding("provider", trial(), record)
    assert found.detail == "openai/tts-1: 401"
    assert "check the provider's key" in found.remedy


def test_providers_that_others_stood_in_for_are_named_once() -> None:
    facts = {"kind": "llm", "from": "openai/m", "to": "mistral/n", "message": "it answered 500"}
    events = tuple(
        {"kind": kind, "detail": facts}
        for kind in ("provider_retry", "provider_fallback", "provider_fallback", "circuit_open")
    )
    findings = diagnose(trial(), replace(RECORD, events=events), PATH)
    found = [it for it in findings if it.what == "provider"]
    assert [it.detail for it in found] == [
        "it answered 500; mistral/n stood in for openai/m",
        "openai/m has failed too often; mistral/n stood in for it",
    ]
    assert {it.grade for it in found} == {Grade.POOR}


def test_an_agent_that_hangs_up_too_early_is_a_fault() -> None:
    record = replace(RECORD, error="provider_unavailable: gone")
    assert broken(trial(ended_cause=16, reaction_s=None), record) == ["call"]


def test_an_agent_that_answers_and_says_goodbye_is_none() -> None:
    assert broken(trial(ended_cause=16)) == []


def test_a_greeting_without_end_is_told() -> None:
    assert finding("greeting", trial(talks_on=True)).detail == "does not end"


def test_slow_answers_and_greetings_are_told() -> None:
    assert finding("answer", trial(answer_s=1.2)).grade is Grade.SLOW
    found = finding("greeting", trial(greeting_s=2.5))
    assert found.grade is Grade.SLOW
    assert "openai/tts-1" in found.remedy


def test_an_apology_is_no_greeting() -> None:
    record = replace(RECORD, turns=(turn(error="provider_refused: no such voice"),))
    found = finding("greeting", trial(ended_cause=16, reaction_s=None), record)
    assert found.grade is Grade.FAIL
    assert "no such voice" in found.detail
