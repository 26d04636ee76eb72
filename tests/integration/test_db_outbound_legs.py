"""The second legs of transferred calls, counted with the outgoing calls of their organisation."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import cast

import asyncpg
import pytest

from db.outbound import LEG_LEASE, permission_of, take_place_to_call
from db.outbound_legs import SEEN_BEFORE
from sovereign_ari.adoptions import PooledAdoptions
from sovereign_ari.domain.agent import Route
from sovereign_ari.domain.transfer import Unreachable
from sovereign_ari.errors import DatabaseUnavailable, RateLimited
from sovereign_ari.outgoing.policy import OutgoingPolicy
from sovereign_ari.transfer_lines import PooledTransferLines
from sovereign_ari.transfer_places import PooledTransferPlaces
from tests.support.rows import a_call_id

ONE, TWO = a_call_id(1), a_call_id(2)


@pytest.fixture
async def ours(pool: asyncpg.Pool) -> str:
    return str(
        await pool.fetchval(
            "INSERT INTO organisations (name, outbound_concurrency, outbound_calls_per_second)"
            " VALUES ('Ours', 3, 1000) RETURNING id"
        )
    )


async def older(pool: asyncpg.Pool, by: timedelta) -> None:
    await pool.execute("UPDATE outbound_legs SET renewed_at = renewed_at - $1::interval", by)


async def counted(pool: asyncpg.Pool) -> set[str]:
    return {row["call_id"] for row in await pool.fetch("SELECT call_id FROM outbound_legs")}


async def test_however_many_transfers_begin_at_once_only_so_many_get_a_place(
    pool: asyncpg.Pool, ours: str
) -> None:
    places = PooledTransferPlaces(pool, "sovereign-1")
    results = await asyncio.gather(
        *(places.take(ours, a_call_id(n)) for n in range(20)), return_exceptions=True
    )
    refused = [result for result in results if result is not None]
    assert len(refused) == 17
    assert {(type(each), str(each)) for each in refused} == {
        (Unreachable, "the organisation has 3 outgoing calls, and may have 3")
    }
    async with pool.acquire() as connection, connection.transaction():
        with pytest.raises(RateLimited, match="has 3 outgoing calls"):
            await take_place_to_call(connection, ours, await permission_of(connection, ours))


async def test_transfers_begin_no_faster_than_calls_may(pool: asyncpg.Pool, ours: str) -> None:
    await pool.execute("UPDATE organisations SET outbound_calls_per_second = 0.02")
    places = PooledTransferPlaces(pool, "sovereign-1")
    await places.take(ours, ONE)
    with pytest.raises(Unreachable, match=r"may begin 0\.02 outgoing calls per second"):
        await places.take(ours, TWO)


async def test_a_leg_counts_once_until_it_is_given_back_or_lapses(
    pool: asyncpg.Pool, ours: str
) -> None:
    await pool.execute("UPDATE organisations SET outbound_concurrency = 1")
    places = PooledTransferPlaces(pool, "sovereign-1")
    for _ in range(3):
        await places.take(ours, ONE)
    with pytest.raises(Unreachable):
        await places.take(ours, TWO)
    await places.give_back(ONE)
    await places.take(ours, TWO)
    with pytest.raises(Unreachable):
        await places.take(ours, ONE)
    await older(pool, LEG_LEASE)
    await places.take(ours, ONE)


async def test_legs_in_the_pbx_count_on_and_those_that_are_gone_do_not(
    pool: asyncpg.Pool, ours: str
) -> None:
    places, others = (PooledTransferPlaces(pool, name) for name in ("sovereign-1", "sovereign-2"))
    await places.take(ours, ONE)
    await others.take(ours, TWO)
    await places.keep([])
    assert await counted(pool) == {ONE, TWO}, "one may have been taken a moment ago"
    await older(pool, SEEN_BEFORE)
    await places.keep([ONE])
    await older(pool, SEEN_BEFORE)
    await places.keep([])
    assert await counted(pool) == {TWO}, "another PBX may have it"
    await older(pool, LEG_LEASE)
    await places.keep([])
    assert await counted(pool) == set()


class Refusing:
    """A pool of a database that another release has changed."""

    def acquire(self) -> asyncpg.Connection:
        raise asyncpg.UndefinedTableError("there is no such table")


async def test_whatever_the_database_says_to_a_controller_it_is_only_not_there() -> None:
    pool = cast("asyncpg.Pool", Refusing())
    places = PooledTransferPlaces(pool, "sovereign-1")
    adoptions = await PooledAdoptions.open(pool, "sovereign-1")
    lines = PooledTransferLines(pool, OutgoingPolicy().addresses)
    for asked in (
        places.keep([ONE]),
        places.take("o", ONE),
        places.give_back(ONE),
        adoptions.transferred(ONE),
        adoptions.adopt(ONE),
        lines.find(Route("o", None, None), "1000"),
    ):
        with pytest.raises(DatabaseUnavailable):
            await asked
