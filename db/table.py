"""What most tables need: rows of a tenant, newest first, made, read, changed and deleted.

A resource's module holds a frozen record, whose fields are columns, and one `Table` of it:

    TRUNKS = Table("sip_trunks", TrunkRecord, "SIP trunk")
    trunk = await TRUNKS.get(connection, organisation_id, trunk_id)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, Generic, TypeVar
from uuid import UUID

import asyncpg

from sovereign_ari.errors import NotFound

_Record = TypeVar("_Record")
KEPT = frozenset({"id", "organisation_id", "created_at", "updated_at"})


MOST_NAMED = 5


def named(names: Sequence[str]) -> str:
    """Name what stands in the way, for a message: the first few, and how many more there are."""
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more


class Table(Generic[_Record]):
    """One table with the columns `id`, `organisation_id`, `created_at` and `updated_at`.

    Args:
        name: Of the table.
        record: A dataclass; its fields are columns of the table.
        thing: What a row is, for messages: `no <thing> <id>`.
        writable: Columns that may be written though the record does not show them.
    """

    def __init__(
        self, name: str, record: type[_Record], thing: str, *, writable: Sequence[str] = ()
    ) -> None:
        self._name = name
        self._record = record
        self._thing = thing
        shown = [field.name for field in fields(record)]  # type: ignore[arg-type]
        self._columns = ", ".join(shown)
        self._writable = (frozenset(shown) | frozenset(writable)) - KEPT

    def read(self, row: asyncpg.Record) -> _Record:
        """Build the record from a row; ids become text."""
        return self._record(
            **{name: str(v) if isinstance(v, UUID) else v for name, v in row.items()}
        )

    def missing(self, row_id: str, *, param: str | None = None) -> NotFound:
        """The error for a row that the tenant does not have, and that `param` of a body names."""
        return NotFound(f"no {self._thing} {row_id}", param=param)

    async def create(
        self, connection: asyncpg.Connection, organisation_id: str, values: Mapping[str, Any]
    ) -> _Record:
        """Add a row; columns left out keep their defaults."""
        names = self._checked(values)
        places = "".join(f", ${n}" for n in range(2, len(names) + 2))
        row = await connection.fetchrow(
            f"INSERT INTO {self._name} (organisation_id{''.join(f', {name}' for name in names)})"
            f" VALUES ($1{places}) RETURNING {self._columns}",
            organisation_id,
            *values.values(),
        )
        return self.read(row)

    async def get(
        self,
        connection: asyncpg.Connection,
        organisation_id: str,
        row_id: str,
        *,
        lock: bool = False,
        param: str | None = None,
    ) -> _Record:
        """Read one row. `lock` keeps others from changing it until the transaction ends.

        `param` is the field of a request that named it, for the error.

        Raises:
            NotFound: If the tenant has no such row.
        """
        row = await connection.fetchrow(
            f"SELECT {self._columns} FROM {self._name} WHERE organisation_id = $1 AND id = $2"
            + (" FOR UPDATE" if lock else ""),
            organisation_id,
            row_id,
        )
        if row is None:
            raise self.missing(row_id, param=param)
        return self.read(row)

    async def sealed(
        self, connection: asyncpg.Connection, organisation_id: str, row_id: str, column: str
    ) -> bytes | None:
        """Read a sealed secret that the record does not show; None when there is none.

        Raises:
            NotFound: If the tenant has no such row.
        """
        (name,) = self._checked({column: None})
        row = await connection.fetchrow(
            f"SELECT {name} FROM {self._name} WHERE organisation_id = $1 AND id = $2",
            organisation_id,
            row_id,
        )
        if row is None:
            raise self.missing(row_id)
        sealed: bytes | None = row[name]
        return sealed

    async def list(self, connection: asyncpg.Connection, organisation_id: str) -> list[_Record]:
        """All rows of a tenant, newest first."""
        rows = await connection.fetch(
            f"SELECT {self._columns} FROM {self._name} WHERE organisation_id = $1"
            " ORDER BY created_at DESC, id DESC",
            organisation_id,
        )
        return [self.read(row) for row in rows]

    async def update(
        self,
        connection: asyncpg.Connection,
        organisation_id: str,
        row_id: str,
        values: Mapping[str, Any],
    ) -> _Record:
        """Change the named columns.

        Raises:
            NotFound: If the tenant has no such row.
        """
        changes = [f"{name} = ${n}" for n, name in enumerate(self._checked(values), start=3)]
        row = await connection.fetchrow(
            f"UPDATE {self._name} SET {', '.join([*changes, 'updated_at = now()'])}"
            f" WHERE organisation_id = $1 AND id = $2 RETURNING {self._columns}",
            organisation_id,
            row_id,
            *values.values(),
        )
        if row is None:
            raise self.missing(row_id)
        return self.read(row)

    async def delete(
        self, connection: asyncpg.Connection, organisation_id: str, row_id: str
    ) -> None:
        """Remove a row.

        Raises:
            NotFound: If the tenant has no such row.
        """
        status = await connection.execute(
            f"DELETE FROM {self._name} WHERE organisation_id = $1 AND id = $2",
            organisation_id,
            row_id,
        )
        if status == "DELETE 0":
            raise self.missing(row_id)

    def _checked(self, values: Mapping[str, Any]) -> Sequence[str]:
        """Names of columns go into the text of a statement, so they are checked."""
        assert values.keys() <= self._writable, (
            f"not columns to write: {values.keys() - self._writable}"
        )
        return list(values)
