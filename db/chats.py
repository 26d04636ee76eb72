"""Chats: what was written to an assistant, and what its model answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from db.table import Table
from sovereign_ari.errors import NotFound


@dataclass(frozen=True, slots=True)
class ChatRow:
    """One row of `chats`. `assistant_id` is None once the assistant was deleted."""

    id: str
    assistant_id: str | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One message. `role` is `user` or `assistant`."""

    role: str
    content: str
    at: datetime


@dataclass(frozen=True, slots=True)
class ChatRecord(ChatRow):
    """A chat with its messages, oldest first."""

    messages: Sequence[ChatMessage]


@dataclass(frozen=True, slots=True)
class Exchange:
    """A message and the reply to it; they are stored together or not at all."""

    message: str
    reply: str


CHATS = Table("chats", ChatRow, "chat")
_LAST = """
SELECT role, content, at FROM (
    SELECT * FROM chat_messages WHERE chat_id = $1 ORDER BY number DESC LIMIT $2
) AS last ORDER BY number
"""


async def last_messages(
    connection: asyncpg.Connection, chat_id: str, most: int
) -> list[ChatMessage]:
    """The end of a chat of the tenant that the connection acts for, oldest first."""
    rows = await connection.fetch(_LAST, chat_id, most)
    return [ChatMessage(**row) for row in rows]


async def count_messages(connection: asyncpg.Connection, chat_id: str) -> int:
    """How many messages a chat has."""
    found: int = await connection.fetchval(
        "SELECT count(*) FROM chat_messages WHERE chat_id = $1", chat_id
    )
    return found


async def begin_chat(
    connection: asyncpg.Connection, organisation_id: str, assistant_id: str
) -> str:
    """Add an empty chat and return its id.

    Raises:
        NotFound: If the tenant has no such assistant.
    """
    try:
        chat = await CHATS.create(connection, organisation_id, {"assistant_id": assistant_id})
    except asyncpg.ForeignKeyViolationError as error:
        raise NotFound(f"no assistant {assistant_id}", param="assistant_id") from error
    return chat.id


async def add_exchange(
    connection: asyncpg.Connection, organisation_id: str, chat_id: str, exchange: Exchange
) -> ChatRecord:
    """Append to a chat; another one for the same chat waits, so that each pair stays together.

    Raises:
        NotFound: If the tenant has no such chat.
    """
    await CHATS.get(connection, organisation_id, chat_id, lock=True)
    await connection.execute(
        """
        WITH last AS (SELECT coalesce(max(number), -1) AS number
                        FROM chat_messages WHERE chat_id = $1)
        INSERT INTO chat_messages (chat_id, number, role, content, at)
        SELECT $1, number + 1, 'user', $2, clock_timestamp() FROM last
        UNION ALL
        SELECT $1, number + 2, 'assistant', $3, clock_timestamp() FROM last
        """,
        chat_id,
        exchange.message,
        exchange.reply,
    )
    await connection.execute(
        "UPDATE chats SET updated_at = clock_timestamp() WHERE organisation_id = $1 AND id = $2",
        organisation_id,
        chat_id,
    )
    [chat] = await _with_messages(
        connection, [await CHATS.get(connection, organisation_id, chat_id)]
    )
    return chat


async def list_chats(
    connection: asyncpg.Connection,
    organisation_id: str,
    assistant_id: str | None,
    page: tuple[int, int],
) -> list[ChatRecord]:
    """Chats of a tenant, the one last written to first. `page` is limit and offset."""
    rows = await connection.fetch(
        """
        SELECT id, assistant_id, created_at, updated_at FROM chats
         WHERE organisation_id = $1 AND ($2::uuid IS NULL OR assistant_id = $2)
         ORDER BY updated_at DESC, id DESC LIMIT $3 OFFSET $4
        """,
        organisation_id,
        assistant_id,
        *page,
    )
    return await _with_messages(connection, [CHATS.read(row) for row in rows])


async def _with_messages(
    connection: asyncpg.Connection, chats: Sequence[ChatRow]
) -> list[ChatRecord]:
    rows = await connection.fetch(
        "SELECT chat_id, role, content, at FROM chat_messages WHERE chat_id = ANY($1)"
        " ORDER BY chat_id, number",
        [chat.id for chat in chats],
    )
    said: dict[str, list[ChatMessage]] = {chat.id: [] for chat in chats}
    for row in rows:
        said[str(row["chat_id"])].append(ChatMessage(row["role"], row["content"], row["at"]))
    return [
        ChatRecord(chat.id, chat.assistant_id, chat.created_at, chat.updated_at, said[chat.id])
        for chat in chats
    ]
