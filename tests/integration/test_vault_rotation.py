"""Opening the vault beside its database, and changing the master key under running processes."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from db import byok, idempotency, mcp_servers, sip_trunks
from db.migrate import load_migrations
from db.organisations import create_organisation
from db.sealed import LOCK_KEY, SEALED, Resealed, SealedColumn, reseal, sealed_under
from sovereign_ari import vault_rotation
from sovereign_ari.errors import SetupFailed
from sovereign_ari.masterkeys import load_vault, opening_vault, read_keys
from sovereign_ari.vault import Vault, key_id_of
from sovereign_ari.vault_rotation import drop_old, open_vault, rotate


@pytest.fixture
async def tenant(connection: asyncpg.Connection) -> str:
    return await create_organisation(connection, "Tenant")


@pytest.fixture
async def other(pool: asyncpg.Pool) -> AsyncIterator[asyncpg.Connection]:
    async with pool.acquire() as other:
        yield other


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "master.keys"


async def put(connection: asyncpg.Connection, vault: Vault, tenant: str, provider: str) -> None:
    sealed = vault.seal(provider.encode(), byok.bound_to(tenant, provider))
    await byok.put_key(connection, tenant, provider, sealed)


async def fill(connection: asyncpg.Connection, vault: Vault, tenant: str, count: int) -> None:
    """Values in every column of the list."""
    for number in range(count):
        await put(connection, vault, tenant, f"p{number:04}")
        for table, column, binding, more in (
            ("sip_trunks", "auth_password", "sip_trunk", "name, addresses"),
            ("mcp_servers", "headers", "mcp_server", "name, url, transport, timeout_seconds,"
             " header_names"),
        ):  # fmt: skip
            row_id = str(uuid4())
            values = {
                "sip_trunks": f"'t{number}', '{{a:5060}}'",
                "mcp_servers": f"'m{number}', 'https://a.example', 'sse', 10, '{{a}}'",
            }[table]
            await connection.execute(
                f"INSERT INTO {table} (id, organisation_id, {column}, {more})"
                f" VALUES ($1, $2, $3, {values})",
                row_id, tenant, vault.seal(row_id.encode(), f"{binding}:{tenant}:{row_id}"),
            )  # fmt: skip
        key = f"k{number:04}"
        await idempotency.claim(connection, tenant, key, bytes(32))
        sealed = vault.seal(key.encode(), idempotency.bound_to(tenant, key))
        await idempotency.keep(connection, tenant, key, 201, sealed)


async def open_all(connection: asyncpg.Connection, vault: Vault) -> int:
    """Open everything that is stored, and find in it what was put there."""
    opened = 0
    for column in SEALED:
        first, second = column.key
        for row in await connection.fetch(
            f"SELECT {first}, {second}, {column.column} FROM {column.table}"
        ):
            bound_to = column.bound_to(str(row[0]), str(row[1]))
            assert vault.open(row[2], bound_to) == str(row[1]).encode()
            opened += 1
    return opened


# The list.


def test_every_column_that_the_migrations_call_sealed_is_on_the_list() -> None:
    found = set()
    for migration in load_migrations():
        for table, body in re.findall(r"CREATE TABLE (\w+) \((.*?)\n\);", migration.sql, re.S):
            for column in re.findall(r"^ +(\w+) +bytea\b.*-- sealed", body, re.M):
                found.add((table, column))
        assert not re.search(r"ADD COLUMN.*-- sealed", migration.sql), "teach this test"
    assert found == {(entry.table, entry.column) for entry in SEALED}


def test_values_are_bound_as_their_writers_bind_them() -> None:
    bound = {entry.table: entry.bound_to("o", "x") for entry in SEALED}
    assert bound["byok_keys"] == byok.bound_to("o", "x")
    assert bound["sip_trunks"] == sip_trunks.bound_to("o", "x")
    assert bound["mcp_servers"] == mcp_servers.bound_to("o", "x")
    assert bound["idempotent_requests"] == idempotency.bound_to("o", "x")
    assert len(set(bound.values())) == len(SEALED)


# Opening.


async def test_a_new_installation_makes_its_file(
    connection: asyncpg.Connection, path: Path
) -> None:
    vault = await open_vault(connection, path)
    assert [key_id_of(key) for key in read_keys(path)] == [vault.newest]


async def test_a_database_without_tables_is_a_new_installation(
    connection: asyncpg.Connection, path: Path
) -> None:
    transaction = connection.transaction()
    await transaction.start()
    await connection.execute("CREATE SCHEMA bare; SET LOCAL search_path TO bare")
    vault = await open_vault(connection, path)
    await transaction.rollback()
    assert [key_id_of(key) for key in read_keys(path)] == [vault.newest]


async def test_a_lost_file_is_not_made_anew_while_something_is_sealed(
    connection: asyncpg.Connection, tenant: str, path: Path
) -> None:
    vault = await open_vault(connection, path)
    await put(connection, vault, tenant, "openai")
    os.unlink(path)
    for attempt in (open_vault, rotate, drop_old):
        with pytest.raises(SetupFailed, match=vault.newest.hex()) as caught:
            await attempt(connection, path)
        assert "1 in all" in str(caught.value)
        assert "restore" in (caught.value.hint or "")
        assert not os.listdir(path.parent)


async def test_a_file_that_lacks_a_key_is_used_and_the_loss_is_logged(
    connection: asyncpg.Connection, tenant: str, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lost = Vault([bytes(32)])
    await put(connection, lost, tenant, "openai")
    load_vault(path)
    vault = await open_vault(connection, path)
    assert vault.newest != lost.newest
    (line,) = caplog.messages
    assert lost.newest.hex() in line


# Rotating.


async def test_a_rotation_seals_everything_again_and_running_processes_go_on(
    connection: asyncpg.Connection, other: asyncpg.Connection, tenant: str, path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("db.sealed.BATCH", 7)
    running, controller = load_vault(path), opening_vault(path)
    await fill(connection, running, tenant, 20)
    before = running.newest
    stop = asyncio.Event()

    async def use() -> int:
        """Read and write as an API process does, while the key changes."""
        rounds = 0
        while not stop.is_set():
            for vault in (running, controller):
                assert await open_all(other, vault) >= 80
            await put(other, running, tenant, "p0003")
            rounds += 1
        return rounds

    using = asyncio.create_task(use())
    rotation = await rotate(connection, path)
    stop.set()
    assert await using > 0
    assert (rotation.older, rotation.closed) == (1, [])
    assert sum(rotation.done.values()) >= 79  # one may have been written anew meanwhile
    assert rotation.newest != before
    assert await sealed_under(connection) == {rotation.newest: 80}
    assert await drop_old(connection, path) == 1
    assert [key_id_of(key) for key in read_keys(path)] == [rotation.newest]
    for vault in (running, controller, load_vault(path)):
        assert await open_all(connection, vault) == 80
    assert await drop_old(connection, path) == 0


async def test_a_rotation_changes_no_row_otherwise(
    connection: asyncpg.Connection, tenant: str, path: Path
) -> None:
    await put(connection, load_vault(path), tenant, "openai")
    await connection.execute("UPDATE byok_keys SET updated_at = '2020-01-01'")
    before = dict(await connection.fetchrow("SELECT * FROM byok_keys"))
    await rotate(connection, path)
    after = dict(await connection.fetchrow("SELECT * FROM byok_keys"))
    assert before.pop("secret") != after.pop("secret")
    assert before == after


async def test_an_interrupted_rotation_loses_nothing_and_is_gone_on_with(
    connection: asyncpg.Connection, tenant: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault = load_vault(path)
    await fill(connection, vault, tenant, 10)
    old = vault.newest

    monkeypatch.setattr("db.sealed.BATCH", 4)
    columns: list[SealedColumn] = []

    async def second_fails(
        connection: asyncpg.Connection, column: SealedColumn, vault: Vault
    ) -> Resealed:
        columns.append(column)
        if len(columns) == 2:
            raise KeyboardInterrupt
        return await reseal(connection, column, vault)

    monkeypatch.setattr(vault_rotation, "reseal", second_fails)
    with pytest.raises(KeyboardInterrupt):
        await rotate(connection, path)
    monkeypatch.undo()
    found = await sealed_under(connection)
    new = key_id_of(read_keys(path)[0])
    assert found == {new: 10, old: 30}
    assert await open_all(connection, vault) == 40
    with pytest.raises(SetupFailed, match=r"still sealed .* 30 in all") as caught:
        await drop_old(connection, path)
    assert "--resume" in (caught.value.hint or "")
    assert len(read_keys(path)) == 2
    rotation = await rotate(connection, path, new_key=False)
    assert (rotation.newest, sum(rotation.done.values())) == (new, 30)
    assert await sealed_under(connection) == {new: 40}


async def test_what_does_not_open_is_named_and_left_as_it_is(
    connection: asyncpg.Connection, tenant: str, path: Path
) -> None:
    vault = load_vault(path)
    await put(connection, vault, tenant, "openai")
    await byok.put_key(connection, tenant, "xai", Vault([bytes(32)]).seal(b"x", "elsewhere"))
    await byok.put_key(connection, tenant, "gladia", b"no sealed value at all, long as it is")
    rotation = await rotate(connection, path)
    assert rotation.done["byok_keys.secret"] == 1
    assert rotation.closed == [
        f"byok_keys.secret {tenant} gladia", f"byok_keys.secret {tenant} xai"
    ]  # fmt: skip
    sealed = await byok.sealed_keys(connection, tenant)
    assert sealed["gladia"] == b"no sealed value at all, long as it is"


async def test_older_keys_are_kept_until_open_transactions_have_ended(
    connection: asyncpg.Connection, other: asyncpg.Connection, tenant: str, path: Path
) -> None:
    load_vault(path)
    stale = Vault(read_keys(path))
    await rotate(connection, path)
    transaction = other.transaction()
    await transaction.start()
    await put(other, stale, tenant, "openai")  # sealed before the rotation, not committed yet
    dropping = asyncio.create_task(drop_old(connection, path))
    done, _ = await asyncio.wait({dropping}, timeout=0.5)
    assert not done
    await transaction.commit()
    with pytest.raises(SetupFailed, match=r"still sealed .* 1 in all"):
        await dropping
    assert len(read_keys(path)) == 2


async def test_a_transaction_without_end_keeps_the_older_keys(
    connection: asyncpg.Connection, other: asyncpg.Connection, path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(vault_rotation, "TRANSACTIONS_END_WITHIN_S", 0.3)
    await rotate(connection, path)
    async with other.transaction():
        await other.execute("SELECT 1")
        with pytest.raises(SetupFailed, match="a transaction has been open"):
            await drop_old(connection, path)
    assert await drop_old(connection, path) == 1


async def test_two_rotations_at_once_are_one(
    connection: asyncpg.Connection, other: asyncpg.Connection, path: Path
) -> None:
    await other.execute("SELECT pg_advisory_lock($1)", LOCK_KEY)
    for attempt in (rotate, drop_old):
        with pytest.raises(SetupFailed, match="under way"):
            await attempt(connection, path)
    await other.execute("SELECT pg_advisory_unlock($1)", LOCK_KEY)
    await rotate(connection, path)
    assert await other.fetchval("SELECT pg_try_advisory_lock($1)", LOCK_KEY)
    await other.execute("SELECT pg_advisory_unlock($1)", LOCK_KEY)
