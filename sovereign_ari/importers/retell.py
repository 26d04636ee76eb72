"""Agents exported from Retell: the dashboard's file, or what its API answers. Pure.

Source: https://docs.retellai.com/api-references/get-agent and get-retell-llm
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sovereign_ari.importers.blocks import (
    LONGEST_TEXT,
    Catalogue,
    fit,
    language_of,
    system_messages,
    without_empty,
)
from sovereign_ari.importers.retell_tools import read_tools
from sovereign_ari.importers.source import Imported, Source

IGNORED = (
    "agent_id", "channel", "last_modification_timestamp", "version", "version_title",
    "version_description", "is_published", "is_public", "llm_id", "response_engine",
    "data_storage_setting", "user_dtmf_options", "opt_out_sensitive_data_storage",
    "opt_in_signed_url", "post_call_analysis_model",
)  # fmt: skip
_LLM_IGNORED = ("llm_id", "version", "last_modification_timestamp", "is_published")
_SOUNDS = {
    "coffee-shop": "crowded_room", "convention-hall": "crowded_room", "call-center": "office",
    "summer-outdoor": "forest", "mountain-outdoor": "forest",
}  # fmt: skip


def convert(
    data: Mapping[str, Any], catalogue: Catalogue, default_llm: Mapping[str, Any]
) -> Imported:
    """Turn one exported agent, or one response engine, into the body of `POST /assistants`.

    Args:
        data: The decoded file.
        catalogue: What providers take here.
        default_llm: The block for a model that has no counterpart.
    """
    source = Source(_with_engine_inside(data), IGNORED)
    for name in _LLM_IGNORED:
        source.take(f"retellLlmData.{name}")
    body: dict[str, Any] = {
        "name": source.text("agent_name", 255) or "Imported assistant",
        "first_message": _first_message(source),
        "llm_config": _llm(source, catalogue, default_llm),
        "stt_config": _stt(source, catalogue),
        "tts_config": _tts(source, catalogue),
        "max_duration_seconds": _whole(source.number("max_call_duration_ms", 10, 14400, 0.001)),
        "silence_timeout_seconds": source.number("end_call_after_silence_ms", 2, 600, 0.001),
        "voicemail_detection": source.take("enable_voicemail_detection", bool) or None,
        "voicemail_message": _voicemail_message(source),
        "webhook_url": source.text("webhook_url", 2000),
        "analysis_plan": _analysis(source),
        "speech_config": _speech(source),
    }
    if body["voicemail_message"]:
        body["voicemail_detection"] = True
    if (body["speech_config"] or {}).get("silence"):
        body["autonomous_silence_handling"] = True
    return Imported(without_empty(body), source.notes())


def _with_engine_inside(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """A file of a response engine alone looks like an agent that has it."""
    if "general_prompt" in data or "general_tools" in data:
        return {"retellLlmData": data}
    return data


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)


def _first_message(source: Source) -> str | None:
    speaker = source.take("retellLlmData.start_speaker", str)
    first = source.text("retellLlmData.begin_message", LONGEST_TEXT)
    if speaker == "agent" and first is None:
        source.note("retellLlmData.begin_message", "the model does not write the greeting here")
    return None if speaker == "user" else first


def _llm(
    source: Source, catalogue: Catalogue, default_llm: Mapping[str, Any]
) -> dict[str, Any] | None:
    model = source.take("retellLlmData.model", str)
    prompts = [
        source.text("retellLlmData.general_prompt", 10 * LONGEST_TEXT) or "",
        source.text("conversationFlow.global_prompt", 10 * LONGEST_TEXT) or "",
    ]
    if source.take("conversationFlow.nodes", list):
        source.note(
            "conversationFlow.nodes", "the flow was left out; build it again as a workflow"
        )
    common = {
        "temperature": source.number("retellLlmData.model_temperature", 0, 2),
        "messages": system_messages(source, "retellLlmData.general_prompt", prompts) or None,
    }
    tools = read_tools(source)
    block = None
    if model is not None:
        provider = "google" if model.startswith("gemini") else "openai"
        ours = {"provider": provider, "model": model, **common}
        block = fit(catalogue, "llm", ours, source, "retellLlmData")
    if block is None:
        block = fit(catalogue, "llm", {**default_llm, **common}, source, "retellLlmData") or {}
    return {**block, "tools": tools} if tools else block


def _tts(source: Source, catalogue: Catalogue) -> dict[str, Any] | None:
    voice = source.take("voice_id", str)
    if voice is None:
        return None
    vendor, _, name = voice.partition("-")
    if vendor != "openai":
        source.note("voice_id", f"{voice} is a name of theirs; choose a voice in tts_config")
        return None
    block = {
        "provider": "openai",
        "voice_id": name.lower(),
        "speed": source.number("voice_speed", 0.25, 4),
    }
    return fit(catalogue, "tts", block, source, "voice_id")


def _stt(source: Source, catalogue: Catalogue) -> dict[str, Any] | None:
    language = language_of(source.take("language", str))
    if language is None:
        return None
    block = {
        "provider": "deepgram",
        "model": "nova-3",
        "language": language,
        "keyterms": source.take("boosted_keywords", list) or None,
    }
    return fit(catalogue, "stt", block, source, "language")


def _voicemail_message(source: Source) -> str | None:
    kind = source.take("voicemail_option.action.type", str)
    text = source.text("voicemail_option.action.text", LONGEST_TEXT)
    if kind == "prompt":
        source.note("voicemail_option", "the model does not write the message here")
        return None
    return text or source.text("voicemail_message", LONGEST_TEXT)


def _analysis(source: Source) -> dict[str, Any] | None:
    fields = source.take("post_call_analysis_data", list)
    properties: dict[str, Any] = {}
    for index, field in enumerate(fields or ()):
        match field:
            case {"name": str(name), "type": "enum", "choices": list(choices)}:
                properties[name] = {"type": "string", "enum": choices}
            case {"name": str(name), "type": "string" | "boolean" | "number" as kind}:
                properties[name] = {"type": kind}
            case _:
                source.note(f"post_call_analysis_data.{index}", "has no counterpart")
                continue
        if text := field.get("description"):
            properties[name]["description"] = text
    if not properties:
        return None
    schema = {"type": "object", "properties": properties}
    return {"structured_data_plan": {"enabled": True, "schema": schema}}


def _speech(source: Source) -> dict[str, Any]:
    turns: dict[str, Any] = {}
    sensitivity = source.number("interruption_sensitivity", 0, 1)
    if sensitivity is not None:
        turns["interruption_min_duration"] = round(0.05 + (1 - sensitivity) * 0.75, 2)
        source.note("interruption_sensitivity", "was approximated by interruption_min_duration")
    responsiveness = source.number("responsiveness", 0, 1)
    if responsiveness is not None:
        turns["endpointing_min_delay"] = round(0.3 + (1 - responsiveness) * 1.2, 2)
        source.note("responsiveness", "was approximated by endpointing_min_delay")
    after = source.number("reminder_trigger_ms", 1, 60, 0.001)
    count = _whole(source.number("reminder_max_count", 0, 10))
    silence = {"first_check_seconds": after, "max_attempts": count} if after and count else None
    return without_empty(
        {"turn_taking": turns, "silence": silence, "background_audio": _background(source)}
    )


def _background(source: Source) -> dict[str, Any] | None:
    sound = source.take("ambient_sound", str)
    volume = source.number("ambient_sound_volume", 0.1, 2)
    if sound is None:
        return None
    clip = _SOUNDS.get(sound)
    if clip is None:
        source.note("ambient_sound", f"{sound} has no counterpart")
        return None
    if clip != sound:
        source.note("ambient_sound", f"{sound} became {clip}, the nearest")
    return without_empty(
        {"enabled": True, "clip": clip, "volume": None if volume is None else volume / 2}
    )
