"""The catalogue as clients read it: what may be chosen, and what it needs. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

VOICE_FIELDS = ("voice", "voice_id")


def slot(provider: str) -> str:
    """Name the place of a stored key: `<provider>_secret_id`."""
    return f"{provider}_secret_id"


def listing(data: Mapping[str, Any]) -> dict[str, Any]:
    """List an expanded catalogue, in its own order."""
    applies_to = data["applies_to"]
    return {
        "providers": {
            kind: [_provider(data, kind, name) for name in providers]
            for kind, providers in data["kinds"].items()
        },
        "postcall_applies_to": {
            name: kind for name, kind in applies_to.items() if isinstance(kind, str)
        },
        "speech": {"applies_to": applies_to["speech_config"], "params": data["speech"]},
        "languages": [
            {"code": code, "bcp47": list(tags)} for code, tags in data["languages"].items()
        ],
        "byok": [{"provider": name, "slot": slot(name)} for name in data["byok"]],
    }


def voices_of(data: Mapping[str, Any], provider: str) -> list[dict[str, Any]] | None:
    """List the voices of a provider, None when it has none or takes any text for one.

    A voice that speaks one language has that language and a description in `en` and `nl`.
    """
    for kind in ("tts", "llm"):
        fields = data["kinds"][kind].get(provider, {}).get("fields", {})
        for name in VOICE_FIELDS:
            if "enum" in fields.get(name, {}):
                return [_voice(data, voice) for voice in fields[name]["enum"]]
    return None


def _voice(data: Mapping[str, Any], voice: str) -> dict[str, Any]:
    facts = data["voices"]["espeak"].get(voice)
    if facts is None:
        return {"id": voice, "name": voice[:1].upper() + voice[1:]}
    return {
        "id": voice,
        "name": facts["en"],
        "language": facts["language"],
        "description": {"en": facts["en"], "nl": facts["nl"]},
    }


def _provider(data: Mapping[str, Any], kind: str, name: str) -> dict[str, Any]:
    entry = data["kinds"][kind][name]
    fields: Mapping[str, Mapping[str, Any]] = entry["fields"]
    voice: Mapping[str, Any] = next((fields[f] for f in VOICE_FIELDS if f in fields), {})
    return {
        "id": name,
        "aliases": [alias for alias, meant in data["aliases"].items() if meant == name],
        "label": entry["label"],
        "kind": _kind(kind, entry),
        "available": entry["available"],
        "ours": entry.get("ours", False),
        "byok_slots": _slots(entry["keys"]),
        "key_required": bool(entry["keys"]) and not entry.get("key_optional", False),
        "default_model": fields.get("model", {}).get("default"),
        "models": [_model(entry, *item) for item in entry.get("models", {}).items()],
        "default_voice": voice.get("default"),
        "voices": list(voice["enum"]) if "enum" in voice else None,
        "postcall_model": _postcall_model(entry.get("postcall_model")),
        "pricing_units": entry.get("pricing_units", []),
        "required": ["provider", *entry.get("required", ())],
        "params": dict(fields),
    }


def _kind(kind: str, entry: Mapping[str, Any]) -> str:
    if not kind.endswith("llm"):
        return "speech"
    return "realtime" if entry.get("realtime") else "text"


def _model(entry: Mapping[str, Any], name: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": name,
        "legacy": facts.get("legacy", False),
        "retires": facts.get("retires"),
        "byok_slots": _slots(facts.get("keys", entry["keys"])),
        "location": facts.get("location"),
        "reasoning_effort": facts.get("reasoning_effort"),
    }


def _postcall_model(stated: str | Mapping[str, str] | None) -> Any:
    """One model, or one for each slot."""
    if isinstance(stated, Mapping):
        return {slot(key): model for key, model in stated.items()}
    return stated


def _slots(keys: Sequence[str]) -> list[str]:
    return [slot(key) for key in keys]
