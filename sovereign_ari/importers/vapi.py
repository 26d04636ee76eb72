"""Assistants exported from Vapi: what `GET https://api.vapi.ai/assistant/{id}` answers. Pure.

Source: https://docs.vapi.ai/api-reference/assistants/get
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sovereign_ari.importers.blocks import (
    LONGEST_TEXT,
    Catalogue,
    fit,
    language_of,
    phrases,
    system_messages,
    without_empty,
)
from sovereign_ari.importers.source import Imported, Source
from sovereign_ari.importers.vapi_tools import read_tools

IGNORED = (
    "id", "orgId", "createdAt", "updatedAt", "isServerUrlSecretSet", "clientMessages",
    "backgroundDenoisingEnabled", "modelOutputInMessagesEnabled",
)  # fmt: skip
EVENTS = ("assistant-request", "tool-calls", "status-update", "end-of-call-report")
_LLMS = {"openai": "openai", "google": "google", "xai": "xai", "mistral": "mistral"}
_VOICES = {"11labs": "elevenlabs", "openai": "openai", "inworld": "inworld"}
_TRANSCRIBERS = {
    "deepgram": "deepgram", "11labs": "elevenlabs", "gladia": "gladia", "openai": "openai",
    "google": "google",
}  # fmt: skip


def convert(
    data: Mapping[str, Any], catalogue: Catalogue, default_llm: Mapping[str, Any]
) -> Imported:
    """Turn one exported assistant into the body of `POST /assistants`.

    Args:
        data: The decoded file.
        catalogue: What providers take here.
        default_llm: The block for a model that has no counterpart.
    """
    source = Source(data, IGNORED)
    body: dict[str, Any] = {
        "name": source.text("name", 255) or "Imported assistant",
        "first_message": _first_message(source),
        "llm_config": _llm(source, catalogue, default_llm),
        "stt_config": _stt(source, catalogue),
        "tts_config": _tts(source, catalogue),
        "max_duration_seconds": _whole(source.number("maxDurationSeconds", 10, 14400)),
        "silence_timeout_seconds": source.number("silenceTimeoutSeconds", 2, 600),
        "voicemail_message": source.text("voicemailMessage", LONGEST_TEXT),
        "voicemail_detection": _voicemail(source),
        "webhook_url": source.text("server.url", 2000) or source.text("serverUrl", 2000),
        "webhook_secret": source.text("server.secret", 255) or source.text("serverUrlSecret", 255),
        "webhook_events": _events(source),
        "recording_enabled": _recording(source),
        "analysis_plan": _analysis(source),
        "metadata": source.take("metadata", dict),
        "speech_config": _speech(source),
    }
    if (body["speech_config"] or {}).get("silence"):
        body["autonomous_silence_handling"] = True
    return Imported(without_empty(body), source.notes())


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)


def _first_message(source: Source) -> str | None:
    mode = source.take("firstMessageMode", str)
    first = source.text("firstMessage", LONGEST_TEXT)
    if mode == "assistant-waits-for-user":
        return None
    if mode == "assistant-speaks-first-with-model-generated-message":
        source.note("firstMessageMode", "the model does not write the greeting here")
    if first is not None and first.startswith(("http://", "https://")):
        source.note("firstMessage", "is an audio file, which is not played here")
        return None
    return first


def _llm(
    source: Source, catalogue: Catalogue, default_llm: Mapping[str, Any]
) -> dict[str, Any] | None:
    provider = source.take("model.provider", str)
    texts = [source.text("model.systemPrompt", LONGEST_TEXT) or ""]
    for index, message in enumerate(source.take("model.messages", list) or ()):
        content = message.get("content") if isinstance(message, dict) else None
        if isinstance(content, str) and message.get("role") == "system":
            texts.append(content)
        else:
            source.note(f"model.messages.{index}", "only system messages are carried over")
    common = {
        "temperature": source.number("model.temperature", 0, 2),
        "messages": system_messages(source, "model.messages", texts) or None,
    }
    tools = read_tools(source)
    ours = {
        "provider": _LLMS.get(provider or "", provider),
        "model": source.take("model.model", str),
        "max_completion_tokens": _whole(source.number("model.maxTokens", 1, 32768)),
        **common,
    }
    block = fit(catalogue, "llm", ours, source, "model") if provider else None
    if block is None:
        block = fit(catalogue, "llm", {**default_llm, **common}, source, "model") or {}
    return {**block, "tools": tools} if tools else block


def _tts(source: Source, catalogue: Catalogue) -> dict[str, Any] | None:
    provider = source.take("voice.provider", str)
    if provider is None:
        return None
    block = {
        "provider": _VOICES.get(provider, provider),
        "voice_id": source.take("voice.voiceId", str),
        "model": source.take("voice.model", str),
        "stability": source.number("voice.stability", 0, 1),
        "similarity_boost": source.number("voice.similarityBoost", 0, 1),
        "style": source.number("voice.style", 0, 1),
        "use_speaker_boost": source.take("voice.useSpeakerBoost", bool),
        "speed": source.number("voice.speed", 0.25, 4),
        "language": language_of(source.take("voice.language", str)),
    }
    return fit(catalogue, "tts", block, source, "voice")


def _stt(source: Source, catalogue: Catalogue) -> dict[str, Any] | None:
    provider = source.take("transcriber.provider", str)
    if provider is None:
        return None
    keyterms = source.take("transcriber.keyterm", list) or source.take(
        "transcriber.keyterms", list
    )
    model = source.take("transcriber.model", str)
    if provider == "deepgram" and model is not None and not model.startswith("nova-3"):
        source.note("transcriber.model", f"{model} became nova-3")
        model = "nova-3"
    block = {
        "provider": _TRANSCRIBERS.get(provider, provider),
        "model": model,
        "language": language_of(source.take("transcriber.language", str)) or "multi",
        "keyterms": keyterms,
        "smart_format": source.take("transcriber.smartFormat", bool),
        "numerals": source.take("transcriber.numerals", bool),
        "endpointing": source.take("transcriber.endpointing", int, float),
    }
    if model is None and provider == "deepgram":
        block["model"] = "nova-3"
    return fit(catalogue, "stt", block, source, "transcriber")


def _voicemail(source: Source) -> bool | None:
    found = source.take("voicemailDetection")
    if isinstance(found, dict):
        source.note("voicemailDetection", "is switched on; how it detects is ours")
    return (bool(found) and found != "off") or None


def _events(source: Source) -> list[str] | None:
    wanted = source.take("serverMessages", list)
    return None if wanted is None else [event for event in EVENTS if event in wanted]


def _recording(source: Source) -> bool | None:
    both = (source.take("recordingEnabled"), source.take("artifactPlan.recordingEnabled"))
    return True if True in both else None


def _analysis(source: Source) -> dict[str, Any] | None:
    plan = source.take("analysisPlan.structuredDataPlan", dict)
    threshold = _whole(source.number("analysisPlan.minMessagesThreshold", 0, 10_000))
    schema = source.take("analysisPlan.structuredDataSchema", dict)
    prompt = source.text("analysisPlan.structuredDataPrompt", LONGEST_TEXT)
    if plan is None and schema is None:
        return None
    plan = plan or {"enabled": True, "schema": schema}
    asked = [{"role": "system", "content": prompt}] if prompt else None
    ours = {
        "enabled": bool(plan.get("enabled", True)),
        "schema": plan.get("schema"),
        "messages": plan.get("messages") or asked,
    }
    filled = {name: value for name, value in ours.items() if value is not None}
    more = {} if threshold is None else {"min_messages_threshold": threshold}
    return {"structured_data_plan": filled, **more}


def _speech(source: Source) -> dict[str, Any]:
    turns = {
        "endpointing_min_delay": source.number("startSpeakingPlan.waitSeconds", 0.1, 5),
        "interruption_min_words": _whole(source.number("stopSpeakingPlan.numWords", 0, 10)),
        "interruption_min_duration": source.number("stopSpeakingPlan.voiceSeconds", 0.05, 2),
    }
    idle = phrases(source, "messagePlan.idleMessages", 5, 300)
    silence = {
        "messages": idle,
        "first_check_seconds": source.number("messagePlan.idleTimeoutSeconds", 1, 60),
        "max_attempts": _whole(source.number("messagePlan.idleMessageMaxSpokenCount", 1, 10)),
    }
    return without_empty(
        {
            "turn_taking": without_empty(turns),
            "silence": without_empty(silence) if idle else None,
            "end_call_message": source.text("endCallMessage", 300),
            "end_call_phrases": phrases(source, "endCallPhrases", 5, 100, letters=2),
            "background_audio": _background(source),
        }
    )


def _background(source: Source) -> dict[str, Any] | None:
    sound = source.take("backgroundSound", str)
    if sound in (None, "off"):
        return None
    if sound == "office":
        return {"enabled": True, "clip": "office"}
    source.note("backgroundSound", "only the office sound is carried over")
    return None
