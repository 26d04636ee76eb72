"""Counts the second legs of transferred calls in the database."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any

import asyncpg

from db.listening import FAULTS
from db.outbound_legs import drop_leg, keep_legs, renew_leg, take_leg
from sovereign_ari.domain.ids import CallId
from sovereign_ari.domain.transfer import Unreachable
from sovereign_ari.errors import DatabaseUnavailable, Impossible, RateLimited
from sovereign_ari.transfer_lines import PooledTransferLines


class PooledTransferPlaces:
    """A `control.ports.TransferPlaces` on a pool of connections.

    Args:
        pool: Of the database.
        app: Our name.
    """

    def __init__(self, pool: asyncpg.Pool, app: str) -> None:
        self._pool = pool
        self._app = app

    async def take(self, organisation_id: str, call: CallId) -> None:
        """See `TransferPlaces`."""
        try:
            async with self._pool.acquire() as connection:
                if await renew_leg(connection, organisation_id, call, self._app):
                    return  # the API has taken it: no transaction, for somebody waits
                async with connection.transaction():
                    await take_leg(connection, organisation_id, call, self._app)
        except FAULTS as error:
            raise DatabaseUnavailable(f"{type(error).__name__}: {error}") from error
        except (Impossible, RateLimited) as refusal:
            raise Unreachable(str(refusal)) from refusal

    async def give_back(self, call: CallId) -> None:
        """See `TransferPlaces`."""
        try:
            async with self._pool.acquire() as connection:
                await drop_leg(connection, call)
        except FAULTS as error:
            raise DatabaseUnavailable(f"{type(error).__name__}: {error}") from error

    async def keep(self, calls: Collection[CallId]) -> None:
        """See `TransferPlaces`."""
        try:
            async with self._pool.acquire() as connection:
                await keep_legs(connection, self._app, calls)
        except FAULTS as error:
            raise DatabaseUnavailable(f"{type(error).__name__}: {error}") from error


def pooled_transfers(
    pool: asyncpg.Pool, app: str, addresses: Callable[[str, int], Awaitable[Sequence[str]]]
) -> dict[str, Any]:
    """What `control.ports.CallServices` takes for transfers."""
    return {
        "transfer_lines": PooledTransferLines(pool, addresses),
        "transfer_places": PooledTransferPlaces(pool, app),
    }
