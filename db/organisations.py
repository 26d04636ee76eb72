"""Tenants."""

from __future__ import annotations

import asyncpg

OPERATOR_NAME = "Operator"


async def ensure_operator_organisation(connection: asyncpg.Connection) -> str:
    """Create the operator's own organisation unless it exists, and return its id."""
    await connection.execute(
        """
        INSERT INTO organisations (name, is_operator) VALUES ($1, true)
        ON CONFLICT (is_operator) WHERE is_operator DO NOTHING
        """,
        OPERATOR_NAME,
    )
    found = await connection.fetchval("SELECT id FROM organisations WHERE is_operator")
    return str(found)


async def create_organisation(connection: asyncpg.Connection, name: str) -> str:
    """Add a tenant and return its id."""
    created = await connection.fetchval(
        "INSERT INTO organisations (name) VALUES ($1) RETURNING id", name
    )
    return str(created)
