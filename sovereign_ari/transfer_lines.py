"""What calls may be transferred over, read from the database when a transfer is asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import asyncpg

from db.pool import UNAVAILABLE
from db.transfers import find_line
from sovereign_ari.domain.agent import Route
from sovereign_ari.domain.transfer import TransferLine, is_public
from sovereign_ari.errors import DatabaseUnavailable


class PooledTransferLines:
    """A `control.ports.TransferLines` on a pool of connections.

    Args:
        pool: Of the database.
        allows: Whether the operator allows a host that is not public.
    """

    def __init__(self, pool: asyncpg.Pool, allows: Callable[[str], bool]) -> None:
        self._pool = pool
        self._allows = allows

    async def find(self, route: Route, destination: str) -> TransferLine:
        """See `TransferLines`."""
        try:
            async with self._pool.acquire() as connection:
                line = await find_line(
                    connection, route.organisation_id, destination, number_id=route.number_id
                )
        except UNAVAILABLE as error:
            raise DatabaseUnavailable(f"{type(error).__name__}: {error}") from error
        return replace(line, may_reach=lambda host: is_public(host) or self._allows(host))
