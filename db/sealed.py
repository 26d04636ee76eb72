"""Every column that holds sealed values, and sealing them again under another master key."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import asyncpg

from db import byok, idempotency, mcp_servers, sip_trunks
from sovereign_ari.errors import VaultClosed

LOCK_KEY = 0x536F7665726E4B79  # "SovernKy": any constant that nobody else uses
BATCH = 200
MOST_ROUNDS = 10  # others may go on writing under an older key


class Reseals(Protocol):
    """The vault, as far as sealing again needs it."""

    @property
    def newest(self) -> bytes:
        """Id of the key that seals."""

    def seal(self, plain: bytes, bound_to: str) -> bytes:
        """Encrypt."""

    def open(self, sealed: bytes, bound_to: str) -> bytes:
        """Decrypt.

        Raises:
            VaultClosed: If the value does not open here.
        """


@dataclass(frozen=True, slots=True)
class SealedColumn:
    """One column, null where nothing is sealed.

    Attributes:
        key: The columns that tell rows apart.
        bound_to: What a row's value is sealed for, from the texts of its key.
    """

    table: str
    column: str
    key: tuple[str, str]
    bound_to: Callable[[str, str], str]


SEALED = (
    SealedColumn("byok_keys", "secret", ("organisation_id", "provider"), byok.bound_to),
    SealedColumn("sip_trunks", "auth_password", ("organisation_id", "id"), sip_trunks.bound_to),
    SealedColumn("mcp_servers", "headers", ("organisation_id", "id"), mcp_servers.bound_to),
    SealedColumn(
        "idempotent_requests", "answer", ("organisation_id", "key"), idempotency.bound_to
    ),
)


@dataclass(slots=True)
class Resealed:
    """What became of the values of one column.

    Attributes:
        done: Sealed again.
        closed: Rows whose value did not open, so that it stays as it is.
    """

    done: int
    closed: set[tuple[str, str]]


async def reseal(connection: asyncpg.Connection, column: SealedColumn, vault: Reseals) -> Resealed:
    """Seal all values of a column under the newest key, in short transactions.

    It may be ended at any point and begun again. What others write meanwhile is left alone, and
    done in another round if they wrote under an older key.
    """
    result = Resealed(0, set())
    for _ in range(MOST_ROUNDS):
        done = await _round(connection, column, vault, result.closed)
        result.done += done
        if done == 0:
            break
    return result


async def _round(
    connection: asyncpg.Connection,
    column: SealedColumn,
    vault: Reseals,
    closed: set[tuple[str, str]],
) -> int:
    """Go through the table once, in the order of its key; return how many were sealed again."""
    first, second = column.key
    done, after = 0, None
    while True:
        rows = await connection.fetch(
            f"SELECT {first}, {second}, {column.column} AS sealed FROM {column.table}"
            f" WHERE {column.column} IS NOT NULL"
            f" AND substring({column.column} FROM 2 FOR 8) <> $1"
            + (f" AND ({first}, {second}) > ($3, $4)" if after is not None else "")
            + f" ORDER BY {first}, {second} LIMIT $2",
            vault.newest,
            BATCH,
            *(after or ()),
        )
        if not rows:
            return done
        after = (rows[-1][0], rows[-1][1])
        done += await _write(connection, column, _sealed_again(column, vault, rows, closed))


def _sealed_again(
    column: SealedColumn,
    vault: Reseals,
    rows: list[asyncpg.Record],
    closed: set[tuple[str, str]],
) -> list[tuple[Any, Any, bytes, bytes]]:
    """Open and seal; each change is a row's key, the value there was and the new one."""
    changes = []
    for first, second, sealed in rows:
        name = (str(first), str(second))
        bound_to = column.bound_to(*name)
        try:
            again = vault.seal(vault.open(sealed, bound_to), bound_to)
        except VaultClosed:
            closed.add(name)
        else:
            changes.append((first, second, sealed, again))
    return changes


async def _write(
    connection: asyncpg.Connection,
    column: SealedColumn,
    changes: list[tuple[Any, Any, bytes, bytes]],
) -> int:
    """Write what nobody changed meanwhile; return how many."""
    first, second = column.key
    written = 0
    async with connection.transaction():
        for change in changes:
            status = await connection.execute(
                f"UPDATE {column.table} SET {column.column} = $4"
                f" WHERE {first} = $1 AND {second} = $2 AND {column.column} = $3",
                *change,
            )
            written += int(status.split()[-1])
    return written


async def sealed_under(connection: asyncpg.Connection) -> dict[bytes, int]:
    """How many values are sealed under each master key, by its id."""
    if await connection.fetchval("SELECT to_regclass($1)", SEALED[-1].table) is None:
        return {}  # nothing was migrated yet
    selects = " UNION ALL ".join(
        f"SELECT substring({entry.column} FROM 2 FOR 8) AS key_id FROM {entry.table}"
        f" WHERE {entry.column} IS NOT NULL"
        for entry in SEALED
    )
    rows = await connection.fetch(
        f"SELECT key_id, count(*) AS values FROM ({selects}) AS sealed GROUP BY key_id"
    )
    return {row["key_id"]: row["values"] for row in rows}


async def open_transactions(connection: asyncpg.Connection, begun_before: datetime) -> int:
    """How many other transactions of this database were begun before a moment and go on."""
    count: int = await connection.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND pid <> pg_backend_pid() AND backend_type = 'client backend' AND xact_start < $1",
        begun_before,
    )
    return count
