"""Who answers one call: a stored assistant, a stored one with changes, or one for this call alone.

`POST /web-calls` and `POST /calls/outbound` take the same three forms.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import asyncpg
from pydantic import ConfigDict, model_validator

from api.bodies import Body, refusal
from api.kinds import Uuid
from api.parts import Asked
from api.resources.assistant_bodies import LlmBlock, UpdateAssistant
from api.resources.assistant_config import read_config
from db.assistants import ASSISTANTS, AssistantRecord
from sovereign_ari.errors import InvalidRequest

_LLM_EXAMPLE = {
    "provider": "openai",
    "model": "gpt-5.4",
    "messages": [{"role": "system", "content": "You confirm appointments of a dentist."}],
}


class AssistantOverride(UpdateAssistant):
    """What replaces fields of a stored assistant for one call; nothing of it is kept."""

    example: ClassVar[Mapping[str, Any]] = {
        "first_message": "Hello Anna, this is the dentist.",
        "metadata": {"order": "42"},
    }

    is_active: Literal[True] = True


class TransientAssistant(AssistantOverride):
    """A whole assistant for one call. Other blocks left out follow the platform's default."""

    example: ClassVar[Mapping[str, Any]] = {
        "first_message": "Hello, this is the dentist.",
        "llm_config": _LLM_EXAMPLE,
        "stt_config": {"provider": "deepgram", "model": "nova-3", "language": "en"},
        "tts_config": {"provider": "elevenlabs", "voice_id": "21m00Tcm4TlvDq8ikWAM"},
    }

    llm_config: LlmBlock


_ONE_OF_BOTH: Mapping[str, Any] = {
    "oneOf": [
        {
            "required": ["assistant_id"],
            "properties": {"assistant_id": {"type": "string"}, "assistant": {"type": "null"}},
        },
        {
            "required": ["assistant"],
            "properties": {
                "assistant": {"type": "object"},
                "assistant_id": {"type": "null"},
                "assistant_override": {"type": "null"},
            },
        },
    ]
}


class WhoAnswers(Body):
    """The assistant of a call. `assistant_override` goes with `assistant_id`."""

    model_config = ConfigDict(json_schema_extra=dict(_ONE_OF_BOTH))
    aliases: ClassVar[Mapping[str, str]] = {
        "agent_id": "assistant_id",
        "agent": "assistant",
        "agent_config": "assistant",
        "agent_override": "assistant_override",
    }

    assistant_id: Uuid | None = None
    assistant: TransientAssistant | None = None
    assistant_override: AssistantOverride | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.assistant_id is None) == (self.assistant is None):
            raise ValueError("give either assistant_id or assistant")
        if self.assistant is not None and self.assistant_override is not None:
            raise ValueError("assistant_override goes with assistant_id, not with assistant")
        return self


@dataclass(frozen=True, slots=True)
class Answerer:
    """Who answers, checked.

    Attributes:
        stored: The stored assistant, None when the call brings its own.
        config: The call's own assistant, or what replaces fields of the stored one; with the
            catalogue's defaults, as an assistant is stored. None changes nothing.
    """

    stored: AssistantRecord | None
    config: Mapping[str, Any] | None


async def read_answerer(
    asked: Asked, connection: asyncpg.Connection, body: WhoAnswers
) -> Answerer:
    """Check the assistant that a call names or brings, as stored ones are checked.

    Raises:
        InvalidRequest: For faults of a config, or a stored assistant that is not active.
        NotFound: If the tenant has no such assistant.
    """
    if body.assistant is not None:
        config = await _read(asked, connection, body.assistant, None)
        return Answerer(None, config)
    assert body.assistant_id is not None
    stored = await ASSISTANTS.get(
        connection, asked.organisation_id, body.assistant_id, param="assistant_id"
    )
    if not stored.is_active:
        raise refusal([f"assistant_id: the assistant {stored.id} is not active"])
    if body.assistant_override is None:
        return Answerer(stored, None)
    return Answerer(stored, await _read(asked, connection, body.assistant_override, stored))


async def _read(
    asked: Asked,
    connection: asyncpg.Connection,
    config: AssistantOverride,
    stored: AssistantRecord | None,
) -> dict[str, Any]:
    try:
        return (await read_config(asked, connection, config, stored)).values
    except InvalidRequest as error:
        field = "assistant" if stored is None else "assistant_override"
        raise refusal([f"{field}.{line}" for line in error.details]) from None
