"""Transactions that act for one tenant, and cannot see or write the rows of another.

Every statement names the organisation anyway; row-level security is the wall behind it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import asyncpg

from db.pool import LENT_WITHIN_S

ROLE = "sovereign_tenant"


@asynccontextmanager
async def acting_for(
    pool: asyncpg.Pool, organisation_id: str
) -> AsyncIterator[asyncpg.Connection]:
    """Lend a connection in a transaction of a tenant; whatever raises rolls it all back.

    Raises:
        TimeoutError: If no connection becomes free in time.
    """
    async with pool.acquire(timeout=LENT_WITHIN_S) as connection, connection.transaction():
        await step_down(connection, organisation_id)
        yield connection


async def step_down(connection: asyncpg.Connection, organisation_id: str) -> None:
    """Act for one tenant until the transaction ends."""
    tenant = UUID(organisation_id)  # goes into the text of the statement: one round trip
    await connection.execute(
        f"SET LOCAL ROLE {ROLE}; SET LOCAL sovereign.organisation_id = '{tenant}'"
    )
