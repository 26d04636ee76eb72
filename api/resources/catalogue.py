"""`/catalog` (ours): everything that an assistant's blocks may say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from api.endpoints import Endpoints
from api.kinds import JsonObject
from api.parts import Asked
from api.views import View
from sovereign_ari.domain.records import CallStatus, EndReason

catalogue = Endpoints("Catalog")

_MODEL = {
    "id": "eleven_flash_v2_5",
    "legacy": False,
    "retires": None,
    "byok_slots": ["elevenlabs_secret_id"],
    "location": None,
    "reasoning_effort": None,
}
_PROVIDER = {
    "id": "elevenlabs",
    "aliases": ["11labs"],
    "label": "ElevenLabs",
    "kind": "speech",
    "available": False,
    "ours": False,
    "byok_slots": ["elevenlabs_secret_id"],
    "key_required": True,
    "default_model": "eleven_flash_v2_5",
    "models": [_MODEL],
    "default_voice": None,
    "voices": None,
    "postcall_model": None,
    "pricing_units": [],
    "required": ["provider", "voice_id"],
    "params": {"voice_id": {"type": "string"}, "style": {"type": "number", "maximum": 1}},
}


class ModelView(View):
    """One model.

    `retires` is the day on which the vendor shuts it down; any one of `byok_slots` runs it;
    `location` is where it runs; `reasoning_effort` is what we pin it to.
    """

    example: ClassVar[Mapping[str, Any]] = _MODEL

    id: str
    legacy: bool
    retires: str | None
    byok_slots: list[str]
    location: str | None
    reasoning_effort: str | None


class ProviderView(View):
    """One provider of a kind.

    `available` says whether this release can use it, `ours` that the public contract does not
    have it. `voices` is null where any text is a voice. `params` holds the JSON Schema of each
    field; a field with `x-models` has no effect with other models, and a number outside
    `x-clamp` is moved into it. `postcall_model` is one model, or one for each BYOK slot.
    """

    example: ClassVar[Mapping[str, Any]] = _PROVIDER

    id: str
    aliases: list[str]
    label: str
    kind: Literal["text", "realtime", "speech"]
    available: bool
    ours: bool
    byok_slots: list[str]
    key_required: bool
    default_model: str | None
    models: list[ModelView]
    default_voice: str | None
    voices: list[str] | None
    postcall_model: str | dict[str, str] | None
    pricing_units: list[str]
    required: list[str]
    params: dict[str, JsonObject]


class ProvidersView(View):
    """The providers of each config block."""

    example: ClassVar[Mapping[str, Any]] = {
        "llm": [],
        "stt": [],
        "tts": [_PROVIDER],
        "postcall_stt": [],
        "postcall_llm": [],
    }

    llm: list[ProviderView]
    stt: list[ProviderView]
    tts: list[ProviderView]
    postcall_stt: list[ProviderView]
    postcall_llm: list[ProviderView]


class SpeechView(View):
    """`speech_config`: its JSON Schema, and which kind of assistant takes which part."""

    example: ClassVar[Mapping[str, Any]] = {
        "applies_to": {"turn_taking": "pipeline", "silence": "both"},
        "params": {"type": "object", "properties": {"end_call_message": {"maxLength": 300}}},
    }

    applies_to: dict[str, Literal["pipeline", "realtime", "both"]]
    params: JsonObject


class LanguageView(View):
    """A language code, and the BCP 47 tags that it stands for with vendors that want them."""

    example: ClassVar[Mapping[str, Any]] = {"code": "nl", "bcp47": ["nl-NL"]}

    code: str
    bcp47: list[str]


class SlotView(View):
    """A provider whose key may be stored, and the name of its place in `byok_keys`."""

    example: ClassVar[Mapping[str, Any]] = {"provider": "xai", "slot": "xai_secret_id"}

    provider: str
    slot: str


class CatalogueView(View):
    """Everything that may be chosen."""

    example: ClassVar[Mapping[str, Any]] = {
        "providers": ProvidersView.example,
        "postcall_applies_to": {"postcall_stt": "realtime", "postcall_llm": "both"},
        "speech": SpeechView.example,
        "languages": [LanguageView.example],
        "byok": [SlotView.example],
        "call_statuses": ["in-progress", "ended"],
        "end_reasons": ["user_hangup"],
    }

    providers: ProvidersView
    postcall_applies_to: dict[str, Literal["pipeline", "realtime", "both"]]
    speech: SpeechView
    languages: list[LanguageView]
    byok: list[SlotView]
    call_statuses: list[str]
    end_reasons: list[str]


@catalogue.add("GET", "/catalog", "Read the catalog", envelope="catalog")
async def show_catalogue(asked: Asked) -> CatalogueView:
    """What config blocks are checked against, and where their defaults come from."""
    return CatalogueView.model_validate(
        {
            **asked.parts.catalogue.listing(),
            "call_statuses": [status.value for status in CallStatus],
            "end_reasons": [reason.value for reason in EndReason],
        }
    )
