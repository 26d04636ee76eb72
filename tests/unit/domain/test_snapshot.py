"""What a call reads from a stored assistant."""

from __future__ import annotations

from typing import Any

import pytest

from sovereign_ari.domain.agent import Background, SilencePlan
from sovereign_ari.domain.owner import Owner
from sovereign_ari.domain.shown import SHOWN
from sovereign_ari.domain.snapshot import silence_plan, snapshot

OWNER = Owner(
    organisation_id="org",
    account={"account_url": None, "account_secret": "account", "account_events": None},
    sealed_keys={"openai": b"sealed"},
)
DEFAULTS = {kind: {"provider": f"any {kind}"} for kind in ("llm", "stt", "tts")}


def fields(**given: Any) -> dict[str, Any]:
    return dict.fromkeys(SHOWN) | {"name": "Reception", "webhook_secret": None} | given


def test_all_of_speech_config_reaches_the_call() -> None:
    found = snapshot(
        "id",
        fields(
            autonomous_silence_handling=True,
            speech_config={
                "turn_taking": {"interruption_min_words": 2},
                "pronunciation": [{"from": "Sjaak", "to": "Shahk"}],
                "background_audio": {"enabled": True, "clip": "city", "volume": 0.2},
                "silence": {"messages": ["Hello?"], "final_message": "Bye.", "max_attempts": 2},
                "end_call_message": "Thanks.",
                "first_message_outbound": "We call you.",
                "end_call_phrases": ["good bye"],
            },
        ),
        OWNER,
        DEFAULTS,
    )
    assert found.turn_taking.interruption_min_words == 2
    assert found.pronunciation == (("Sjaak", "Shahk"),)
    assert found.background == Background("city", 0.2)
    assert found.silence == SilencePlan(3.0, 12.0, 2, ("Hello?",), "Bye.")
    assert found.end_call_message == "Thanks."
    assert found.first_message_outbound == "We call you."
    assert found.end_call_phrases == ("good bye",)
    assert found.webhook_secret == "account"


@pytest.mark.parametrize("block", [None, {}, {"background_audio": {"enabled": False}}])
def test_nothing_of_it_is_on_by_itself(block: dict[str, Any] | None) -> None:
    found = snapshot(None, fields(speech_config=block), OWNER, DEFAULTS)
    assert (found.silence, found.background, found.end_call_phrases) == (None, None, ())
    assert found.id == ""


@pytest.mark.parametrize(
    ("block", "seconds", "first_check_s"),
    [({}, None, 3.0), ({}, 8.0, 8.0), ({"first_check_seconds": 5}, 8.0, 5.0)],
)
def test_the_first_check_follows_the_assistant_unless_it_is_named(
    block: dict[str, Any], seconds: float | None, first_check_s: float
) -> None:
    assert silence_plan(block, seconds).first_check_s == first_check_s


def test_a_model_whose_silent_callers_are_hung_up_on_may_hang_up_itself() -> None:
    stored: list[dict[str, Any]] = [{"type": "endCall"}, {"type": "transfer_call"}]
    hangs_up = {"type": "end_call"}
    for tools, offered in (
        (None, [hangs_up]),
        ([], [hangs_up]),
        (stored[1:], [stored[1], hangs_up]),
        (stored, stored),
    ):
        block = {"provider": "openai", "tools": tools}
        given = fields(autonomous_silence_handling=True, llm_config=block)
        assert snapshot(None, given, OWNER, DEFAULTS).llm["tools"] == offered
        assert block["tools"] is tools
        assert snapshot(None, fields(llm_config=block), OWNER, DEFAULTS).llm["tools"] is tools
    found = snapshot(None, fields(autonomous_silence_handling=True), OWNER, DEFAULTS)
    assert found.llm == {"provider": "any llm", "tools": [hangs_up]}


def test_a_voicemail_message_of_nothing_but_spaces_is_none() -> None:
    found = snapshot(None, fields(), OWNER, DEFAULTS)
    assert (found.voicemail_detection, found.voicemail_message) == (False, None)
    given = fields(voicemail_detection=True, voicemail_message=" Call us. ")
    found = snapshot(None, given, OWNER, DEFAULTS)
    assert (found.voicemail_detection, found.voicemail_message) == (True, "Call us.")
    assert (
        snapshot(None, fields(voicemail_message="  "), OWNER, DEFAULTS).voicemail_message is None
    )
