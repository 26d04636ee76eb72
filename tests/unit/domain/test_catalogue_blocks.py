"""Blocks that the published catalogue allows, and blocks that it does not."""

from __future__ import annotations

from typing import Any

import pytest

from sovereign_ari.speech.registry import load_catalogue

CATALOGUE = load_catalogue()
LISTING = CATALOGUE.listing()
REALTIME = {"provider": "xai_realtime"}
LIVE = {"provider": "openai_live"}
ELEVEN = {"provider": "elevenlabs", "voice_id": "x"}
GOOGLE = {"provider": "google"}


def params_of(kind: str, provider: str) -> dict[str, Any]:
    found: dict[str, Any] = next(
        p["params"] for p in LISTING["providers"][kind] if p["id"] == provider
    )
    return found


@pytest.mark.parametrize(
    ("kind", "block", "field", "lowest", "highest"),
    [
        ("llm", {"provider": "openai"}, "temperature", 0, 2),
        ("llm", {"provider": "openai"}, "max_completion_tokens", 1, 32768),
        ("llm", GOOGLE, "max_completion_tokens", 1, 32768),
        ("llm", {"provider": "google_realtime"}, "max_output_tokens", 1, 32768),
        ("llm", REALTIME, "speed", 0.7, 1.5),
        ("stt", {"provider": "deepgram"}, "endpointing", 0, 5000),
        ("stt", {"provider": "deepgram"}, "utterance_end_ms", 1000, 5000),
        ("stt", {"provider": "gladia"}, "endpointing", 0.01, 1),
        ("tts", ELEVEN, "stability", 0, 1),
        ("tts", ELEVEN, "similarity_boost", 0, 1),
        ("tts", ELEVEN, "style", 0, 1),
        ("tts", ELEVEN, "speed", 0.5, 2),
        ("tts", {"provider": "inworld", "voice_id": "x"}, "speed", 0.5, 2),
        ("tts", GOOGLE, "speaking_rate", 0.25, 2),
    ],
)
def test_ranges_are_the_published_ones(
    kind: str, block: dict[str, Any], field: str, lowest: float, highest: float
) -> None:
    for inside in (lowest, highest):
        assert CATALOGUE.validate(kind, {**block, field: inside}) == []
    step = 0.001 if highest <= 2 else 1
    for outside in (lowest - step, highest + step):
        [fault] = CATALOGUE.validate(kind, {**block, field: outside})
        assert f"{kind}_config.{field}: " in fault


@pytest.mark.parametrize(
    ("kind", "block"),
    [
        (
            "llm",
            {**REALTIME, "reasoning_effort": "high", "provider_tools": [{"type": "web_search"}]},
        ),
        (
            "llm",
            {**REALTIME, "transcription": {"language_hint": "nl", "keyterms": ["a" * 50] * 100}},
        ),
        (
            "llm",
            {
                **REALTIME,
                "provider_tools": [{"type": "x_search", "allowed_x_handles": ["a"] * 20}],
            },
        ),
        (
            "llm",
            {
                **REALTIME,
                "provider_tools": [
                    {"type": "file_search", "vector_store_ids": ["v"], "max_num_results": 50}
                ],
            },
        ),
        ("llm", {**LIVE, "delegation": {"model": "gpt-5.6-luna", "instructions": "Look it up."}}),
        (
            "llm",
            {
                "provider": "google_realtime",
                "vertexai": True,
                "location": "eu",
                "analysis_model": "any",
            },
        ),
        (
            "stt",
            {
                "provider": "elevenlabs",
                "tag_audio_events": True,
                "include_timestamps": False,
                "sample_rate": 8000,
            },
        ),
        (
            "stt",
            {
                "provider": "gladia",
                "languages": ["nl", "en"],
                "code_switching": True,
                "region": "eu-west",
                "custom_vocabulary": ["x"],
                "translation_enabled": True,
                "translation_target_languages": ["en"],
            },
        ),
        (
            "stt",
            {
                "provider": "deepgram",
                "keyterms": ["x"],
                "smart_format": True,
                "numerals": True,
                "filler_words": True,
                "no_delay": True,
            },
        ),
        (
            "tts",
            {
                **ELEVEN,
                "use_speaker_boost": True,
                "apply_text_normalization": "auto",
                "apply_language_text_normalization": True,
                "language": "nl",
            },
        ),
        ("tts", {**ELEVEN, "model": "eleven_v3", "style": 0.5}),
        ("tts", {**GOOGLE, "voice_id": "Puck", "instructions": "Slowly.", "language": "nl"}),
        ("tts", {"provider": "xai", "language": "nl"}),
        (
            "llm",
            {
                "provider": "openai_compatible",
                "base_url": "https://models.example.com/v1",
                "model": "any-model",
            },
        ),
        ("stt", {"provider": "wyoming", "uri": "tcp://speech.example.com:10300"}),
        ("tts", {"provider": "wyoming", "uri": "tcp://[2001:db8::1]:10200", "voice_id": "x"}),
    ],
)
def test_everything_published_is_accepted(kind: str, block: dict[str, Any]) -> None:
    assert CATALOGUE.validate(kind, block) == []


