"""Erases what organisations no longer keep, in turns, so that none waits for another's backlog."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import asdict

import asyncpg

from db.retention import Erased, erase_batch, find_due

BATCH_CALLS = 200
LONGEST_S = 2.0  # of a pass: controllers that died are looked for in between

logger = logging.getLogger("work")


async def erase_expired(
    connection: asyncpg.Connection,
    stop: asyncio.Event,
    *,
    batch_calls: int = BATCH_CALLS,
    longest_s: float = LONGEST_S,
) -> None:
    """Erase a batch of each organisation in turn, until nothing is due or the time is up.

    What is left waits for the next pass. Cancelled or stopped, it loses at most the batch in work,
    which PostgreSQL rolls back whole.
    """
    clock = asyncio.get_running_loop().time
    ends_s = clock() + longest_s
    due = await find_due(connection)
    erased = {organisation_id: Erased() for organisation_id in due}
    try:
        while due and not stop.is_set() and clock() < ends_s:
            organisation_id = due.pop(0)
            batch = await erase_batch(connection, organisation_id, limit=batch_calls)
            erased[organisation_id] += batch
            if batch_calls in (batch.contents, batch.numbers):
                due.append(organisation_id)
    finally:
        for organisation_id, sums in erased.items():
            if sums != Erased():
                _report(organisation_id, sums)


def _report(organisation_id: str, erased: Erased) -> None:
    logger.info(
        "erased what is kept no longer: content of %d calls, numbers of %d",
        erased.contents,
        erased.numbers,
        extra={"organisation_id": organisation_id, **asdict(erased)},
    )
