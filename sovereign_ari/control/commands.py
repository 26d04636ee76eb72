"""Carries out what clients of the API tell live calls."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from sovereign_ari.control.ports import CommandBox
from sovereign_ari.domain.control import CommandOutcome, ControlCommand, TakenCommand
from sovereign_ari.domain.ids import CallId
from sovereign_ari.errors import DatabaseUnavailable

FIRST_DELAY_S = 0.1
LONGEST_DELAY_S = 2.0

log = logging.getLogger(__name__)


Control = Callable[[CallId, ControlCommand], CommandOutcome]


async def serve_commands(
    open_box: Callable[[], AbstractAsyncContextManager[CommandBox]], control: Control
) -> None:
    """Do each command once, in their order, until cancelled; the database may come and go.

    Args:
        open_box: Opens the commands for this controller.
        control: Does one. Must not wait: commands to other calls are behind it.
    """
    delay_s = FIRST_DELAY_S
    while True:
        try:
            async with open_box() as box:
                while True:
                    taken = await box.take()
                    await box.answer({one.id: _outcome(one, control) for one in taken})
                    delay_s = FIRST_DELAY_S
        except DatabaseUnavailable as error:
            log.warning("commands to calls are not heard for now: %s", error)
        await asyncio.sleep(delay_s)
        delay_s = min(delay_s * 2, LONGEST_DELAY_S)


def _outcome(taken: TakenCommand, control: Control) -> CommandOutcome:
    if taken.command is None:
        return CommandOutcome.NOT_UNDERSTOOD
    return control(taken.call_id, taken.command)