@pytest.mark.parametrize(
    ("kind", "block", "fault"),
    [
        (
            "llm",
            {**REALTIME, "provider_tools": [{"type": "shell"}]},
            "provider_tools[0].type: 'shell' is not one of web_search, x_search, file_search",
        ),
        ("llm", {**REALTIME, "provider_tools": [{}]}, "provider_tools[0].type: is required"),
        (
            "llm",
            {**REALTIME, "provider_tools": ["web_search"]},
            "provider_tools[0]: must be an object",
        ),
        (
            "llm",
            {**REALTIME, "provider_tools": [{"type": ["web_search"]}]},
            "provider_tools[0].type: ",
        ),
        (
            "llm",
            {**REALTIME, "provider_tools": [{"type": "file_search"}]},
            "provider_tools[0].vector_store_ids: is required",
        ),
        (
            "llm",
            {**REALTIME, "provider_tools": [{"type": "file_search", "vector_store_ids": []}]},
            "vector_store_ids: has fewer than 1",
        ),
        (
            "llm",
            {
                **REALTIME,
                "provider_tools": [{"type": "x_search", "allowed_x_handles": ["a"] * 21}],
            },
            "allowed_x_handles: has more than 20",
        ),
        (
            "llm",
            {**REALTIME, "provider_tools": [{"type": "web_search", "max_num_results": 1}]},
            "max_num_results: is unknown",
        ),
        ("llm", {**REALTIME, "transcription": {"keyterms": ["a" * 51]}}, "keyterms[0]: is longer"),
        ("llm", {**REALTIME, "transcription": {"keyterms": ["a"] * 101}}, "keyterms: has more"),
        (
            "llm",
            {**REALTIME, "turn_detection": {"threshold": "much"}},
            "threshold: must be a number",
        ),
        ("llm", {**REALTIME, "turn_detection": {"treshold": 1}}, "did you mean 'threshold'?"),
        (
            "llm",
            {**REALTIME, "reasoning_effort": "low"},
            "reasoning_effort: 'low' is not one of none",
        ),
        ("llm", {**LIVE, "delegation": {"model": "gpt-5.4"}}, "delegation.model: 'gpt-5.4'"),
        (
            "llm",
            {"provider": "xai", "max_completion_tokens": 5},
            "max_completion_tokens: is unknown",
        ),
        (
            "llm",
            {"provider": "openai_compatible", "base_url": "ftp://x", "model": "m"},
            "base_url: is not an http or https URL",
        ),
        ("llm", {"provider": "openai_compatible", "model": "m"}, "base_url: is required"),
        (
            "stt",
            {"provider": "wyoming", "uri": "http://x:1"},
            "uri: is not an address such as tcp://",
        ),
        (
            "stt",
            {"provider": "elevenlabs", "sample_rate": 44100},
            "sample_rate: 44100 is not one of",
        ),
        ("stt", {"provider": "gladia", "languages": ["xx"]}, "languages[0]: 'xx' is not one of"),
        ("stt", {"provider": "gladia", "region": "eu"}, "region: 'eu' is not one of eu-west"),
        ("tts", {**ELEVEN, "apply_text_normalization": "maybe"}, "is not one of auto, on, off"),
        ("tts", {**ELEVEN, "voice_id": ""}, "voice_id: must not be empty"),
        ("tts", {"provider": "inworld"}, "voice_id: is required"),
        ("tts", {"provider": "xai", "model": "grok"}, "model: is unknown"),
        ("tts", {"provider": "voicedock", "voice_id": "anna"}, "voice_id: 'anna' is not one of"),
    ],
)
def test_what_is_not_published_is_refused(kind: str, block: dict[str, Any], fault: str) -> None:
    assert fault in "\n".join(CATALOGUE.validate(kind, block))


