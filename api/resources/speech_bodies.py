"""`speech_config` and `analysis_plan`: what an assistant's voice and afterthought may be told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field, StringConstraints, WithJsonSchema, model_validator

from api.bodies import Body
from api.json_schemas import JsonSchema
from api.kinds import Text, Uuid

Sentence = Annotated[str, StringConstraints(max_length=300)]
SpokenSentence = Annotated[str, StringConstraints(min_length=1, max_length=300)]


def _spoken(phrase: str) -> str:
    if sum(character.isalnum() for character in phrase) < 2:
        raise ValueError("needs at least two letters or digits")
    return phrase


EndPhrase = Annotated[
    str,
    StringConstraints(max_length=100),
    AfterValidator(_spoken),
    WithJsonSchema({"type": "string", "maxLength": 100, "pattern": r"[^\W_][\s\S]*[^\W_]"}),
]
_MAX_DELAY_DEFAULT = 2.0
_MIN_DELAY_DEFAULT = 0.4


class TurnTakingBody(Body):
    """Seconds, and a number of words."""

    endpointing_min_delay: Annotated[
        float,
        Field(
            ge=0.1,
            le=5,
            description="Seconds of silence after which a turn may end. Below 1 s, a complete "
            'short answer ("yes") ends after three fifths of it, and after 0.2 s at least; '
            "from 1 s on, nothing ends a turn sooner.",
        ),
    ] = _MIN_DELAY_DEFAULT
    endpointing_max_delay: Annotated[float, Field(ge=0.1, le=5)] = _MAX_DELAY_DEFAULT
    interruption_min_duration: Annotated[float, Field(ge=0.05, le=2)] = 0.3
    interruption_min_words: Annotated[int, Field(ge=0, le=10)] = 0
    false_interruption_timeout: Annotated[float, Field(ge=0.2, le=5)] | None = 1.5

    @model_validator(mode="after")
    def _ordered(self) -> TurnTakingBody:
        low, high = self.endpointing_min_delay, self.endpointing_max_delay
        if high >= low:
            return self
        named = self.model_fields_set
        default = "" if "endpointing_max_delay" in named else f" (by default {high:g})"
        usual = "" if "endpointing_min_delay" in named else f" (by default {low:g})"
        raise ValueError(f"endpointing_max_delay{default} is below endpointing_min_delay{usual}")


class Pronunciation(Body):
    """A word, and how to write it so that it is said right."""

    said: Annotated[str, StringConstraints(min_length=1, max_length=64)] = Field(alias="from")
    to: Annotated[str, StringConstraints(max_length=128)]


class BackgroundAudio(Body):
    """A room to be heard behind the assistant."""

    enabled: bool = False
    clip: Literal["office", "city", "forest", "crowded_room"] = "office"
    volume: Annotated[float, Field(ge=0.05, le=1)] = 0.3


class Silence(Body):
    """What is said when nobody speaks. Seconds."""

    messages: Annotated[list[SpokenSentence], Field(max_length=5)] | None = None
    final_message: Sentence | None = None
    first_check_seconds: Annotated[float, Field(ge=1, le=60)] = 3
    interval_seconds: Annotated[float, Field(ge=3, le=120)] = 12
    max_attempts: Annotated[int, Field(ge=1, le=10)] = 3


class SpeechConfig(Body):
    """How an assistant listens and speaks."""

    example: ClassVar[Mapping[str, Any]] = {
        "turn_taking": {"endpointing_min_delay": 0.3, "interruption_min_words": 2},
        "pronunciation": [{"from": "Sjaak", "to": "Shahk"}],
        "background_audio": {"enabled": True, "clip": "office", "volume": 0.2},
        "silence": {"first_check_seconds": 5, "messages": ["Are you still there?"]},
        "end_call_message": "Thank you for calling.",
        "end_call_phrases": ["good bye"],
    }

    turn_taking: TurnTakingBody | None = None
    pronunciation: Annotated[list[Pronunciation], Field(max_length=50)] | None = None
    background_audio: BackgroundAudio | None = None
    silence: Silence | None = None
    end_call_message: Sentence | None = None
    first_message_outbound: Sentence | None = None
    end_call_phrases: Annotated[list[EndPhrase], Field(max_length=5)] | None = None


class PlanMessage(Body):
    """One message to the model that analyses; it may hold placeholders."""

    role: Literal["system", "user"]
    content: Text


class StructuredDataPlan(Body):
    """What to extract from a call that ended."""

    enabled: bool = False
    json_schema: JsonSchema | None = Field(default=None, alias="schema")
    messages: Annotated[list[PlanMessage], Field(max_length=50)] | None = None
    template_id: Uuid | None = Field(
        default=None,
        description="An analysis template, which is copied into the plan as it is now.",
    )


class AnalysisPlan(Body):
    """What happens to the transcript after the call."""

    aliases: ClassVar[Mapping[str, str]] = {"structuredDataPlan": "structured_data_plan"}
    example: ClassVar[Mapping[str, Any]] = {
        "structured_data_plan": {
            "enabled": True,
            "schema": {"type": "object", "properties": {"satisfied": {"type": "boolean"}}},
            "messages": [{"role": "system", "content": "Read {{transcript}}; fill {{schema}}."}],
        },
        "min_messages_threshold": 4,
    }

    structured_data_plan: StructuredDataPlan | None = None
    min_messages_threshold: Annotated[int, Field(ge=0, le=10_000)] = 2
