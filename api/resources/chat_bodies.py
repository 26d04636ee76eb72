"""What clients send and see of chats. The contract leaves these shapes open: they are ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, StringConstraints, model_validator
from pydantic.json_schema import SkipJsonSchema

from api.bodies import Body
from api.kinds import Timestamp, Uuid
from api.queries import WHOLE, Query
from api.views import View
from db.chats import ChatRecord

LONGEST_MESSAGE = 8000

# Accepted, and not in the document: with both, the values must agree, which no schema can say.
OldName = SkipJsonSchema[Uuid | None]

_CHAT_ID = "7b0f5a52-9a3c-4a51-8c4e-2f6d1d0b7c11"
_ASSISTANT_ID = "3f6c2f0e-6d0b-4b0e-9b57-0d6a1c1f7a10"
_AT = "2026-01-01T12:00:00.000Z"
_MESSAGES = [
    {"role": "user", "content": "When are you open?", "created_at": _AT},
    {"role": "assistant", "content": "From nine to five.", "created_at": _AT},
]


class PostChat(Body):
    """A message to an assistant. `chat_id` goes on with a chat; without it one begins."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [
                {"required": ["assistant_id"], "properties": {"assistant_id": {"type": "string"}}},
                {"required": ["chat_id"], "properties": {"chat_id": {"type": "string"}}},
            ]
        }
    )
    aliases: ClassVar[Mapping[str, str]] = {"agent_id": "assistant_id", "content": "message"}
    example: ClassVar[Mapping[str, Any]] = {
        "assistant_id": _ASSISTANT_ID,
        "message": "When are you open?",
    }

    assistant_id: Uuid | None = None
    chat_id: Uuid | None = None
    message: Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_MESSAGE)]

    @model_validator(mode="after")
    def _somebody(self) -> Self:
        if self.assistant_id is None and self.chat_id is None:
            raise ValueError("assistant_id: is required")
        return self


class ChatMessageView(View):
    """One message of a chat."""

    example: ClassVar[Mapping[str, Any]] = _MESSAGES[0]

    role: Literal["user", "assistant"]
    content: str
    created_at: Timestamp


class ChatView(View):
    """A chat, with its messages, oldest first. No assistant is left once it was deleted."""

    example: ClassVar[Mapping[str, Any]] = {
        "id": _CHAT_ID,
        "assistant_id": _ASSISTANT_ID,
        "agent_id": _ASSISTANT_ID,
        "messages": _MESSAGES,
        "created_at": _AT,
        "updated_at": _AT,
    }

    id: Uuid
    assistant_id: Uuid | None
    agent_id: Uuid | None
    messages: list[ChatMessageView]
    created_at: Timestamp
    updated_at: Timestamp

    @classmethod
    def of(cls, record: ChatRecord) -> Self:
        """Show a chat under the keys of both generations."""
        messages = [
            ChatMessageView.showing(message, created_at=message.at) for message in record.messages
        ]
        return cls.showing(record, agent_id=record.assistant_id, messages=messages)


class RepliedView(View):
    """The chat as it is stored now, and the last message in it."""

    example: ClassVar[Mapping[str, Any]] = {
        "chat": ChatView.example,
        "reply": "From nine to five.",
    }

    chat: ChatView
    reply: str


class ChatsQuery(Query):
    """Which chats."""

    aliases: ClassVar[Mapping[str, str]] = {"agent_id": "assistant_id"}

    assistant_id: Uuid | None = None
    agent_id: OldName = None
    limit: Annotated[int, Field(ge=1, le=100), WHOLE] = 20
    offset: Annotated[int, Field(ge=0, le=1_000_000), WHOLE] = 0


class ContextQuery(Query):
    """Of which assistant; without one, of the platform's default model."""

    aliases: ClassVar[Mapping[str, str]] = {"agent_id": "assistant_id"}

    assistant_id: Uuid | None = None
    agent_id: OldName = None


class ContextMessage(View):
    """One message that every chat begins with."""

    example: ClassVar[Mapping[str, Any]] = {
        "role": "system",
        "content": "You answer the telephone of a bakery.",
    }

    role: str
    content: str


class ContextView(View):
    """What a model is given before a chat's own messages, of which it gets the last ones."""

    example: ClassVar[Mapping[str, Any]] = {
        "assistant_id": _ASSISTANT_ID,
        "agent_id": _ASSISTANT_ID,
        "provider": "openai",
        "model": "gpt-5.4",
        "temperature": 0.7,
        "messages": [ContextMessage.example],
        "history_limit": 40,
        "tools": [],
    }

    assistant_id: Uuid | None
    agent_id: Uuid | None
    provider: str
    model: str | None
    temperature: float | None
    messages: list[ContextMessage]
    history_limit: int
    tools: list[str]
