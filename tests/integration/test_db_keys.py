"""API keys and the windows that limit them."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta

import asyncpg
import pytest

from db.keys import (
    admit,
    create_key,
    find_key,
    list_keys,
    purge_windows,
    revoke_key,
)
from db.organisations import create_organisation
from sovereign_ari.errors import Conflict, InvalidRequest, NotFound

MINUTE = timedelta(minutes=1)
CHOSEN = "chosen-by-the-operator"


@pytest.fixture
async def tenant(connection: asyncpg.Connection) -> str:
    return await create_organisation(connection, "Tenant")


async def test_a_key_is_found_by_itself_and_stored_only_as_a_hash(
    connection: asyncpg.Connection, tenant: str
) -> None:
    record, secret = await create_key(connection, tenant, name="first")
    assert re.fullmatch(r"fl_live_[A-Za-z0-9]{40}", secret)
    assert secret.startswith(record.prefix)
    assert len(record.prefix) == 12
    assert await find_key(connection, secret) == record
    assert await find_key(connection, secret[:-1]) is None
    row = await connection.fetchrow("SELECT * FROM api_keys")
    assert secret not in str(row)


async def test_the_same_chosen_key_is_added_once(
    connection: asyncpg.Connection, tenant: str
) -> None:
    first, shown = await create_key(connection, tenant, name="chosen", secret=CHOSEN)
    again, _ = await create_key(connection, tenant, name="other", secret=CHOSEN)
    assert (shown, again) == (CHOSEN, first)
    other = await create_organisation(connection, "Other")
    with pytest.raises(Conflict):
        await create_key(connection, other, name="theirs", secret=CHOSEN)


@pytest.mark.parametrize("secret", ["", "fifteen-letters", "sixteen letters ", "é" * 20])
async def test_a_weak_chosen_key_is_refused(
    connection: asyncpg.Connection, tenant: str, secret: str
) -> None:
    with pytest.raises(InvalidRequest):
        await create_key(connection, tenant, name="weak", secret=secret)


async def test_a_revoked_key_stays_in_the_list_and_admits_nobody(
    connection: asyncpg.Connection, tenant: str
) -> None:
    record, secret = await create_key(connection, tenant, name="old")
    revoked = await revoke_key(connection, tenant, record.id)
    assert await revoke_key(connection, tenant, record.id) == revoked
    assert await list_keys(connection, tenant) == [revoked]
    assert await find_key(connection, secret) is None
    admission = await admit(connection, secret, allowed=5, period=MINUTE)
    assert admission is not None
    assert (admission.revoked, admission.granted) == (True, False)
    other = await create_organisation(connection, "Other")
    with pytest.raises(NotFound):
        await revoke_key(connection, other, record.id)


async def test_a_window_has_so_many_places_and_frees_the_oldest_first(
    connection: asyncpg.Connection, tenant: str
) -> None:
    _, secret = await create_key(connection, tenant, name="k")
    period = timedelta(milliseconds=400)
    admissions = [await admit(connection, secret, allowed=3, period=period) for _ in range(5)]
    assert [a is not None and a.granted for a in admissions] == [True] * 3 + [False] * 2
    assert [a.remaining for a in admissions if a is not None] == [2, 1, 0, 0, 0]
    last = admissions[-1]
    assert last is not None
    await connection.execute(
        "SELECT pg_sleep(extract(epoch FROM $1::timestamptz - clock_timestamp()) + 0.001)",
        last.frees_at,
    )
    again = await admit(connection, secret, allowed=3, period=period)
    assert again is not None
    assert again.granted


async def test_the_limit_is_exact_when_several_processes_ask_at_once(
    pool: asyncpg.Pool, connection: asyncpg.Connection, tenant: str
) -> None:
    _, secret = await create_key(connection, tenant, name="k")

    async def ask() -> bool:
        async with pool.acquire() as other:
            admission = await admit(other, secret, allowed=7, period=MINUTE)
            return admission is not None and admission.granted

    granted = await asyncio.gather(*(ask() for _ in range(40)))
    assert sum(granted) == 7


async def test_an_unknown_key_takes_no_place(connection: asyncpg.Connection) -> None:
    assert await admit(connection, "fl_live_nobody", allowed=1, period=MINUTE) is None
    assert await connection.fetchval("SELECT count(*) FROM rate_windows") == 0


async def test_only_windows_out_of_use_are_purged(
    connection: asyncpg.Connection, tenant: str
) -> None:
    for name in ("old", "new"):
        _, secret = await create_key(connection, tenant, name=name)
        await admit(connection, secret, allowed=1, period=MINUTE)
    await connection.execute(
        "UPDATE rate_windows SET used_at = now() - interval '2 minutes'"
        " WHERE subject = (SELECT min(subject) FROM rate_windows)"
    )
    assert await purge_windows(connection, MINUTE) == 1
    assert await connection.fetchval("SELECT count(*) FROM rate_windows") == 1
