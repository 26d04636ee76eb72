"""Runs one call: events in, one at a time; commands out, in order."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine

from sovereign_ari.domain.call import (
    CallEvent,
    CallState,
    Command,
    Failed,
    Outcome,
    step,
)
from sovereign_ari.errors import CallOverloaded, IllegalTransition, SovereignError

INBOX_LIMIT = 64
COMMAND_TIMEOUT_S = 10.0

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
        self._inbox: asyncio.Queue[CallEvent] = asyncio.Queue(INBOX_LIMIT)

    def post(self, event: CallEvent) -> None:
        """Deliver an event. Never waits.

        Raises:
            CallOverloaded: If the call is `INBOX_LIMIT` events behind.
        """
        try:
            self._inbox.put_nowait(event)
        except asyncio.QueueFull:
            raise CallOverloaded(f"{INBOX_LIMIT} events waiting") from None

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
                    await self._handle(Failed(f"{command.value}: {error}"))
                    return
