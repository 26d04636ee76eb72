"""Empties the databases of tests over connections that stay: a new one would know no table yet.

They live on a thread and an event loop of their own, for each test has another loop.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future

import asyncpg

_TABLES = """
SELECT quote_ident(tablename) FROM pg_tables
 WHERE schemaname = 'public' AND tablename <> 'migrations' ORDER BY tablename
"""
_CUT_OTHERS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
 WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


class Emptiers:
    """One connection for each database that was used."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread: threading.Thread | None = None
        self._connections: dict[str, asyncpg.Connection] = {}

    def run(self, dsn: str) -> Future[None]:
        """Cut every connection to a database, and remove every row but the migrations' own."""
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._loop.run_forever, name="emptying", daemon=True
            )
            self._thread.start()
        return asyncio.run_coroutine_threadsafe(self._empty(dsn), self._loop)

    def stop(self) -> None:
        """Let go of every connection."""
        if self._thread is not None:
            asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
        self._loop.close()

    async def _close(self) -> None:
        for connection in self._connections.values():
            await connection.close()

    async def _empty(self, dsn: str) -> None:
        connection = self._connections.get(dsn)
        if connection is None or connection.is_closed():
            connection = self._connections[dsn] = await asyncpg.connect(dsn)
            await connection.execute("SET session_replication_role = replica")  # no trigger runs
        await connection.execute(_CUT_OTHERS)
        tables = [row[0] for row in await connection.fetch(_TABLES)]
        # Deleting the few rows of a test is much faster than truncating every table.
        asked = " UNION ALL ".join(
            f"SELECT '{table}' WHERE EXISTS (SELECT FROM {table})" for table in tables
        )
        for row in await connection.fetch(asked):
            await connection.execute(f"DELETE FROM {row[0]}")
