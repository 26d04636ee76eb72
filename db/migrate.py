"""Brings a database to the newest schema: numbered SQL files, forward only, each applied once.

`python -m db.migrate` applies what is missing to the database in `DATABASE_URL`.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from db.pool import connect
from sovereign_ari.errors import MigrationChanged, SetupFailed

FOLDER = Path(__file__).parent / "migrations"
LOCK_KEY = 0x536F7665726E4D67  # "SovernMg": any constant that nobody else uses
_NAME = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")


@dataclass(frozen=True, slots=True)
class Migration:
    """One file of `db/migrations`. Never edited once a release carried it."""

    number: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the text, in hex."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def load_migrations(folder: Path = FOLDER) -> list[Migration]:
    """Read the files in order.

    Raises:
        SetupFailed: If a name is not `NNNN_what.sql`, or the numbers are not 1, 2, 3, ...
    """
    found = []
    for path in sorted(folder.glob("*.sql")):
        if (match := _NAME.fullmatch(path.name)) is None:
            raise SetupFailed(f"{path.name} is not named NNNN_what.sql")
        found.append(Migration(int(match[1]), match[2], path.read_text(encoding="utf-8")))
    numbers = [migration.number for migration in found]
    if not found or numbers != list(range(1, len(found) + 1)):
        raise SetupFailed(f"the migrations in {folder} are numbered {numbers}, not 1, 2, 3, ...")
    return found


async def migrate(
    connection: asyncpg.Connection, migrations: Sequence[Migration]
) -> list[Migration]:
    """Apply what is missing and return it. Safe to run from several processes at once.

    Raises:
        MigrationChanged: If a migration that is applied already was edited since.
    """
    await connection.execute("SELECT pg_advisory_lock($1)", LOCK_KEY)
    try:
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS migrations ("
            " number int PRIMARY KEY,"
            " checksum text NOT NULL,"
            " applied_at timestamptz NOT NULL DEFAULT now())"
        )
        done = dict(await connection.fetch("SELECT number, checksum FROM migrations"))
        for migration in migrations:
            if done.get(migration.number, migration.checksum) != migration.checksum:
                raise MigrationChanged(
                    f"{migration.number:04}_{migration.name}.sql differs from what was applied",
                    hint="restore the file and put the change into a new migration",
                )
        missing = [migration for migration in migrations if migration.number not in done]
        for migration in missing:
            async with connection.transaction():
                await connection.execute(migration.sql)
                await connection.execute(
                    "INSERT INTO migrations (number, checksum) VALUES ($1, $2)",
                    migration.number,
                    migration.checksum,
                )
        return missing
    finally:
        await connection.execute("SELECT pg_advisory_unlock($1)", LOCK_KEY)


async def count_applied(connection: asyncpg.Connection) -> int:
    """How many migrations this database has; 0 for an empty one."""
    if await connection.fetchval("SELECT to_regclass('migrations')") is None:
        return 0
    count: int = await connection.fetchval("SELECT count(*) FROM migrations")
    return count


async def migrate_database(dsn: str) -> list[Migration]:
    """Connect, apply what is missing, and return it."""
    connection = await connect(dsn, application_name="sovereign-migrate")
    try:
        return await migrate(connection, load_migrations())
    finally:
        await connection.close()


def main() -> int:
    """Migrate the database in `DATABASE_URL`, and say what was applied."""
    dsn = os.environ.get("DATABASE_URL")
    if not dsn:
        sys.stderr.write("DATABASE_URL is not set\n")
        return 2
    applied = asyncio.run(migrate_database(dsn))
    for migration in applied:
        sys.stdout.write(f"applied {migration.number:04}_{migration.name}\n")
    if not applied:
        sys.stdout.write("the schema is up to date\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
