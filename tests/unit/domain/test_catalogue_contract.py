"""The catalogue against the published one, value by value."""

from __future__ import annotations

from typing import Any

import pytest

from sovereign_ari.domain.catalogue import Catalogue
from sovereign_ari.speech.openai_compatible import NO_REASONING
from sovereign_ari.speech.registry import load_catalogue

CATALOGUE = load_catalogue()
LISTING = CATALOGUE.listing()

LLM = {
    "openai": "gpt-5.4 gpt-5.4-mini gpt-5.4-nano gpt-5.2 gpt-5.1 gpt-5 gpt-5-mini gpt-5-nano*"
    " gpt-4.1 gpt-4.1-mini gpt-4.1-nano* gpt-5.6-luna gpt-5.6-terra gpt-5.6-sol gpt-4o-mini*",
    "xai": "grok-4.3",
    "mistral": "mistral-medium-latest mistral-small-latest mistral-large-latest"
    " ministral-8b-latest ministral-14b-latest ministral-3b-latest",
    "google": "gemini-3.5-flash-lite gemini-3.5-flash gemini-2.5-flash-lite gemini-2.5-flash",
    "google_realtime": "gemini-live-2.5-flash-native-audio"
    " gemini-2.5-flash-native-audio-preview-12-2025* gemini-3.1-flash-live-preview"
    " gemini-3.8-live",
    "xai_realtime": "grok-voice-think-fast-2.0",
    "openai_live": "gpt-live-1",
}
STT = {
    "deepgram": "nova-3 nova-3-general",
    "elevenlabs": "scribe_v2_realtime",
    "gladia": "solaria-1",
    "mistral": "voxtral-mini-latest",
    "google": "chirp_3",
}
TTS = {
    "elevenlabs": "eleven_flash_v2_5 eleven_v4_turbo eleven_v4 eleven_v3 eleven_multilingual_v2"
    " eleven_turbo_v2_5",
    "inworld": "inworld-tts-2 inworld-tts-2-flash inworld-tts-1.5-max* inworld-tts-1.5-mini*",
    "google": "gemini-3.1-flash-tts-preview gemini-2.5-flash-preview-tts"
    " gemini-2.5-pro-preview-tts chirp-3-hd",
    "xai": "",
    "voicedock": "voicedock-1",
}
POSTCALL_STT = {"elevenlabs": "scribe_v2", "deepgram": "nova-3 nova-3-general"}
PUBLISHED = {"llm": LLM, "stt": STT, "tts": TTS, "postcall_stt": POSTCALL_STT}

SLOTS = {
    ("llm", "openai"): "openai",
    ("llm", "xai"): "xai",
    ("llm", "mistral"): "mistral",
    ("llm", "google"): "google_vertex",
    ("llm", "google_realtime"): "google google_vertex",
    ("llm", "xai_realtime"): "xai",
    ("llm", "openai_live"): "openai",
    ("stt", "deepgram"): "deepgram",
    ("stt", "elevenlabs"): "elevenlabs",
    ("stt", "gladia"): "gladia",
    ("stt", "mistral"): "mistral",
    ("stt", "google"): "google_vertex",
    ("tts", "elevenlabs"): "elevenlabs",
    ("tts", "inworld"): "inworld",
    ("tts", "google"): "google google_vertex",
    ("tts", "xai"): "xai",
    ("tts", "voicedock"): "",
    ("postcall_llm", "google"): "google_vertex",
}
GEMINI = (
    "Puck Achernar Achird Algenib Algieba Alnilam Aoede Autonoe Callirrhoe Charon Despina"
    " Enceladus Erinome Fenrir Gacrux Iapetus Kore Laomedeia Leda Orus Pulcherrima Rasalgethi"
    " Sadachbia Sadaltager Schedar Sulafat Umbriel Vindemiatrix Zephyr Zubenelgenubi"
)
XAI = (
    "ara eve leo rex sal altair atlas carina castor celeste cosmo helios helix iris kepler lumen"
    " luna lux naksh orion perseus rigel sirius ursa zagan zenith"
)
VOICES = {
    ("llm", "google_realtime"): ("Puck", GEMINI),
    ("llm", "xai_realtime"): ("ara", XAI),
    ("llm", "openai_live"): ("marin", "marin beacon cinder stone vesper"),
    ("tts", "google"): ("Kore", GEMINI),
    ("tts", "xai"): ("ara", XAI),
    ("tts", "voicedock"): ("voicedock", "voicedock"),
}
OURS = {
    "llm": {"parrot", "openai_compatible"},
    "stt": {"openai", "pocketsphinx", "openai_compatible", "wyoming"},
    "tts": {"openai", "espeak", "openai_compatible", "wyoming"},
    "postcall_stt": set(),
    "postcall_llm": set(),
}
LANGUAGES = (
    "multi nl en de fr es it pt pl ru ja ko zh ar hi da sv no fi cs hu ro bg hr sk tr id vi"
)
BCP47 = (
    "nl-NL en-US de-DE fr-FR es-ES it-IT pt-PT pl-PL ru-RU ja-JP ko-KR cmn-Hans-CN ar-XA hi-IN"
    " da-DK sv-SE nb-NO fi-FI cs-CZ hu-HU ro-RO bg-BG hr-HR sk-SK tr-TR id-ID vi-VN"
)


