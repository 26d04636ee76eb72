"""Brings the answers of controllers to the requests of this process that wait for them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

import asyncpg

from db.commands import ANSWERS, read_answer
from db.listening import FAULTS, listening
from sovereign_ari.domain.control import CommandOutcome

LOOK_EVERY_S = 1.0  # whether the line lives and the pool stays open
FIRST_DELAY_S = 0.1
LONGEST_DELAY_S = 2.0

log = logging.getLogger("api")


class CommandAnswers:
    """Who waits for which command. What is not heard in time is read from the command's row."""

    def __init__(self) -> None:
        self._waiting: dict[int, asyncio.Future[CommandOutcome]] = {}

    @contextmanager
    def expected(self, command_id: int) -> Iterator[asyncio.Future[CommandOutcome]]:
        """Wait for the answer to a command; to be entered before it can be answered."""
        answer: asyncio.Future[CommandOutcome] = asyncio.get_running_loop().create_future()
        self._waiting[command_id] = answer
        try:
            yield answer
        finally:
            del self._waiting[command_id]

    @asynccontextmanager
    async def listening_on(self, pool: asyncpg.Pool) -> AsyncIterator[None]:
        """Hear answers until the block ends, over a connection of the pool that is kept.

        A pool that is being closed gets it back within a second.
        """
        task = asyncio.create_task(self._listen(pool), name="command answers")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait((task,))

    async def _listen(self, pool: asyncpg.Pool) -> None:
        delay_s = FIRST_DELAY_S
        while not pool.is_closing():
            try:
                lost = asyncio.Event()
                async with listening(pool, ANSWERS, lambda heard: self._hear(heard, lost)) as line:  # noqa: B023
                    delay_s = FIRST_DELAY_S
                    while not pool.is_closing():
                        with suppress(TimeoutError):
                            async with asyncio.timeout(LOOK_EVERY_S):
                                await lost.wait()
                        await line.execute("SELECT")  # fails when it died, even without a word
            except FAULTS as error:
                log.warning("answers of controllers are not heard: %s", type(error).__name__)
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 2, LONGEST_DELAY_S)

    def _hear(self, heard: str | None, lost: asyncio.Event) -> None:
        if heard is None:
            lost.set()
            return
        command_id, outcome = read_answer(heard)
        answer = self._waiting.get(command_id)
        if answer is not None and not answer.done():
            answer.set_result(outcome)
