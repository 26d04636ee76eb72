"""Phone numbers: E.164, unique over the whole installation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg

from sovereign_ari.errors import Conflict, NotFound

WRITABLE = frozenset({"name", "assistant_id", "is_active"})


@dataclass(frozen=True, slots=True)
class NumberRecord:
    """One row of `phone_numbers`, with the names of its assistant."""

    id: str
    phone_number: str
    name: str | None
    assistant_id: str | None
    assistant_name: str | None
    business_name: str | None
    is_active: bool
    created_at: datetime
    updated_at: datetime


_SELECT = """
SELECT n.id, n.phone_number, n.name, n.assistant_id, a.name AS assistant_name, a.business_name,
       n.is_active, n.created_at, n.updated_at
"""
_JOIN = "LEFT JOIN assistants AS a ON (a.id, a.organisation_id) = (n.assistant_id, $1)"


def _record(row: asyncpg.Record) -> NumberRecord:
    assistant = row["assistant_id"]
    return NumberRecord(
        **{
            **row,
            "id": str(row["id"]),
            "assistant_id": None if assistant is None else str(assistant),
        }
    )


async def create_number(
    connection: asyncpg.Connection,
    organisation_id: str,
    phone_number: str,
    values: Mapping[str, Any],
) -> NumberRecord:
    """Add a number.

    Raises:
        Conflict: If the number exists, in whatever organisation.
        NotFound: If `assistant_id` names no assistant of the tenant.
    """
    try:
        row = await connection.fetchrow(
            f"""
            WITH n AS (
                INSERT INTO phone_numbers (organisation_id, phone_number, name, assistant_id,
                                           is_active)
                VALUES ($1, $2, $3, $4, $5) RETURNING *
            ) {_SELECT} FROM n {_JOIN}
            """,
            organisation_id, phone_number, values.get("name"), values.get("assistant_id"),
            values.get("is_active", True),
        )  # fmt: skip
    except asyncpg.UniqueViolationError as error:
        raise Conflict(f"the number {phone_number} exists already") from error
    except asyncpg.ForeignKeyViolationError as error:
        raise NotFound(f"no assistant {values.get('assistant_id')}") from error
    return _record(row)


async def get_number(
    connection: asyncpg.Connection, organisation_id: str, number_id: str
) -> NumberRecord:
    """Read one.

    Raises:
        NotFound: If the tenant has no such number.
    """
    row = await connection.fetchrow(
        f"{_SELECT} FROM phone_numbers AS n {_JOIN} WHERE n.organisation_id = $1 AND n.id = $2",
        organisation_id,
        number_id,
    )
    if row is None:
        raise NotFound(f"no number {number_id}")
    return _record(row)


async def list_numbers(connection: asyncpg.Connection, organisation_id: str) -> list[NumberRecord]:
    """All of a tenant, newest first."""
    rows = await connection.fetch(
        f"""
        {_SELECT} FROM phone_numbers AS n {_JOIN} WHERE n.organisation_id = $1
        ORDER BY n.created_at DESC, n.id DESC
        """,
        organisation_id,
    )
    return [_record(row) for row in rows]


async def update_number(
    connection: asyncpg.Connection,
    organisation_id: str,
    number_id: str,
    values: Mapping[str, Any],
) -> NumberRecord:
    """Change the named columns.

    Raises:
        NotFound: If the tenant has no such number, or no such assistant.
    """
    assert values.keys() <= WRITABLE, f"not columns to write: {values.keys() - WRITABLE}"
    changes = [f"{name} = ${n}" for n, name in enumerate(values, start=3)]
    try:
        row = await connection.fetchrow(
            f"""
            WITH n AS (
                UPDATE phone_numbers SET {", ".join([*changes, "updated_at = now()"])}
                 WHERE organisation_id = $1 AND id = $2
                RETURNING *
            ) {_SELECT} FROM n {_JOIN}
            """,
            organisation_id,
            number_id,
            *values.values(),
        )
    except asyncpg.ForeignKeyViolationError as error:
        raise NotFound(f"no assistant {values.get('assistant_id')}") from error
    if row is None:
        raise NotFound(f"no number {number_id}")
    return _record(row)


async def delete_number(
    connection: asyncpg.Connection, organisation_id: str, number_id: str
) -> None:
    """Remove a number; its calls stay.

    Raises:
        NotFound: If the tenant has no such number.
    """
    status = await connection.execute(
        "DELETE FROM phone_numbers WHERE organisation_id = $1 AND id = $2",
        organisation_id,
        number_id,
    )
    if status == "DELETE 0":
        raise NotFound(f"no number {number_id}")
