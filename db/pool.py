"""Connections to PostgreSQL, set up the same way everywhere."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import asyncpg

COMMAND_TIMEOUT_S = 10.0
CONNECT_TIMEOUT_S = 5.0
LENT_WITHIN_S = 5.0
CLOSED_WITHIN_S = 5.0

logger = logging.getLogger("db")

DOWN = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)
"""What asyncpg raises when the server is away, goes away or does not answer in time.

`TooManyConnectionsError` and `CannotConnectNowError` are named beside it in `UNAVAILABLE`.
`InternalClientError` is what a statement gets that begins between the server's farewell and the
end of the connection.
"""

UNAVAILABLE = (
    *DOWN,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    asyncpg.ReadOnlySQLTransactionError,  # during a fail-over
    asyncpg.TransactionRollbackError,  # to one of two transactions that wait for each other
)
"""All that a later attempt may get past: nothing was changed."""


def encode_json(value: Any) -> str:
    """Write a value for a `jsonb` column; NaN and infinity are a `ValueError`."""
    return json.dumps(value, allow_nan=False, separators=(",", ":"))


async def prepare(connection: asyncpg.Connection) -> None:
    """Teach a new connection to carry `jsonb` as Python values."""
    await connection.set_type_codec(
        "jsonb", encoder=encode_json, decoder=json.loads, schema="pg_catalog"
    )


async def connect(dsn: str, *, application_name: str) -> asyncpg.Connection:
    """Open one connection outside a pool, e.g. for a migration or a long-held lock."""
    connection = await asyncpg.connect(
        dsn,
        timeout=CONNECT_TIMEOUT_S,
        server_settings={"application_name": application_name},
    )
    await prepare(connection)
    return connection


async def create_pool(
    dsn: str, *, application_name: str, min_size: int = 1, max_size: int = 10
) -> asyncpg.Pool:
    """Open a pool. Statements that take more than `COMMAND_TIMEOUT_S` are given up.

    Borrowers leave no session state behind (no SET, no LISTEN, no session lock), so a returned
    connection costs no round trip.
    """
    return await asyncpg.create_pool(
        dsn,
        min_size=min_size,
        max_size=max_size,
        init=prepare,
        reset=_reset,
        timeout=CONNECT_TIMEOUT_S,
        command_timeout=COMMAND_TIMEOUT_S,
        server_settings={
            "application_name": application_name,
            "statement_timeout": str(int(COMMAND_TIMEOUT_S * 1000)),
            "idle_in_transaction_session_timeout": "30000",
        },
    )


async def close_pool(pool: asyncpg.Pool, within_s: float = CLOSED_WITHIN_S) -> None:
    """Close a pool; break off what borrowers, or a server that stands still, hold up too long."""
    try:
        async with asyncio.timeout(within_s):
            await pool.close()  # cancelled, it breaks off itself
    except TimeoutError:
        logger.warning("connections to the database were broken off")


async def _reset(connection: asyncpg.Connection) -> None:
    """Roll back what a cancelled borrower left open."""
    if connection.is_in_transaction():
        await connection.reset()
