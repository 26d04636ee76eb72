"""Agents of Retell become our assistants, and what is lost is said."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sovereign_ari.importers.retell import convert
from sovereign_ari.speech.registry import load_catalogue
from tests.unit.importers.test_vapi import JSON

CATALOGUE = load_catalogue()
DEFAULT_LLM = {"provider": "parrot"}
ENGINE: dict[str, Any] = {
    "llm_id": "llm_234sdertfsdsfsdf",
    "version": 1,
    "model": "gpt-4.1",
    "model_temperature": 0.1,
    "general_prompt": "You are a dentist's receptionist. Call the patient {{name}}.",
    "begin_message": "Dental practice, good morning.",
    "start_speaker": "agent",
    "general_tools": [
        {"type": "end_call", "name": "end_call", "description": "Hang up."},
        {
            "type": "transfer_call",
            "name": "transfer",
            "description": "A person is needed.",
            "transfer_destination": {"type": "predefined", "number": "+31201234567"},
            "transfer_option": {"type": "warm_transfer"},
        },
        {
            "type": "custom",
            "name": "find_slot",
            "description": "Finds a free slot.",
            "url": "https://dentist.example.com/slots",
            "method": "GET",
            "speak_during_execution": True,
            "execution_message_description": "Let me look.",
            "parameters": {"type": "object", "properties": {"day": {"type": "string"}}},
        },
        {"type": "press_digit", "name": "press"},
    ],
    "states": [{"name": "intake"}],
    "knowledge_base_ids": [],
}
EXPORT: dict[str, Any] = {
    "agent_id": "oBeDLoLOeuAbiuaMFXRtDOLriTJ5tSxD",
    "agent_name": "Dentist",
    "version": 3,
    "is_published": False,
    "response_engine": {"type": "retell-llm", "llm_id": "llm_234sdertfsdsfsdf"},
    "language": "nl-NL",
    "voice_id": "openai-Alloy",
    "webhook_url": "https://dentist.example.com/hook",
    "max_call_duration_ms": 3_600_000,
    "end_call_after_silence_ms": 600_000,
    "interruption_sensitivity": 0.9,
    "responsiveness": 1,
    "reminder_trigger_ms": 10_000,
    "reminder_max_count": 2,
    "ambient_sound": "coffee-shop",
    "ambient_sound_volume": 1,
    "boosted_keywords": ["molar"],
    "enable_backchannel": True,
    "voicemail_option": {"action": {"type": "static_text", "text": "Please call us back."}},
    "post_call_analysis_data": [
        {"type": "string", "name": "reason", "description": "Why they called."},
        {"type": "enum", "name": "mood", "choices": ["good", "bad"]},
        {"type": "system-presets", "name": "call_summary"},
    ],
    "retellLlmData": ENGINE,
}


def test_a_whole_agent_is_carried_over() -> None:
    body = convert(EXPORT, CATALOGUE, DEFAULT_LLM).body
    assert body["name"] == "Dentist"
    assert body["first_message"] == "Dental practice, good morning."
    llm = body["llm_config"]
    assert (llm["provider"], llm["model"], llm["temperature"]) == ("openai", "gpt-4.1", 0.1)
    assert llm["messages"][0]["content"].startswith("You are a dentist's receptionist.")
    assert llm["tools"] == [
        {"type": "end_call"},
        {
            "type": "transfer_call",
            "destinations": [
                {
                    "type": "number", "number": "+31201234567",
                    "description": "A person is needed.", "mode": "warm",
                }
            ],
        },
        {
            "name": "find_slot", "description": "Finds a free slot.",
            "url": "https://dentist.example.com/slots", "message": "Let me look.",
            "parameters": {"type": "object", "properties": {"day": {"type": "string"}}},
        },
    ]  # fmt: skip
    assert body["tts_config"] == {"provider": "openai", "voice_id": "alloy"}
    assert body["stt_config"] == {
        "provider": "deepgram", "model": "nova-3", "language": "nl", "keyterms": ["molar"],
    }  # fmt: skip
    assert (body["max_duration_seconds"], body["silence_timeout_seconds"]) == (3600, 600)
    assert body["voicemail_detection"] is True
    assert body["voicemail_message"] == "Please call us back."
    assert body["autonomous_silence_handling"] is True
    assert body["speech_config"]["silence"] == {"first_check_seconds": 10, "max_attempts": 2}
    assert body["speech_config"]["background_audio"]["clip"] == "crowded_room"
    assert body["analysis_plan"]["structured_data_plan"]["schema"]["properties"] == {
        "reason": {"type": "string", "description": "Why they called."},
        "mood": {"type": "string", "enum": ["good", "bad"]},
    }


@pytest.mark.parametrize(
    "said",
    [
        "retellLlmData.general_prompt: holds placeholders",
        "retellLlmData.general_tools.2.method: tools are sent as POST here",
        "retellLlmData.general_tools.3: tools of the type press_digit have no counterpart",
        "retellLlmData.states: has no counterpart and was left out",
        "ambient_sound: coffee-shop became crowded_room, the nearest",
        "enable_backchannel: has no counterpart and was left out",
        "post_call_analysis_data.2: has no counterpart",
    ],
)
def test_what_could_not_be_carried_over_is_said(said: str) -> None:
    notes = convert(EXPORT, CATALOGUE, DEFAULT_LLM).notes
    assert any(note.startswith(said) for note in notes), notes


def test_a_response_engine_alone_is_enough() -> None:
    body = convert(ENGINE, CATALOGUE, DEFAULT_LLM).body
    assert body["first_message"] == "Dental practice, good morning."
    assert len(body["llm_config"]["tools"]) == 3


def test_a_conversation_flow_keeps_its_prompt_and_says_that_the_flow_is_lost() -> None:
    export = {
        "agent_name": "Flow",
        "response_engine": {"type": "conversation-flow"},
        "conversationFlow": {"global_prompt": "Be kind.", "nodes": [{"id": "start"}]},
    }
    imported = convert(export, CATALOGUE, DEFAULT_LLM)
    assert imported.body["llm_config"]["messages"] == [{"role": "system", "content": "Be kind."}]
    assert any("build it again as a workflow" in note for note in imported.notes)


def test_a_voice_of_theirs_is_left_to_be_chosen() -> None:
    imported = convert(EXPORT | {"voice_id": "11labs-Adrian"}, CATALOGUE, DEFAULT_LLM)
    assert "tts_config" not in imported.body
    assert any(note.startswith("voice_id: 11labs-Adrian") for note in imported.notes)


@given(st.dictionaries(st.sampled_from(sorted(EXPORT)), JSON))
def test_no_export_breaks_the_import(damage: dict[str, Any]) -> None:
    assert convert(EXPORT | damage, CATALOGUE, DEFAULT_LLM).body["name"]


def test_what_a_tool_loses_is_said() -> None:
    tools = [
        {"type": "custom", "name": "look_up", "url": "https://crm.example.com",
         "timeout_ms": 9000},
        {"type": "transfer_call", "number": "+31201234567",
         "transfer_option": {"type": "cold_transfer", "show_transferee_as_caller": True}},
    ]  # fmt: skip
    data = {"general_prompt": "You are the desk.", "general_tools": tools}
    notes = convert(data, CATALOGUE, DEFAULT_LLM).notes
    lost = "has no counterpart and was left out"
    assert f"retellLlmData.general_tools.0.timeout_ms: {lost}" in notes
    option = "retellLlmData.general_tools.1.transfer_option.show_transferee_as_caller"
    assert f"{option}: {lost}" in notes
