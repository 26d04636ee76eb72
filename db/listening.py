"""Hears what PostgreSQL notifies, on a connection that is kept for it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import asyncpg

from db.pool import UNAVAILABLE

FAULTS = (*UNAVAILABLE, asyncpg.PostgresError)
"""What may become of a connection that is kept, or of work that must not end a controller with all
its calls: whatever the server says, it is tried again."""


@asynccontextmanager
async def listening(
    pool: asyncpg.Pool, channel: str, heard: Callable[[str | None], None]
) -> AsyncIterator[asyncpg.Connection]:
    """Lend a connection that listens on a channel, and may be used besides.

    It is broken off at the end, not given back: a server that has said its farewell may never
    answer an UNLISTEN, and no fault of the connection may stand where a cancellation stood.

    Args:
        pool: Lends the connection; one of its places is taken meanwhile.
        channel: At most 63 bytes.
        heard: Gets each payload, and None when the connection is lost. Must not wait.
    """

    def on_payload(_connection: Any, _pid: int, _channel: str, payload: object) -> None:
        heard(str(payload))

    def on_loss(_connection: Any) -> None:
        heard(None)

    async with pool.acquire() as connection:
        connection.add_termination_listener(on_loss)
        try:
            await connection.add_listener(channel, on_payload)
            yield connection
        finally:
            with suppress(asyncpg.InterfaceError):  # a lost one was taken back by the pool already
                connection.remove_termination_listener(on_loss)
                connection.terminate()
