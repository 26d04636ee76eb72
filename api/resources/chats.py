"""`/chats` (deprecated): text to an assistant's language model, and its answer, stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg

from api.bodies import refusal
from api.endpoints import Deleted, Endpoints
from api.parts import Asked
from api.resources.chat_bodies import (
    ChatsQuery,
    ChatView,
    ContextMessage,
    ContextQuery,
    ContextView,
    PostChat,
    RepliedView,
)
from db import chats as table
from db.assistants import ASSISTANTS
from db.byok import open_key, sealed_keys
from sovereign_ari.domain.fallback_blocks import fallbacks_of
from sovereign_ari.errors import Impossible, ProviderError, VaultClosed

HISTORY = 40
MOST_MESSAGES = 200
FAILED = "provider_error"
chats = Endpoints("Chats")


async def _llm_of(
    asked: Asked, connection: asyncpg.Connection, assistant_id: str | None
) -> dict[str, Any]:
    """The complete `llm_config` of an assistant, or the platform's default."""
    block: Mapping[str, Any] | None = None
    if assistant_id is not None:
        block = (await ASSISTANTS.get(connection, asked.organisation_id, assistant_id)).llm_config
    block = block or asked.parts.defaults["llm"]
    return dict(asked.parts.catalogue.with_defaults("llm", block))


async def _assistant_of(asked: Asked, connection: asyncpg.Connection, body: PostChat) -> str:
    """Who is to answer; a chat goes on with the assistant it began with."""
    if body.chat_id is None:
        assert body.assistant_id is not None
        return body.assistant_id
    chat = await table.CHATS.get(connection, asked.organisation_id, body.chat_id)
    if chat.assistant_id is None:
        raise Impossible(
            "the assistant of this chat was deleted", code="assistant_deleted", param="chat_id"
        )
    if body.assistant_id not in (None, chat.assistant_id):
        raise refusal([f"assistant_id: the chat is with the assistant {chat.assistant_id}"])
    if await table.count_messages(connection, body.chat_id) >= MOST_MESSAGES:
        raise Impossible(
            f"the chat has {MOST_MESSAGES} messages, the most there can be: begin another",
            code="chat_full",
            param="chat_id",
        )
    return chat.assistant_id


async def _own_keys(
    asked: Asked, connection: asyncpg.Connection, llm: Mapping[str, Any]
) -> dict[str, str | None]:
    """The organisation's keys for this model and its fall-backs; no other is opened.

    None stands for one of a fall-back that does not open.
    """
    sealed = await sealed_keys(connection, asked.organisation_id)
    primary, *others = (
        asked.parts.catalogue.keys_for("llm", block) for block in (llm, *fallbacks_of(llm))
    )
    keys: dict[str, str | None] = {}
    for name in (name for names in (primary, *others) for name in names if name in sealed):
        try:
            keys[name] = open_key(asked.parts.vault, asked.organisation_id, name, sealed[name])
        except VaultClosed as error:
            if name in primary:
                raise Impossible(
                    f"the stored key for {name} cannot be opened: store it again", code=FAILED
                ) from error
            keys[name] = None
    return keys


async def _ask_model(
    asked: Asked,
    llm: Mapping[str, Any],
    messages: Sequence[Mapping[str, str]],
    keys: Mapping[str, str | None],
) -> str:
    if asked.parts.chat_model is None:
        raise Impossible("this process asks no language models", code=FAILED)
    try:
        return await asked.parts.chat_model.reply(llm, messages, keys)
    except ProviderError as error:
        raise Impossible(f"the model did not answer: {error}", code=FAILED) from error


@chats.add(
    "POST", "/chats", "Write to an assistant", status=201, also=(404, 422), detached=True,
    deprecated=True, scope="calls",
)  # fmt: skip
async def post_chat(asked: Asked, body: PostChat) -> RepliedView:
    """The assistant's language model answers within 30 s, and both messages are stored.

    It is given the messages of `llm_config`, the last 40 of the chat and the new one. Tools are
    not run, and not offered to the model. Without an answer nothing is stored.
    """
    async with asked.tenant() as connection:
        assistant_id = await _assistant_of(asked, connection, body)
        llm = await _llm_of(asked, connection, assistant_id)
        keys = await _own_keys(asked, connection, llm)
        history = (
            []
            if body.chat_id is None
            else await table.last_messages(connection, body.chat_id, HISTORY)
        )
    messages = [
        *llm.get("messages", ()),
        *({"role": said.role, "content": said.content} for said in history),
        {"role": "user", "content": body.message},
    ]
    reply = await _ask_model(asked, llm, messages, keys)
    async with asked.tenant() as connection:
        chat_id = body.chat_id or await table.begin_chat(
            connection, asked.organisation_id, assistant_id
        )
        chat = await table.add_exchange(
            connection, asked.organisation_id, chat_id, table.Exchange(body.message, reply)
        )
    return RepliedView(chat=ChatView.of(chat), reply=reply)


@chats.add("GET", "/chats", "List chats", envelope="chats", deprecated=True)
async def list_chats(asked: Asked, query: ChatsQuery) -> list[ChatView]:
    """The one last written to first. `agent_id` is an older name of `assistant_id`."""
    found = await table.list_chats(
        asked.connection,
        asked.organisation_id,
        query.assistant_id or query.agent_id,
        (query.limit, query.offset),
    )
    return [ChatView.of(chat) for chat in found]


@chats.add(
    "GET", "/chats/context", "Read what a chat begins with", envelope="context", also=(404,),
    deprecated=True,
)  # fmt: skip
async def show_chat_context(asked: Asked, query: ContextQuery) -> ContextView:
    """What the model of an assistant is given before the messages of a chat.

    Without `assistant_id` (or `agent_id`) it is the platform's default model, with nothing said
    before. `tools` is empty: a chat offers none.
    """
    assistant_id = query.assistant_id or query.agent_id
    llm = await _llm_of(asked, asked.connection, assistant_id)
    return ContextView(
        assistant_id=assistant_id,
        agent_id=assistant_id,
        provider=llm["provider"],
        model=llm.get("model"),
        temperature=llm.get("temperature"),
        messages=[ContextMessage.model_validate(message) for message in llm.get("messages", ())],
        history_limit=HISTORY,
        tools=[],
    )


@chats.add("DELETE", "/chats/{chat_id}", "Delete a chat", deprecated=True)
async def delete_chat(asked: Asked, chat_id: str) -> Deleted:
    """With its messages."""
    await table.CHATS.delete(asked.connection, asked.organisation_id, chat_id)
    return Deleted()