def listed(kind: str, provider: str) -> dict[str, Any]:
    found: dict[str, Any] = next(p for p in LISTING["providers"][kind] if p["id"] == provider)
    return found


@pytest.mark.parametrize(
    ("kind", "provider"), [(k, p) for k, providers in PUBLISHED.items() for p in providers]
)
def test_models_are_the_published_ones_with_the_default_first(kind: str, provider: str) -> None:
    models = listed(kind, provider)["models"]
    published = PUBLISHED[kind][provider]
    assert " ".join(m["id"] + "*" * m["legacy"] for m in models) == published
    default = listed(kind, provider)["default_model"]
    assert default == (models[0]["id"] if models else None)


@pytest.mark.parametrize("kind", list(OURS))
def test_what_is_not_published_is_marked_as_ours(kind: str) -> None:
    ours = {p["id"] for p in LISTING["providers"][kind] if p["ours"]}
    assert ours == OURS[kind]
    rest = {p["id"] for p in LISTING["providers"][kind]} - ours
    assert rest == set(PUBLISHED.get(kind, {"openai": "", "xai": "", "mistral": "", "google": ""}))


@pytest.mark.parametrize(("kind", "provider"), list(SLOTS))
def test_slots_are_the_published_ones(kind: str, provider: str) -> None:
    slots = [f"{name}_secret_id" for name in SLOTS[kind, provider].split()]
    assert listed(kind, provider)["byok_slots"] == slots
    for name in SLOTS[kind, provider].split():
        assert name in CATALOGUE.byok_providers()


@pytest.mark.parametrize(
    ("kind", "model", "key"),
    [
        ("llm", {"provider": "google_realtime"}, "google_vertex"),
        ("llm", {"provider": "google_realtime", "model": "gemini-3.8-live"}, "google"),
        (
            "llm",
            {"provider": "google_realtime", "model": "gemini-3.1-flash-live-preview"},
            "google",
        ),
        ("tts", {"provider": "google"}, "google"),
        ("tts", {"provider": "google", "model": "gemini-2.5-pro-preview-tts"}, "google"),
        ("tts", {"provider": "google", "model": "chirp-3-hd"}, "google_vertex"),
        ("stt", {"provider": "deepgram"}, "deepgram"),
        ("tts", {"provider": "xai"}, "xai"),
    ],
)
def test_a_model_names_the_key_that_runs_it(kind: str, model: dict[str, str], key: str) -> None:
    assert CATALOGUE.keys_for(kind, model) == (key,)


def test_providers_without_a_vendor_need_no_key() -> None:
    assert CATALOGUE.keys_for("tts", {"provider": "voicedock"}) == ()
    assert CATALOGUE.keys_for("llm", {"provider": "parrot"}) == ()
    assert not listed("llm", "openai_compatible")["key_required"]
    assert listed("llm", "openai")["key_required"]


@pytest.mark.parametrize(("kind", "provider"), list(VOICES))
def test_voices_are_the_published_ones(kind: str, provider: str) -> None:
    default, voices = VOICES[kind, provider]
    found = listed(kind, provider)
    assert (found["default_voice"], found["voices"]) == (default, voices.split())
    field = "voice" if kind == "llm" else "voice_id"
    block: dict[str, Any] = {"provider": provider}
    assert CATALOGUE.with_defaults(kind, block)[field] == default
    assert CATALOGUE.validate(kind, {**block, field: "nobody"})


