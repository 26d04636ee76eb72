"""Assistants of Vapi become ours, and what is lost is said."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sovereign_ari.importers.vapi import convert
from sovereign_ari.speech.registry import load_catalogue

CATALOGUE = load_catalogue()
DEFAULT_LLM = {"provider": "parrot"}
EXPORT: dict[str, Any] = {
    "id": "6a5f3f0e-0d0b-4f7e-9a43-0a8f6c0f7c11",
    "orgId": "b7a1b7d4-5f51-4b44-8a2b-5d1c8a0a0c0d",
    "createdAt": "2026-01-02T03:04:05.000Z",
    "updatedAt": "2026-01-02T03:04:05.000Z",
    "name": "Front desk",
    "firstMessage": "Hello, this is the front desk.",
    "firstMessageMode": "assistant-speaks-first",
    "model": {
        "provider": "openai",
        "model": "gpt-4.1",
        "temperature": 0.4,
        "maxTokens": 250,
        "messages": [{"role": "system", "content": "You are the front desk."}],
        "toolIds": ["d1a7b8f0-0000-4000-8000-000000000000"],
        "tools": [
            {
                "type": "function",
                "async": False,
                "function": {
                    "name": "find_booking",
                    "description": "Finds a booking.",
                    "parameters": {"type": "object", "properties": {"name": {"type": "string"}}},
                },
                "server": {"url": "https://hotel.example.com/tools"},
                "messages": [{"type": "request-start", "content": "One moment."}],
            },
            {"type": "endCall"},
            {
                "type": "transferCall",
                "destinations": [
                    {"type": "number", "number": "+31201234567", "description": "The manager."}
                ],
            },
            {"type": "dtmf"},
        ],
    },
    "voice": {
        "provider": "11labs", "voiceId": "21m00Tcm4TlvDq8ikWAM", "stability": 0.5,
        "similarityBoost": 0.75, "optimizeStreamingLatency": 3,
    },
    "transcriber": {"provider": "deepgram", "model": "nova-2", "language": "en-US"},
    "endCallMessage": "Goodbye.",
    "endCallPhrases": ["goodbye", "have a nice day"],
    "maxDurationSeconds": 600,
    "silenceTimeoutSeconds": 30,
    "backgroundSound": "office",
    "serverUrl": "https://hotel.example.com/hook",
    "serverMessages": ["end-of-call-report", "status-update", "hang"],
    "startSpeakingPlan": {"waitSeconds": 0.4, "smartEndpointingEnabled": True},
    "stopSpeakingPlan": {"numWords": 2, "voiceSeconds": 0.2, "backoffSeconds": 1},
    "messagePlan": {"idleMessages": ["Are you there?"], "idleTimeoutSeconds": 8},
    "analysisPlan": {
        "summaryPlan": {"enabled": True},
        "structuredDataPlan": {"enabled": True, "schema": {"type": "object", "properties": {}}},
    },
    "hipaaEnabled": False,
}  # fmt: skip


def test_a_whole_assistant_is_carried_over() -> None:
    body = convert(EXPORT, CATALOGUE, DEFAULT_LLM).body
    assert body["name"] == "Front desk"
    assert body["first_message"] == "Hello, this is the front desk."
    llm = body["llm_config"]
    assert (llm["provider"], llm["model"], llm["temperature"]) == ("openai", "gpt-4.1", 0.4)
    assert llm["max_completion_tokens"] == 250
    assert llm["messages"] == [{"role": "system", "content": "You are the front desk."}]
    assert llm["tools"] == [
        {
            "name": "find_booking",
            "description": "Finds a booking.",
            "parameters": {"type": "object", "properties": {"name": {"type": "string"}}},
            "url": "https://hotel.example.com/tools",
            "message": "One moment.",
        },
        {"type": "end_call"},
        {
            "type": "transfer_call",
            "destinations": [
                {"type": "number", "number": "+31201234567", "description": "The manager."}
            ],
        },
    ]
    assert body["tts_config"] == {
        "provider": "elevenlabs", "voice_id": "21m00Tcm4TlvDq8ikWAM", "stability": 0.5,
        "similarity_boost": 0.75,
    }  # fmt: skip
    assert body["stt_config"] == {"provider": "deepgram", "model": "nova-3", "language": "en"}
    assert body["webhook_url"] == "https://hotel.example.com/hook"
    assert body["webhook_events"] == ["status-update", "end-of-call-report"]
    assert (body["max_duration_seconds"], body["silence_timeout_seconds"]) == (600, 30)
    assert body["autonomous_silence_handling"] is True
    assert body["speech_config"] == {
        "turn_taking": {
            "endpointing_min_delay": 0.4,
            "interruption_min_words": 2,
            "interruption_min_duration": 0.2,
        },
        "silence": {"messages": ["Are you there?"], "first_check_seconds": 8},
        "end_call_message": "Goodbye.",
        "end_call_phrases": ["goodbye", "have a nice day"],
        "background_audio": {"enabled": True, "clip": "office"},
    }
    assert body["analysis_plan"]["structured_data_plan"]["enabled"] is True


@pytest.mark.parametrize(
    "said",
    [
        "transcriber.model: nova-2 became nova-3",
        "model.tools.3: tools of the type dtmf have no counterpart",
        "model.toolIds: has no counterpart and was left out",
        "voice.optimizeStreamingLatency: has no counterpart and was left out",
        "stopSpeakingPlan.backoffSeconds: has no counterpart and was left out",
        "analysisPlan.summaryPlan: has no counterpart and was left out",
    ],
)
def test_what_could_not_be_carried_over_is_said(said: str) -> None:
    assert said in convert(EXPORT, CATALOGUE, DEFAULT_LLM).notes


def test_nothing_is_said_of_what_was_carried_over_or_switched_off() -> None:
    notes = "\n".join(convert(EXPORT, CATALOGUE, DEFAULT_LLM).notes)
    for silent in ("orgId", "hipaaEnabled", "firstMessage", "serverUrl", "endCallMessage"):
        assert f"{silent}:" not in notes


def test_a_model_we_do_not_have_keeps_its_prompt_and_tools_on_the_default() -> None:
    export = copy.deepcopy(EXPORT)
    export["model"] |= {"provider": "anthropic", "model": "claude-sonnet"}
    imported = convert(export, CATALOGUE, DEFAULT_LLM)
    llm = imported.body["llm_config"]
    assert llm["provider"] == "parrot"
    assert llm["messages"][0]["content"] == "You are the front desk."
    assert len(llm["tools"]) == 3
    assert any(note.startswith("model: provider:") for note in imported.notes)


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("maxDurationSeconds", 43200, "maxDurationSeconds: 43200 became 14400"),
        ("firstMessage", "https://cdn.example.com/hi.wav", "firstMessage: is an audio file"),
        ("backgroundSound", "https://cdn.example.com/a.wav", "backgroundSound: only the office"),
        ("endCallPhrases", ["a"] * 9, "endCallPhrases: 0 of 9"),
    ],
)
def test_what_does_not_fit_is_moved_or_left_out_and_said(path: str, value: Any, said: str) -> None:
    notes = convert(EXPORT | {path: value}, CATALOGUE, DEFAULT_LLM).notes
    assert any(note.startswith(said) for note in notes), notes


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(sorted(EXPORT)), JSON))
def test_no_export_breaks_the_import(damage: dict[str, Any]) -> None:
    imported = convert(EXPORT | damage, CATALOGUE, DEFAULT_LLM)
    assert imported.body["name"]
    for kind in ("llm", "stt", "tts"):
        block = dict(imported.body.get(f"{kind}_config") or {"provider": DEFAULT_LLM["provider"]})
        block.pop("tools", None)
        if f"{kind}_config" in imported.body:
            assert CATALOGUE.validate(kind, block) == []


def test_the_secret_of_a_tool_is_kept_and_what_else_it_loses_is_said() -> None:
    export = copy.deepcopy(EXPORT)
    booking, _, transfer, _ = export["model"]["tools"]
    booking["server"] |= {"secret": "s3cret", "timeoutSeconds": 20}
    transfer["destinations"][0]["callerId"] = "+31201230000"
    imported = convert(export, CATALOGUE, DEFAULT_LLM)
    tool = imported.body["llm_config"]["tools"][0]
    assert tool["server"] == {"url": "https://hotel.example.com/tools", "secret": "s3cret"}
    lost = "has no counterpart and was left out"
    assert f"model.tools.0.server.timeoutSeconds: {lost}" in imported.notes
    assert f"model.tools.2.destinations.0.callerId: {lost}" in imported.notes
    assert not [note for note in imported.notes if "s3cret" in note]
