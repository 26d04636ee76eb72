"""What clients send and see of an assistant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, WithJsonSchema

from api.bodies import Body, without_defaults
from api.kinds import Email, HttpUrl, JsonObject, Line, Name, Spoken, Text, Timestamp, Uuid
from api.parts import Catalogue
from api.resources.speech_bodies import AnalysisPlan, SpeechConfig
from api.views import View
from db.assistants import AssistantRecord
from sovereign_ari.domain.agent import Config

WebhookEvent = Literal["assistant-request", "tool-calls", "status-update", "end-of-call-report"]


def _block(kind: str) -> WithJsonSchema:
    """Marks a block that the catalogue describes; the OpenAPI document puts its schema there."""
    return WithJsonSchema({"type": "object", "x-catalogue": kind})


LlmBlock = Annotated[dict[str, Any], _block("llm")]
SttBlock = Annotated[dict[str, Any], _block("stt")]
TtsBlock = Annotated[dict[str, Any], _block("tts")]
PostcallSttBlock = Annotated[dict[str, Any], _block("postcall_stt")]
PostcallLlmBlock = Annotated[dict[str, Any], _block("postcall_llm")]

_EXAMPLE: dict[str, Any] = {
    "name": "Reception",
    "business_name": "Bakery Jansen",
    "first_message": "Bakery Jansen, good day.",
    "max_duration_seconds": 600,
    "webhook_url": "https://example.com/hooks/voice",
    "webhook_secret": "whsec-example",
    "webhook_events": ["tool-calls", "end-of-call-report"],
    "llm_config": {
        "provider": "openai",
        "model": "gpt-5.4",
        "temperature": 0.7,
        "messages": [{"role": "system", "content": "You answer the telephone of a bakery."}],
        "tools": [{"type": "end_call"}],
        "fallback": [{"provider": "mistral", "model": "mistral-small-latest"}],
    },
    "stt_config": {"provider": "deepgram", "model": "nova-3", "language": "nl"},
    "tts_config": {"provider": "elevenlabs", "voice_id": "21m00Tcm4TlvDq8ikWAM"},
    "metadata": {"branch": "amsterdam"},
}


class RecordingConsent(Body):
    """What a caller is asked before a recording begins."""

    enabled: bool
    message: Spoken


class _Common(Body):
    """Fields that can be set at creation and changed later. A null block is the default."""

    aliases: ClassVar[Mapping[str, str]] = {"analysisPlan": "analysis_plan"}

    business_name: Line | None = None
    notification_email: Email | None = None
    notification_emails: Annotated[list[Email], Field(max_length=5)] | None = None
    first_message: Text | None = None
    is_active: bool = True
    max_duration_seconds: Annotated[int, Field(ge=10, le=14400)] | None = None
    autonomous_silence_handling: bool = False
    silence_timeout_seconds: Annotated[float, Field(ge=2, le=600)] | None = None
    voicemail_detection: bool | None = None
    voicemail_message: Text | None = None
    gdpr_mode: bool = False
    webhook_url: HttpUrl | None = None
    webhook_secret: Line | None = None
    webhook_events: Annotated[list[WebhookEvent], Field(max_length=16)] | None = None
    analysis_plan: AnalysisPlan | None = None
    stt_config: SttBlock | None = None
    llm_config: LlmBlock | None = None
    tts_config: TtsBlock | None = None
    speech_config: SpeechConfig | None = None
    postcall_stt: PostcallSttBlock | None = None
    postcall_llm: PostcallLlmBlock | None = None
    recording_enabled: bool = Field(default=False, description="Not in the older contract.")
    recording_consent: RecordingConsent | None = None
    metadata: JsonObject | None = Field(
        default=None, description="Anything; webhooks carry it unread."
    )


class CreateAssistant(_Common):
    """A new assistant. Only the name is required."""

    example: ClassVar[Mapping[str, Any]] = _EXAMPLE

    name: Name


class UpdateAssistant(_Common):
    """Changes of an assistant: only what is named. A config block is replaced whole."""

    model_config = ConfigDict(json_schema_extra=without_defaults)
    example: ClassVar[Mapping[str, Any]] = {
        "first_message": "Bakery Jansen, good morning.",
        "speech_config": {"end_call_phrases": ["good bye"]},
        "webhook_url": None,
    }

    name: Name = ""


class AssistantView(View):
    """An assistant. Blocks left null at creation show the platform's default."""

    example: ClassVar[Mapping[str, Any]] = {
        "id": "0d4f1a3e-8f0b-4b0b-9f7e-2a1f6c1f7a10",
        "notification_email": None,
        "notification_emails": ["owner@example.com"],
        "is_active": True,
        "autonomous_silence_handling": False,
        "silence_timeout_seconds": None,
        "voicemail_detection": False,
        "voicemail_message": None,
        "gdpr_mode": False,
        "analysis_plan": AnalysisPlan.example,
        "speech_config": SpeechConfig.example,
        "postcall_stt": None,
        "postcall_llm": None,
        "recording_enabled": False,
        "recording_consent": None,
        "created_at": "2026-03-17T09:30:00.000Z",
        "updated_at": "2026-03-17T09:30:00.000Z",
        **_EXAMPLE,
    }

    id: Uuid
    name: str
    business_name: str | None
    notification_email: str | None
    notification_emails: list[str] | None
    first_message: str | None
    is_active: bool
    max_duration_seconds: int | None
    autonomous_silence_handling: bool
    silence_timeout_seconds: float | None
    voicemail_detection: bool | None
    voicemail_message: str | None
    gdpr_mode: bool
    webhook_url: str | None
    webhook_secret: str | None
    webhook_events: list[str] | None
    analysis_plan: dict[str, Any] | None
    stt_config: dict[str, Any] | None
    llm_config: dict[str, Any] | None
    tts_config: dict[str, Any] | None
    speech_config: dict[str, Any] | None
    postcall_stt: dict[str, Any] | None
    postcall_llm: dict[str, Any] | None
    recording_enabled: bool
    recording_consent: dict[str, Any] | None
    metadata: dict[str, Any] | None
    created_at: Timestamp
    updated_at: Timestamp

    @classmethod
    def of(
        cls, record: AssistantRecord, catalogue: Catalogue, defaults: Mapping[str, Config]
    ) -> Self:
        """Show a row, with the platform's defaults in the place of null blocks.

        A model that hears and speaks itself has no others, so there null stays null.
        """
        llm = record.llm_config or defaults["llm"]
        kinds = ("llm",) if catalogue.is_realtime(llm["provider"]) else ("llm", "stt", "tts")
        blocks: dict[str, Any] = {}
        for kind in kinds:
            if getattr(record, f"{kind}_config") is None:
                blocks[f"{kind}_config"] = dict(catalogue.with_defaults(kind, defaults[kind]))
        return cls.showing(record, **blocks)
