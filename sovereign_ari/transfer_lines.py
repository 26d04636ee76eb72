"""What calls may be transferred over, read from the database when a transfer is asked for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import asyncpg

from db.listening import FAULTS
from db.transfers import find_line, is_anothers_trunk
from sovereign_ari.domain.agent import Route
from sovereign_ari.domain.transfer import TransferLine, strange_host
from sovereign_ari.errors import DatabaseUnavailable, OutgoingFailed

SIP_PORT = 5060


class PooledTransferLines:
    """A `control.ports.TransferLines` on a pool of connections.

    Args:
        pool: Of the database.
        addresses: Looks a host up for a port; gives the addresses that may be reached, or raises
            `OutgoingFailed`.
    """

    def __init__(
        self, pool: asyncpg.Pool, addresses: Callable[[str, int], Awaitable[Sequence[str]]]
    ) -> None:
        self._pool = pool
        self._addresses = addresses

    async def find(self, route: Route, destination: str) -> TransferLine:
        """See `TransferLines`. A host is looked up once, now; the PBX looks it up again."""
        try:
            async with self._pool.acquire() as connection:
                line = await find_line(
                    connection, route.organisation_id, destination, number_id=route.number_id
                )
            host = strange_host(destination, line)
            reached = host is None or await self._may_reach(host, route.organisation_id)
        except FAULTS as error:
            raise DatabaseUnavailable(f"{type(error).__name__}: {error}") from error
        return replace(line, may_reach=lambda _: reached)

    async def _may_reach(self, host: str, organisation_id: str) -> bool:
        """Whether a host is none of our own network's, and no carrier that knows us by address.

        Such a carrier would take the call for one of those whose trunk it is.
        """
        try:
            addresses = await self._addresses(host, SIP_PORT)
        except OutgoingFailed:
            return False
        async with self._pool.acquire() as connection:
            return not await is_anothers_trunk(connection, organisation_id, [host, *addresses])
