"""The journal: calls post, one writer writes; a database that is away costs no call anything."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence

from sovereign_ari.domain.records import JournalEntry
from sovereign_ari.errors import DatabaseUnavailable, SovereignError

LIMIT = 20_000
BATCH = 100
FIRST_DELAY_S = 0.1
LONGEST_DELAY_S = 5.0

log = logging.getLogger(__name__)


class JournalWriter:
    """Writes entries in the order they were posted.

    While the database is away, up to 20,000 entries wait (an hour of 100 busy calls); beyond
    that the oldest is lost and counted. An entry that the database refuses is logged by kind and
    dropped, so that it cannot hold up those behind it.

    Args:
        write: Writes a batch, all or nothing. Raises `DatabaseUnavailable` when it may work later
            and another `SovereignError` when it never will.

    Attributes:
        lost: Entries that were dropped.
    """

    def __init__(self, write: Callable[[Sequence[JournalEntry]], Awaitable[None]]) -> None:
        self._write = write
        self._waiting: deque[JournalEntry] = deque()
        self._changed = asyncio.Event()
        self._closing = False
        self.lost = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def post(self, entry: JournalEntry) -> None:
        """Queue an entry. Never waits."""
        if len(self._waiting) >= LIMIT:
            self._waiting.popleft()
            self.lost += 1
        self._waiting.append(entry)
        self._changed.set()

    def close(self) -> None:
        """Let `run` return once everything queued is written."""
        self._closing = True
        self._changed.set()

    async def run(self) -> None:
        """Write until closed. Cancelling loses what is queued."""
        delay_s = FIRST_DELAY_S
        while True:
            if not self._waiting:
                if self._closing:
                    return
                self._changed.clear()
                await self._changed.wait()
                continue
            batch = [self._waiting[i] for i in range(min(BATCH, len(self._waiting)))]
            try:
                await self._write_batch(batch)
                delay_s = FIRST_DELAY_S
            except DatabaseUnavailable as error:
                log.warning("journal: %d entries wait: %s", len(self._waiting), error)
                await asyncio.sleep(delay_s)
                delay_s = min(delay_s * 2, LONGEST_DELAY_S)
                continue
            self._forget(batch)

    async def _write_batch(self, batch: list[JournalEntry]) -> None:
        try:
            await self._write(batch)
        except DatabaseUnavailable:
            raise
        except SovereignError:
            for entry in batch:  # find the one that is at fault
                await self._write_one(entry)

    async def _write_one(self, entry: JournalEntry) -> None:
        try:
            await self._write([entry])
        except DatabaseUnavailable:
            raise
        except SovereignError as error:
            self.lost += 1
            log.warning(
                "journal: dropped a %s of %s: %s", type(entry).__name__, entry.call_id, error
            )

    def _forget(self, batch: list[JournalEntry]) -> None:
        """Remove what was written; entries may have been dropped from the front meanwhile."""
        written = set(map(id, batch))
        while self._waiting and id(self._waiting[0]) in written:
            self._waiting.popleft()
