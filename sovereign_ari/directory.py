"""Who answers which number, read from the database for each call."""

from __future__ import annotations

from collections.abc import Mapping

import asyncpg

from db.pool import UNAVAILABLE
from db.routing import find_route
from sovereign_ari.domain.agent import Config, Route
from sovereign_ari.errors import DatabaseUnavailable


class PooledDirectory:
    """A `control.ports.Directory` on a pool of connections.

    Args:
        pool: Of the database.
        defaults: The platform's blocks `llm`, `stt` and `tts`.
    """

    def __init__(self, pool: asyncpg.Pool, defaults: Mapping[str, Config]) -> None:
        self._pool = pool
        self._defaults = defaults

    async def find_route(self, dialled: str, trunk: str = "") -> Route:
        """See `Directory`."""
        try:
            async with self._pool.acquire() as connection:
                return await find_route(connection, dialled, self._defaults, trunk)
        except UNAVAILABLE as error:
            raise DatabaseUnavailable(f"{type(error).__name__}: {error}") from error
