"""Migrations on a real PostgreSQL."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest

from db.migrate import Migration, count_applied, load_migrations, migrate, migrate_database
from db.pool import connect
from db.schema import FILE, dump_schema
from sovereign_ari.errors import MigrationChanged, SetupFailed
from tests.support.postgres import PostgresServer, fresh_database


def test_the_schema_file_is_what_the_migrations_add_up_to(postgres_server: PostgresServer) -> None:
    dumped = dump_schema(
        postgres_server.dsn("sovereign_template"), postgres_server.binaries / "pg_dump"
    )
    assert dumped == FILE.read_text(), "run: DATABASE_URL=... python -m db.schema > db/schema.sql"


async def test_every_migration_is_applied_once(postgres_server: PostgresServer) -> None:
    async with fresh_database(postgres_server, template=None) as dsn:
        assert await migrate_database(dsn) == load_migrations()
        assert await migrate_database(dsn) == []


async def test_processes_that_migrate_at_once_do_not_collide(
    postgres_server: PostgresServer,
) -> None:
    async with fresh_database(postgres_server, template=None) as dsn:
        applied = await asyncio.gather(*(migrate_database(dsn) for _ in range(4)))
    assert sorted(len(each) for each in applied) == [0, 0, 0, len(load_migrations())]


async def test_an_edited_migration_is_refused(connection: asyncpg.Connection) -> None:
    first, *rest = load_migrations()
    edited = replace(first, sql=first.sql + "\n-- a word more")
    with pytest.raises(MigrationChanged, match="0001_organisations"):
        await migrate(connection, [edited, *rest])


async def test_a_migration_that_fails_leaves_nothing_behind(
    postgres_server: PostgresServer,
) -> None:
    broken = Migration(1, "broken", "CREATE TABLE half (id int); SELECT 1/0")
    async with fresh_database(postgres_server, template=None) as dsn:
        connection = await connect(dsn, application_name="tests")
        with pytest.raises(asyncpg.DivisionByZeroError):
            await migrate(connection, [broken])
        assert await connection.fetchval("SELECT to_regclass('half')") is None
        assert await count_applied(connection) == 0
        assert await migrate(connection, load_migrations()) == load_migrations()
        await connection.close()


@pytest.mark.parametrize(
    "names",
    [["0001_a.sql", "0003_c.sql"], ["1_a.sql"], ["0001_a.sql", "0001_b.sql"], []],
    ids=["a gap", "a short number", "a number twice", "none"],
)
def test_badly_numbered_files_are_refused(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        (tmp_path / name).write_text("SELECT 1")
    with pytest.raises(SetupFailed):
        load_migrations(tmp_path)
