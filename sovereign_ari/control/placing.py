"""Takes the calls that clients ask for, while there is room, and has them placed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from sovereign_ari.control.ports import RequestBox
from sovereign_ari.domain.outbound import PlacedCall
from sovereign_ari.errors import DatabaseUnavailable

FIRST_DELAY_S = 0.1
LONGEST_DELAY_S = 2.0

log = logging.getLogger(__name__)


async def serve_requests(
    open_box: Callable[[], AbstractAsyncContextManager[RequestBox]],
    room: Callable[[], int],
    place: Callable[[PlacedCall], None],
) -> None:
    """Place each call once, until cancelled; the database may come and go.

    Args:
        open_box: Opens what is asked for.
        room: How many more calls this controller may place now.
        place: Begins one. Must not wait: others are behind it.
    """
    delay_s = FIRST_DELAY_S
    while True:
        try:
            async with open_box() as box:
                while True:
                    for placed in await box.take(room):
                        place(placed)
                    delay_s = FIRST_DELAY_S
        except DatabaseUnavailable as error:
            log.warning("calls to be placed are not heard of for now: %s", error)
        await asyncio.sleep(delay_s)
        delay_s = min(delay_s * 2, LONGEST_DELAY_S)
