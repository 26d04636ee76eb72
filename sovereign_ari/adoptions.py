"""Calls whose controller died, taken over in the database."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Self

import asyncpg

from db import adoption
from db.listening import FAULTS
from sovereign_ari.domain.adoption import FoundCall, NotAdopted
from sovereign_ari.domain.ids import CallId
from sovereign_ari.errors import DatabaseUnavailable


class PooledAdoptions:
    """A `control.ports.Adoptions` on a pool of connections. Made by `open`.

    Args:
        pool: Of the database.
        app: Our name.
        died_at: When our last life was last seen, before this one says that it lives.
    """

    def __init__(self, pool: asyncpg.Pool, app: str, died_at: datetime | None) -> None:
        self._pool = pool
        self._app = app
        self._died_at = died_at

    @classmethod
    async def open(cls, pool: asyncpg.Pool, app: str) -> Self:
        """Look when our last life was seen, before the first heartbeat of this one."""
        try:
            async with pool.acquire() as connection:
                return cls(pool, app, await adoption.last_seen(connection, app))
        except FAULTS:
            return cls(pool, app, None)

    async def adopt(self, call: CallId) -> FoundCall | NotAdopted:
        """See `Adoptions`."""
        try:
            async with self._pool.acquire() as connection:
                before = await connection.fetchval(
                    "SELECT controller FROM calls WHERE id = $1", call
                )
                found = await adoption.adopt(connection, call, self._app)
        except FAULTS as error:
            raise DatabaseUnavailable(f"{type(error).__name__}: {error}") from error
        if isinstance(found, FoundCall) and before == self._app:
            return replace(found, last_seen_at=self._died_at)
        return found

    async def transferred(self, call: CallId) -> None:
        """See `Adoptions`."""
        try:
            async with self._pool.acquire() as connection:
                await adoption.close_transferred(connection, call)
        except FAULTS as error:
            raise DatabaseUnavailable(f"{type(error).__name__}: {error}") from error
