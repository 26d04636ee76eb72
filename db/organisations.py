"""Tenants: the operator's own, independent ones, and children of either."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import asyncpg

from db.keys import create_key
from db.tenancy import step_down
from sovereign_ari.errors import Conflict, Impossible, NotFound

OPERATOR_NAME = "Operator"
FIRST_KEY = "first key"
WRITABLE = (
    "name", "content_retention_days", "metadata_retention_days", "webhook_url", "webhook_secret",
    "webhook_events",
)  # fmt: skip
PERMISSION = (
    "outbound_allowed_prefixes", "outbound_refused_prefixes", "outbound_concurrency",
    "outbound_calls_per_second",
)  # fmt: skip
"""What the operator alone may change: a stolen key must not widen what it may call."""
SHOWN = ("id", *WRITABLE, *PERMISSION, "created_at", "updated_at")
_COLUMNS = ", ".join((*SHOWN, "is_operator", "parent_id"))


@dataclass(frozen=True, slots=True)
class OrganisationRecord:
    """One row of `organisations`.

    Attributes:
        content_retention_days: How long transcripts stay, None for ever.
        metadata_retention_days: How long numbers and events stay, None for ever.
        outbound_allowed_prefixes: What may be called, None for every country.
    """

    id: str
    name: str
    is_operator: bool
    parent_id: str | None
    content_retention_days: int | None
    metadata_retention_days: int | None
    webhook_url: str | None
    webhook_secret: str | None = field(repr=False)
    webhook_events: list[str] | None
    outbound_allowed_prefixes: list[str] | None
    outbound_refused_prefixes: list[str]
    outbound_concurrency: int
    outbound_calls_per_second: float
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Totals:
    """What is counted of an organisation. `used_s` are seconds of answered calls."""

    id: str
    name: str
    created_at: datetime
    used_s: float
    active_numbers: int
    active_assistants: int
    active_calls: int


@dataclass(frozen=True, slots=True)
class NewOrganisation:
    """An organisation that was just made, with its first key, shown this once."""

    id: str
    name: str
    parent_id: str | None
    api_key: str = field(repr=False)
    created_at: datetime


def _record(row: asyncpg.Record) -> OrganisationRecord:
    parent_id = row["parent_id"]
    ids = {"id": str(row["id"]), "parent_id": None if parent_id is None else str(parent_id)}
    return OrganisationRecord(**{**row, **ids})


def _missing(organisation_id: str) -> NotFound:
    return NotFound(f"no organisation {organisation_id}")


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
    """Add an independent tenant and return its id."""
    created = await connection.fetchval(
        "INSERT INTO organisations (name) VALUES ($1) RETURNING id", name
    )
    return str(created)


async def found_organisation(connection: asyncpg.Connection, name: str) -> NewOrganisation:
    """Add an independent tenant with its first key, both or neither. For the operator's CLI."""
    async with connection.transaction():
        organisation_id = await create_organisation(connection, name)
        _, api_key = await create_key(connection, organisation_id, name=FIRST_KEY)
        made = await get_organisation(connection, organisation_id)
    return NewOrganisation(made.id, made.name, None, api_key, made.created_at)


async def add_child(
    connection: asyncpg.Connection, organisation_id: str, name: str
) -> NewOrganisation:
    """Add a child of the tenant that the transaction acts for, with its first key.

    Raises:
        Impossible: If the tenant is a child itself: there is one level.
    """
    row = await connection.fetchrow("SELECT * FROM add_child_organisation($1)", name)
    if row is None:
        raise Impossible(
            f"the organisation {organisation_id} is a child itself, and children have none",
            code="organisation_too_deep",
            param="parent_org_id",
        )
    child_id = str(row["id"])
    await step_down(connection, child_id)  # the wall keeps a parent from its children's keys too
    _, api_key = await create_key(connection, child_id, name=FIRST_KEY)
    await step_down(connection, organisation_id)
    return NewOrganisation(child_id, name, organisation_id, api_key, row["created_at"])


async def get_organisation(
    connection: asyncpg.Connection, organisation_id: str
) -> OrganisationRecord:
    """Read one.

    Raises:
        NotFound: If there is none, or the transaction acts for another.
    """
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM organisations WHERE id = $1", organisation_id
    )
    if row is None:
        raise _missing(organisation_id)
    return _record(row)


async def list_organisations(connection: asyncpg.Connection) -> list[OrganisationRecord]:
    """All of the installation, newest first. For the operator's CLI."""
    rows = await connection.fetch(
        f"SELECT {_COLUMNS} FROM organisations ORDER BY created_at DESC, id DESC"
    )
    return [_record(row) for row in rows]


async def update_organisation(
    connection: asyncpg.Connection, organisation_id: str, values: Mapping[str, Any]
) -> OrganisationRecord:
    """Change the named columns.

    Raises:
        NotFound: If there is none, or the transaction acts for another.
    """
    assert values.keys() <= {*WRITABLE, *PERMISSION}
    changes = [f"{name} = ${n}" for n, name in enumerate(values, start=2)]
    row = await connection.fetchrow(
        f"UPDATE organisations SET {', '.join([*changes, 'updated_at = now()'])}"
        f" WHERE id = $1 RETURNING {_COLUMNS}",
        organisation_id,
        *values.values(),
    )
    if row is None:
        raise _missing(organisation_id)
    return _record(row)


async def delete_organisation(connection: asyncpg.Connection, organisation_id: str) -> None:
    """Remove a tenant with everything it has. For the operator's CLI.

    Raises:
        Conflict: If it is the operator's own or has children.
        NotFound: If there is none.
    """
    if (await get_organisation(connection, organisation_id)).is_operator:
        raise Conflict("the operator's own organisation stays")
    try:
        await connection.execute("DELETE FROM organisations WHERE id = $1", organisation_id)
    except asyncpg.ForeignKeyViolationError as error:
        raise Conflict(f"the organisation {organisation_id} has children") from error


async def read_totals(
    connection: asyncpg.Connection, since: datetime, until: datetime
) -> dict[str, Totals]:
    """Count for the tenant that the transaction acts for and for its children, by id.

    Args:
        connection: In a transaction that acts for a tenant.
        since: Seconds of calls before this moment do not count.
        until: Up to when calls in progress count.
    """
    rows = await connection.fetch("SELECT * FROM organisation_totals($1, $2)", since, until)
    return {str(row["id"]): Totals(**{**row, "id": str(row["id"])}) for row in rows}
