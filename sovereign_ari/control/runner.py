"""Runs one call: events in, one at a time; commands out, in order."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import suppress

from sovereign_ari.domain.call import (
    CallEvent,
    CallState,
    Command,
    Failed,
    HungUp,
    Outcome,
    Released,
    step,
)
from sovereign_ari.errors import CallOverloaded, IllegalTransition, SovereignError

INBOX_LIMIT = 64
COMMAND_TIMEOUT_S = 10.0
NEWS_WITHIN_S = 0.25  # between answers and events Asterisk keeps no order

log = logging.getLogger(__name__)

Perform = Callable[[Command, CallEvent], Coroutine[None, None, None]]


class CallRunner:
    """The only writer of one call's state.

    Asterisk, the dialogue and the controller all `post` events; none of them waits, so one stuck
    call never holds up the ARI reader that serves every call.

    Args:
        perform: Does one command, given the event that asked for it. A failure ends the call.

    Attributes:
        state: Where the call is.
        outcome: How it ended, once that is decided; the first decision stands.
    """

    def __init__(self, perform: Perform) -> None:
        self.state = CallState.NEW
        self.outcome: Outcome | None = None
        self._perform = perform
        self._inbox: asyncio.Queue[CallEvent] = asyncio.Queue(INBOX_LIMIT + 1)

    def post(self, event: CallEvent) -> None:
        """Deliver an event. Never waits. There is always room for `Released`, the last one.

        Raises:
            CallOverloaded: If the call is `INBOX_LIMIT` events behind.
        """
        if self._inbox.qsize() >= INBOX_LIMIT and not isinstance(event, Released):
            raise CallOverloaded(f"{INBOX_LIMIT} events waiting")
        self._inbox.put_nowait(event)

    async def run(self) -> None:
        """Handle events until the call has ended."""
        while self.state is not CallState.ENDED:
            await self._handle(await self._inbox.get())

    async def _handle(self, event: CallEvent) -> None:
        try:
            step_taken = step(self.state, event)
        except IllegalTransition:
            log.exception("ignored an event")
            return
        self.state = step_taken.state
        self.outcome = self.outcome or step_taken.outcome
        for command in step_taken.commands:
            try:
                async with asyncio.timeout(COMMAND_TIMEOUT_S):
                    await self._perform(command, event)
            except (SovereignError, TimeoutError) as error:
                log.warning("%s failed: %s: %s", command.value, type(error).__name__, error)
                if self.state is not CallState.ENDING:
                    await self._handle(await self._cause_of(command, error))
                    return

    async def _cause_of(self, command: Command, error: Exception) -> CallEvent:
        """Tell a fault from a request that failed because the caller had hung up.

        The news of a hang-up may arrive after the refusal that it causes. What else waits is
        dropped: the call ends in either case.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(NEWS_WITHIN_S):
                while True:
                    if isinstance(event := await self._inbox.get(), HungUp):
                        return event
        return Failed(f"{command.value}: {str(error) or type(error).__name__}")
