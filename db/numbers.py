"""Phone numbers: E.164, unique over the whole installation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg

from db.table import Table
from sovereign_ari.errors import Conflict, NotFound


@dataclass(frozen=True, slots=True)
class NumberRow:
    """One row of `phone_numbers`."""

    id: str
    phone_number: str
    name: str | None
    assistant_id: str | None
    transfer_trunk_id: str | None
    workflow_id: str | None
    source: str | None
    is_active: bool
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class NumberRecord(NumberRow):
    """A number, with the names of what it refers to."""

    assistant_name: str | None
    business_name: str | None
    transfer_trunk_name: str | None
    workflow_name: str | None


NUMBERS = Table("phone_numbers", NumberRow, "number")
_NAMED = Table("phone_numbers", NumberRecord, "number")
_SELECT = """
SELECT n.id, n.phone_number, n.name, n.assistant_id, n.transfer_trunk_id, n.workflow_id, n.source,
       n.is_active, n.created_at, n.updated_at, a.name AS assistant_name, a.business_name,
       t.name AS transfer_trunk_name, w.name AS workflow_name
  FROM phone_numbers AS n
  LEFT JOIN assistants AS a ON (a.id, a.organisation_id) = (n.assistant_id, $1)
  LEFT JOIN sip_trunks AS t ON (t.id, t.organisation_id) = (n.transfer_trunk_id, $1)
  LEFT JOIN workflows AS w ON (w.id, w.organisation_id) = (n.workflow_id, $1)
 WHERE n.organisation_id = $1
"""
_REFERENCES = {
    "assistant_id": "assistant",
    "transfer_trunk_id": "SIP trunk",
    "workflow_id": "workflow",
}


async def create_number(
    connection: asyncpg.Connection, organisation_id: str, values: Mapping[str, Any]
) -> NumberRecord:
    """Add a number; `values` needs `phone_number`.

    Raises:
        Conflict: If the number exists, in whatever organisation.
        NotFound: If the tenant has no such assistant, trunk or workflow.
    """
    try:
        row = await NUMBERS.create(connection, organisation_id, values)
    except asyncpg.UniqueViolationError as error:
        raise Conflict(f"the number {values['phone_number']} exists already") from error
    except asyncpg.ForeignKeyViolationError as error:
        raise _dangling(error, values) from error
    return await get_number(connection, organisation_id, row.id)


async def get_number(
    connection: asyncpg.Connection, organisation_id: str, number_id: str
) -> NumberRecord:
    """Read one.

    Raises:
        NotFound: If the tenant has no such number.
    """
    row = await connection.fetchrow(f"{_SELECT} AND n.id = $2", organisation_id, number_id)
    if row is None:
        raise NUMBERS.missing(number_id)
    return _NAMED.read(row)


async def list_numbers(connection: asyncpg.Connection, organisation_id: str) -> list[NumberRecord]:
    """All of a tenant, newest first."""
    rows = await connection.fetch(
        f"{_SELECT} ORDER BY n.created_at DESC, n.id DESC", organisation_id
    )
    return [_NAMED.read(row) for row in rows]


async def update_number(
    connection: asyncpg.Connection,
    organisation_id: str,
    number_id: str,
    values: Mapping[str, Any],
) -> NumberRecord:
    """Change the named columns.

    Raises:
        NotFound: If the tenant has no such number, or no such assistant, trunk or workflow.
    """
    try:
        await NUMBERS.update(connection, organisation_id, number_id, values)
    except asyncpg.ForeignKeyViolationError as error:
        raise _dangling(error, values) from error
    return await get_number(connection, organisation_id, number_id)


def _dangling(error: asyncpg.ForeignKeyViolationError, values: Mapping[str, Any]) -> NotFound:
    """Name what a number was to refer to and the tenant does not have."""
    for column, thing in _REFERENCES.items():
        if column in str(error.constraint_name):
            return NotFound(f"no {thing} {values.get(column)}", param=column)
    raise error