def test_turn_detection_is_clamped_and_not_refused() -> None:
    wild = {
        "threshold": -3,
        "prefix_padding_ms": 99_999,
        "silence_duration_ms": 1,
        "idle_timeout_ms": 10**12,
    }
    block = {**REALTIME, "turn_detection": wild}
    assert CATALOGUE.validate("llm", block) == []
    assert CATALOGUE.with_defaults("llm", block)["turn_detection"] == {
        "threshold": 0,
        "prefix_padding_ms": 2000,
        "silence_duration_ms": 100,
        "idle_timeout_ms": 30000,
    }
    assert wild["threshold"] == -3
    tame = {"threshold": 0.7, "idle_timeout_ms": 0}
    block = {**REALTIME, "turn_detection": tame}
    assert CATALOGUE.with_defaults("llm", block)["turn_detection"] == tame


def test_defaults_are_the_published_ones() -> None:
    realtime = CATALOGUE.with_defaults("llm", REALTIME)
    assert (realtime["temperature"], realtime["speed"], realtime["voice"]) == (0.7, 1, "ara")
    params = params_of("llm", "xai_realtime")["turn_detection"]["properties"]
    assert {name: field.get("default") for name, field in params.items()} == {
        "threshold": 0.5,
        "prefix_padding_ms": 300,
        "silence_duration_ms": 200,
        "idle_timeout_ms": None,
    }
    assert CATALOGUE.with_defaults("llm", {"provider": "google_realtime"})["vertexai"] is False
    delegation = params_of("llm", "openai_live")["delegation"]["properties"]
    assert delegation["model"]["enum"] == [delegation["model"]["default"]] == ["gpt-5.6-luna"]


def test_a_field_for_other_models_is_kept_but_has_no_default() -> None:
    assert "speaking_rate" not in CATALOGUE.with_defaults("tts", GOOGLE)
    chirp = {**GOOGLE, "model": "chirp-3-hd"}
    assert CATALOGUE.with_defaults("tts", chirp)["speaking_rate"] == 1
    params = params_of("tts", "elevenlabs")
    for everywhere in ("stability", "apply_text_normalization", "voice_id"):
        assert "x-models" not in params[everywhere]
    for name in (
        "similarity_boost", "style", "use_speaker_boost", "speed", "language",
        "apply_language_text_normalization",
    ):  # fmt: skip
        assert set(params[name]["x-models"]) == {
            "eleven_flash_v2_5", "eleven_multilingual_v2", "eleven_turbo_v2_5",
        }  # fmt: skip


def test_addresses_of_servers_are_named_for_the_outgoing_policy() -> None:
    own = {"provider": "openai_compatible", "base_url": "https://a.example/v1", "model": "m"}
    assert CATALOGUE.urls("llm", own) == {"llm_config.base_url": "https://a.example/v1"}
    wyoming = {"provider": "wyoming", "uri": "tcp://a.example:10300"}
    assert CATALOGUE.urls("stt", wyoming) == {"stt_config.uri": "http://a.example:10300"}
    assert CATALOGUE.urls("llm", {"provider": "openai"}) == {}
