"""Takes jobs from the database as they fall due, and does many at once."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Collection, Sequence
from typing import Any, Generic, Protocol, TypeVar

import asyncpg

from db.deliveries import CHANNEL
from db.listening import FAULTS, listening

LOOK_EVERY_S = 5.0
"""A notification may get lost; then this is how late a job is."""

_SHARE = 8  # of all places is taken in one go, so that several workers and owners share
_SOONEST_S = 0.02

logger = logging.getLogger("work")


class Job(Protocol):
    """What all jobs have."""

    @property
    def organisation_id(self) -> str:
        """Whose it is."""


_J = TypeVar("_J", bound=Job)


class Jobs(Protocol[_J]):
    """One kind of job."""

    async def take(
        self, connection: asyncpg.Connection, most: int, without: Sequence[str]
    ) -> Sequence[_J]:
        """Take up to `most` that are due, but none of these organisations."""

    async def next_due_s(
        self, connection: asyncpg.Connection, without: Sequence[str]
    ) -> float | None:
        """Seconds until one of the others falls due, None when there is none."""

    async def do(self, job: _J) -> None:
        """Do one. What goes wrong is the job's own business; it falls due again by itself."""


class Queue(Generic[_J]):
    """One kind of job, done until a stop, and then what is in hand.

    Args:
        pool: Of the database; one connection of it is kept.
        jobs: What to do.
        most: Jobs at once.
        most_of_one: About how many of them may be of one organisation, whose server may be slow.
        drains_within_s: How long a stop may take; what is not done then falls due again.
    """

    def __init__(
        self,
        pool: asyncpg.Pool,
        jobs: Jobs[_J],
        *,
        most: int,
        most_of_one: int,
        drains_within_s: float,
    ) -> None:
        self._pool = pool
        self._jobs = jobs
        self._most = most
        self._most_of_one = most_of_one
        self._drains_within_s = drains_within_s
        self._wake = asyncio.Event()
        self._running: dict[asyncio.Task[None], str] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set. A database that is away is waited for."""
        stopping = asyncio.create_task(self._wake_at(stop), name="stop of a queue")
        try:
            while not stop.is_set():
                try:
                    async with listening(
                        self._pool, CHANNEL, lambda _payload: self._wake.set()
                    ) as connection:
                        await self._serve(connection, stop)
                except FAULTS as error:
                    logger.warning("a queue waits for the database: %s", type(error).__name__)
                    self._wake.clear()
                    await self._sleep(1.0, stop)
            if self._running:
                await asyncio.wait(self._running, timeout=self._drains_within_s)
        finally:
            for task in (stopping, *self._running):
                task.cancel()
            await asyncio.wait((stopping, *self._running))

    async def _serve(self, connection: asyncpg.Connection, stop: asyncio.Event) -> None:
        while not stop.is_set():
            self._wake.clear()
            free = min(self._most - len(self._running), max(1, self._most // _SHARE))
            full = self._full()
            taken = await self._jobs.take(connection, free, full) if free > 0 else ()
            for job in taken:
                self._begin(job)
            if taken:
                continue
            due_s = await self._jobs.next_due_s(connection, full) if free > 0 else None
            wait_s = LOOK_EVERY_S if due_s is None else min(max(due_s, _SOONEST_S), LOOK_EVERY_S)
            await self._sleep(wait_s, stop)
            if connection.is_closed():
                return

    def _full(self) -> list[str]:
        """The organisations that have as many jobs in work as they may."""
        owners = list(self._running.values())
        return [owner for owner in set(owners) if owners.count(owner) >= self._most_of_one]

    def _begin(self, job: _J) -> None:
        task = asyncio.create_task(self._jobs.do(job), name=f"job {job}"[:80])
        self._running[task] = job.organisation_id
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Make room. A fault of ours in one job ends no other: it falls due again."""
        del self._running[task]
        self._wake.set()
        if not task.cancelled() and (fault := task.exception()) is not None:
            logger.error("a job failed", exc_info=fault)

    async def _sleep(self, seconds: float, stop: asyncio.Event) -> None:
        """Wait, unless something happens first."""
        if stop.is_set():
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wake.wait()

    async def _wake_at(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._wake.set()


async def all_of(queues: Collection[Queue[Any]], stop: asyncio.Event) -> None:
    """Run several until `stop` is set."""
    async with asyncio.TaskGroup() as group:
        for queue in queues:
            group.create_task(queue.run(stop), name="queue")
