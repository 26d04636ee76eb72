"""The domain that an organisation sends mail from, as Resend described it last."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import asyncpg

from db.table import Table
from sovereign_ari.errors import Conflict, NotFound


class Described(Protocol):
    """What the vendor says of a domain."""

    @property
    def id(self) -> str:
        """Its id at the vendor."""

    @property
    def name(self) -> str:
        """Its name, in ASCII."""

    @property
    def status(self) -> str:
        """In the vendor's words."""

    @property
    def region(self) -> str | None:
        """Where mail is sent from."""

    @property
    def records(self) -> list[dict[str, Any]] | None:
        """What the DNS must say."""


@dataclass(frozen=True, slots=True)
class DomainRecord:
    """One row of `domains`. `verified_at` is when it was first seen verified."""

    id: str
    organisation_id: str
    domain_name: str
    resend_domain_id: str | None
    status: str
    region: str | None
    records: list[dict[str, Any]] | None
    created_at: datetime
    updated_at: datetime
    verified_at: datetime | None


_DOMAINS = Table("domains", DomainRecord, "domain")
_COLUMNS = (
    "id, organisation_id, domain_name, resend_domain_id, status, region, records, created_at,"
    " updated_at, verified_at"
)
_MISSING = "the organisation has no domain; add one with POST /domains"


async def find_domain(connection: asyncpg.Connection, organisation_id: str) -> DomainRecord | None:
    """The domain of a tenant, None when it has none."""
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM domains WHERE organisation_id = $1", organisation_id
    )
    return None if row is None else _DOMAINS.read(row)


async def get_domain(connection: asyncpg.Connection, organisation_id: str) -> DomainRecord:
    """The domain of a tenant.

    Raises:
        NotFound: If it has none.
    """
    if (found := await find_domain(connection, organisation_id)) is None:
        raise NotFound(_MISSING)
    return found


async def add_domain(
    connection: asyncpg.Connection, organisation_id: str, told: Described
) -> DomainRecord:
    """Store the domain of a tenant that has none.

    Raises:
        Conflict: If it has one.
    """
    row = await connection.fetchrow(
        f"""
        INSERT INTO domains (organisation_id, resend_domain_id, domain_name, status, region,
                             records, verified_at)
        VALUES ($1, $2, $3, $4, $5, $6, CASE $4 WHEN 'verified' THEN now() END)
        ON CONFLICT (organisation_id) DO NOTHING
        RETURNING {_COLUMNS}
        """,
        organisation_id, told.id, told.name, told.status, told.region, told.records,
    )  # fmt: skip
    if row is None:
        raise Conflict("the organisation has a domain already; delete it first")
    return _DOMAINS.read(row)


async def select_domain(
    connection: asyncpg.Connection, organisation_id: str, told: Described
) -> DomainRecord:
    """Make this the domain of a tenant, in the place of the one it may have."""
    row = await connection.fetchrow(
        f"""
        INSERT INTO domains AS d (organisation_id, resend_domain_id, domain_name, status, region,
                                  records, verified_at)
        VALUES ($1, $2, $3, $4, $5, $6, CASE $4 WHEN 'verified' THEN now() END)
        ON CONFLICT (organisation_id) DO UPDATE
           SET resend_domain_id = $2, domain_name = $3, status = $4, region = $5, records = $6,
               updated_at = now(),
               verified_at = coalesce(CASE d.resend_domain_id WHEN $2 THEN d.verified_at END,
                                      excluded.verified_at)
        RETURNING {_COLUMNS}
        """,
        organisation_id, told.id, told.name, told.status, told.region, told.records,
    )  # fmt: skip
    return _DOMAINS.read(row)


async def refresh_domain(
    connection: asyncpg.Connection, organisation_id: str, told: Described
) -> DomainRecord:
    """Store what is known now of the domain a tenant has.

    Raises:
        NotFound: If it has none any more, or another.
    """
    row = await connection.fetchrow(
        f"""
        UPDATE domains
           SET domain_name = $3, status = $4, region = $5, records = coalesce($6, records),
               updated_at = now(),
               verified_at = coalesce(verified_at, CASE $4 WHEN 'verified' THEN now() END)
         WHERE organisation_id = $1 AND resend_domain_id = $2
        RETURNING {_COLUMNS}
        """,
        organisation_id, told.id, told.name, told.status, told.region, told.records,
    )  # fmt: skip
    if row is None:
        raise NotFound("the organisation's domain was deleted or replaced meanwhile")
    return _DOMAINS.read(row)


async def forget_domain(
    connection: asyncpg.Connection, organisation_id: str, domain_id: str
) -> None:
    """Remove the row, if it is still there."""
    await connection.execute(
        "DELETE FROM domains WHERE organisation_id = $1 AND id = $2", organisation_id, domain_id
    )
