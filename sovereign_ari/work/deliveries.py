"""Delivers queued webhooks: at least once, in order within a call, with patience that ends."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Protocol

import asyncpg

from db import deliveries as table
from db.deliveries import Attempt, TakenDelivery
from db.listening import FAULTS
from sovereign_ari.domain import webhook
from sovereign_ari.errors import OutgoingFailed
from sovereign_ari.work import wording
from sovereign_ari.work.queue import Queue

MOST_TRIES = 8
FIRST_DELAY_S = 1.0
LONGEST_DELAY_S = 60.0
ATTEMPT_S = 10.0
TAKEN_FOR_S = 20.0
"""An attempt, and reading and writing what belongs to it."""

AT_ONCE = 64
AT_ONCE_OF_ONE = 16
DRAINS_WITHIN_S = 8.0  # the supervisor kills after 10 s; what is cut off is taken over
LOGGED_CHARS = 500

logger = logging.getLogger("work.webhooks")


class Answered(Protocol):
    """What a server said."""

    @property
    def status(self) -> int:
        """Of HTTP."""


class Sends(Protocol):
    """Sends requests to servers that others configure."""

    async def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes,
        timeout_s: float,
        largest_bytes: None,
    ) -> Answered:
        """Send one request, of whose answer only the status is wanted.

        Raises:
            OutgoingFailed: If there is none in time, or the server may not be reached.
        """


def back_off_s(tries: int) -> float:
    """Seconds to wait after so many tries: full jitter below 1 s, 2 s, 4 s and so on."""
    longest_s = min(FIRST_DELAY_S * 2.0 ** (tries - 1), LONGEST_DELAY_S)
    return random.uniform(0.0, longest_s)


class Deliveries:
    """The jobs of a `Queue`.

    Args:
        pool: Of the database.
        http: Sends them.
        back_off: Seconds to wait after so many tries.
        taken_for_s: When another worker may take over what this one has not finished.
    """

    def __init__(
        self,
        pool: asyncpg.Pool,
        http: Sends,
        *,
        back_off: Callable[[int], float] = back_off_s,
        taken_for_s: float = TAKEN_FOR_S,
    ) -> None:
        self._pool = pool
        self._http = http
        self._back_off = back_off
        self._taken_for_s = taken_for_s

    async def take(
        self, connection: asyncpg.Connection, most: int, without: Sequence[str]
    ) -> Sequence[TakenDelivery]:
        """See `Jobs`."""
        return await table.take(connection, most=most, lasts_s=self._taken_for_s, without=without)

    async def next_due_s(
        self, connection: asyncpg.Connection, without: Sequence[str]
    ) -> float | None:
        """See `Jobs`."""
        return await table.next_due_s(connection, without)

    async def do(self, job: TakenDelivery) -> None:
        """Make one attempt, and say what becomes of the delivery."""
        try:
            await self._deliver(job)
        except FAULTS as error:
            logger.warning(
                "a webhook waits for the database: %s",
                type(error).__name__,
                extra={"call_id": job.call_id},
            )

    async def _deliver(self, job: TakenDelivery) -> None:
        async with self._pool.acquire() as connection:
            written = await wording.write(connection, job)
            if written is None or job.tries > MOST_TRIES:
                await table.give_up(connection, job)
                return
        attempt = await self._attempt(job, *written)
        again_in_s = self._back_off(job.tries) if job.tries < MOST_TRIES else None
        async with self._pool.acquire() as connection:
            await table.finish(connection, job, attempt, again_in_s=again_in_s)
        if attempt.error is not None and again_in_s is None:
            logger.warning(
                "gave up a webhook: %s",
                attempt.error,
                extra={"call_id": job.call_id, "event": job.event, "number": job.number},
            )

    async def _attempt(self, job: TakenDelivery, body: bytes, secret: str | None) -> Attempt:
        at, begun_s = datetime.now(UTC), time.monotonic()
        status, error = None, None
        try:
            answer = await self._http.send(
                "POST",
                job.url,
                headers=webhook.headers(job.event, job.id, int(at.timestamp()), body, secret),
                body=body,
                timeout_s=ATTEMPT_S,
                largest_bytes=None,
            )
        except OutgoingFailed as fault:
            error = str(fault)
        else:
            status = answer.status
            error = _fault_of(status)
        duration_ms = round((time.monotonic() - begun_s) * 1000)
        return Attempt(at, duration_ms, status, error and error[:LOGGED_CHARS])


def deliveries_queue(pool: asyncpg.Pool, http: Sends) -> Queue[TakenDelivery]:
    """The queue of a worker."""
    return Queue(
        pool,
        Deliveries(pool, http),
        most=AT_ONCE,
        most_of_one=AT_ONCE_OF_ONE,
        drains_within_s=DRAINS_WITHIN_S,
    )


def _fault_of(status: int) -> str | None:
    if 200 <= status < 300:
        return None
    if 300 <= status < 400:
        return f"answered {status}; redirects are not followed"
    return f"answered {status}"
