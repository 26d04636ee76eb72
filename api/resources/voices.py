"""`/voices`: the voices that this installation speaks with itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import WithJsonSchema

from api.bodies import refusal
from api.endpoints import Endpoints
from api.parts import Asked
from api.queries import Query
from api.views import View

LOCAL = "espeak"
voices = Endpoints("Voices")


class Description(View):
    """What kind of voice it is, in English and in Dutch."""

    example: ClassVar[Mapping[str, Any]] = {"en": "Dutch", "nl": "Nederlands"}

    en: str
    nl: str


class VoiceView(View):
    """A voice; `id` is what `tts_config.voice_id` or `llm_config.voice` takes."""

    example: ClassVar[Mapping[str, Any]] = {
        "id": "nl",
        "name": "Dutch",
        "language": "nl",
        "description": {"en": "Dutch", "nl": "Nederlands"},
    }

    id: str
    name: str
    language: str | None = None
    description: Description | None = None


class VoicesQuery(Query):
    """Whose voices."""

    provider: Annotated[str, WithJsonSchema({"x-voices": True})] = LOCAL


@voices.add("GET", "/voices", "List voices", envelope="voices")
async def list_voices(asked: Asked, query: VoicesQuery) -> list[VoiceView]:
    """The local voices, of the provider `espeak`; `provider` (ours) names another one.

    A voice of a vendor speaks every language, so its `language` and `description` are null.
    ElevenLabs and others whose voices are not fixed have none here.
    """
    catalogue = asked.parts.catalogue
    found = catalogue.voices(query.provider)
    if found is None:
        known = ", ".join(catalogue.providers_with_voices())
        raise refusal(
            [f"provider: {query.provider[:64]!r} has no list of voices; known are {known}"]
        )
    return [VoiceView.model_validate(voice) for voice in found]
