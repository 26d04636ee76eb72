"""The vault of an installation beside its database: opening it, and changing its master key."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import asyncpg

from db.sealed import LOCK_KEY, SEALED, open_transactions, reseal, sealed_under
from sovereign_ari.errors import SetupFailed
from sovereign_ari.masterkeys import add_key, keep_newest, load_vault
from sovereign_ari.vault import Vault

TRANSACTIONS_END_WITHIN_S = 60.0
_LOOK_EVERY_S = 0.1

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Rotation:
    """What a rotation did.

    Attributes:
        newest: Id of the key that everything is sealed under now.
        done: How many values were sealed again, by `table.column`.
        closed: Values that did not open and stay as they are, as `table.column key`.
        older: How many older keys are in the file.
    """

    newest: bytes
    done: Mapping[str, int]
    closed: list[str]
    older: int


async def open_vault(connection: asyncpg.Connection, path: Path) -> Vault:
    """Open the vault; the file is made when it is missing and nothing was ever sealed.

    Raises:
        SetupFailed: If the file is missing though the database holds sealed values, or cannot be
            read or made.
    """
    used = await sealed_under(connection)
    if used and _is_missing(path):
        raise SetupFailed(
            f"the file of master keys {path} is missing, and the database holds values sealed"
            f" under {_names(used)} ({sum(used.values())} in all)",
            hint="restore the file from a backup or another machine, or let"
            " SOVEREIGN_MASTER_KEY_FILE name it; if it is lost for good, put a new key there"
            " (`head -c 32 /dev/urandom | base64`) and enter the lost secrets again",
        )
    vault = load_vault(path)
    missing = {key_id: count for key_id, count in used.items() if key_id not in vault.key_ids}
    if missing:
        _log.error(
            "%s lacks %s, so some values in the database cannot be opened: %d in all",
            path,
            _names(missing),
            sum(missing.values()),
        )
    return vault


async def rotate(connection: asyncpg.Connection, path: Path, *, new_key: bool = True) -> Rotation:
    """Put a new key on top of the file, and seal everything again under it.

    It may be interrupted at any point: what is done stays done, and everything else still opens.

    Args:
        connection: Of a user who sees the rows of all tenants.
        path: The file.
        new_key: False goes on under the key that is on top.

    Raises:
        SetupFailed: As `open_vault`, or when another rotation is under way.
    """
    async with _alone(connection):
        vault = await open_vault(connection, path)
        if new_key:
            add_key(path)
            vault = load_vault(path)
        done, closed = {}, []
        for column in SEALED:
            name = f"{column.table}.{column.column}"
            result = await reseal(connection, column, vault)
            done[name] = result.done
            closed += [f"{name} {' '.join(key)}" for key in sorted(result.closed)]
        return Rotation(vault.newest, done, closed, len(vault.key_ids) - 1)


async def drop_old(connection: asyncpg.Connection, path: Path) -> int:
    """Drop all keys but the newest from the file, once nothing needs them; return how many.

    Raises:
        SetupFailed: While something is sealed under one of them, or may be in a moment.
    """
    async with _alone(connection):
        vault = await open_vault(connection, path)
        newest, *older = vault.key_ids
        if older:
            await _wait_for_transactions(connection)
            used = await sealed_under(connection)
            if count := sum(used.get(key_id, 0) for key_id in older):
                raise SetupFailed(
                    f"some values are still sealed under older master keys than {newest.hex()}:"
                    f" {count} in all",
                    hint="`sovereign keys rotate-master --resume` seals them again",
                )
            keep_newest(path)
        return len(older)


def _is_missing(path: Path) -> bool:
    return not path.exists()


async def _wait_for_transactions(connection: asyncpg.Connection) -> None:
    """Wait for whoever sealed a value under an older key and has not committed it yet."""
    begun_before: datetime = await connection.fetchval("SELECT clock_timestamp()")
    try:
        async with asyncio.timeout(TRANSACTIONS_END_WITHIN_S):
            while await open_transactions(connection, begun_before):  # noqa: ASYNC110  # no event
                await asyncio.sleep(_LOOK_EVERY_S)
    except TimeoutError:
        raise SetupFailed(
            f"a transaction has been open for {TRANSACTIONS_END_WITHIN_S:g} s, and may write"
            " what is sealed under an older master key",
            hint="end it (pg_stat_activity shows it), or try again later",
        ) from None


@asynccontextmanager
async def _alone(connection: asyncpg.Connection) -> AsyncIterator[None]:
    if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", LOCK_KEY):
        raise SetupFailed(
            "another rotation of the master key is under way", hint="wait for it to end"
        )
    try:
        yield
    finally:
        if not connection.is_closed():
            await connection.execute("SELECT pg_advisory_unlock($1)", LOCK_KEY)


def _names(key_ids: Mapping[bytes, int]) -> str:
    names = " and ".join(sorted(key_id.hex() for key_id in key_ids))
    return f"the master key{'s' if len(key_ids) > 1 else ''} {names}"