def test_languages_are_the_published_ones() -> None:
    codes = [language["code"] for language in LISTING["languages"]]
    assert " ".join(codes) == LANGUAGES
    tags = {language["code"]: language["bcp47"] for language in LISTING["languages"]}
    assert tags.pop("multi") == ["nl-NL", "en-US"]
    assert list(tags.values()) == [[tag] for tag in BCP47.split()]


def test_post_call_models_are_the_published_ones() -> None:
    stated = {p["id"]: p["postcall_model"] for p in LISTING["providers"]["llm"]}
    assert stated == {
        "openai": "gpt-5.4-mini",
        "parrot": None,
        "openai_compatible": None,
        "xai": "grok-4.3",
        "mistral": "mistral-medium-latest",
        "google": "gemini-2.5-flash-lite",
        "google_realtime": {
            "google_secret_id": "gemini-3.5-flash-lite",
            "google_vertex_secret_id": "gemini-2.5-flash-lite",
        },
        "xai_realtime": "grok-4.3",
        "openai_live": "gpt-5.4-mini",
    }
    for provider in ("openai", "xai", "mistral", "google"):
        block = CATALOGUE.with_defaults("postcall_llm", {"provider": provider})
        assert block == {"provider": provider, "model": stated[provider]}
    assert LISTING["postcall_applies_to"] == {"postcall_stt": "realtime", "postcall_llm": "both"}


@pytest.mark.parametrize(
    ("kind", "block", "fault"),
    [
        ("postcall_stt", {"provider": "gladia"}, "postcall_stt.provider: 'gladia' is unknown"),
        ("postcall_stt", {"provider": "deepgram", "language": "xx"}, "postcall_stt.language: "),
        ("postcall_llm", {"provider": "openai", "temperature": 1}, "postcall_llm.temperature: "),
        (
            "postcall_llm",
            {"provider": "google", "model": "gemini-3.5-flash"},
            "postcall_llm.model",
        ),
        ("postcall_llm", {}, "postcall_llm.provider: is required"),
    ],
)
def test_a_faulty_post_call_block_is_told_under_its_own_name(
    kind: str, block: dict[str, Any], fault: str
) -> None:
    [found] = CATALOGUE.validate(kind, block)
    assert found.startswith(fault)


def test_units_of_prices_and_places_are_the_published_ones() -> None:
    units = {p["id"]: p["pricing_units"] for p in LISTING["providers"]["llm"] if not p["ours"]}
    text = ["per_1m_input_tokens", "per_1m_output_tokens"]
    assert units.pop("google_realtime") == ["per_1m_audio_tokens_in", "per_1m_audio_tokens_out"]
    assert units.pop("xai_realtime") == units.pop("openai_live") == ["per_minute"]
    assert set(map(tuple, units.values())) == {tuple(text)}
    places = {m["id"]: m["location"] for m in listed("llm", "google")["models"]}
    assert {name: place for name, place in places.items() if "3.5" in name} == {
        "gemini-3.5-flash-lite": "eu",
        "gemini-3.5-flash": "eu",
    }
    assert {place for name, place in places.items() if "2.5" in name} == {"europe-west4"}
    assert listed("stt", "google")["models"][0]["location"] == "eu"


def test_models_that_must_not_reason_are_told_not_to() -> None:
    pinned = {m["id"] for m in listed("llm", "openai")["models"] if m["reasoning_effort"]}
    assert pinned == NO_REASONING
    assert listed("llm", "xai")["models"][0]["reasoning_effort"] == "none"


def test_the_listing_is_a_copy() -> None:
    fresh = load_catalogue()
    fresh.listing()["providers"]["llm"][0]["params"].clear()
    fresh.listing()["languages"].clear()
    assert fresh.listing() == LISTING


def test_every_reference_of_the_file_leads_somewhere() -> None:
    with pytest.raises(KeyError):
        Catalogue({"kinds": {"llm": {"a": {"label": "A", "fields": {"$ref": "#/nowhere"}}}}})
